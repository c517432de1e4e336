// Command floor does the least that the job needs, with the libraries of the agent: one
// request a poll, one record, one commit with fsync, one message. What a program costs
// beyond it is what that program does beyond it. It grades nothing and shows nothing; it
// is for comparisons only.
//
//	floor -broker tcp://HOST:PORT -url http://HOST:PORT -rooms N -every 1s -dir FOLDER
//
// A record leaves the store with the commit after its PUBACK; after a restart
// everything that is in the store is sent again.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	bolt "go.etcd.io/bbolt"
)

const (
	action = "/action.cgi?ActionID=WEB_GetMultiCallStatusInfoAPI"
	window = 100 // messages without a PUBACK
	topic  = "floor/sample"
)

var bucket = []byte("records")

func main() {
	broker := flag.String("broker", "", "address of the broker")
	url := flag.String("url", "", "address of the endpoints, without their names")
	rooms := flag.Int("rooms", 1, "number of endpoints: room-1, room-2 ...")
	every := flag.Duration("every", time.Second, "time from one poll of an endpoint to the next")
	dir := flag.String("dir", ".", "folder of the store")
	flag.Parse()
	if err := run(*broker, *url, *rooms, *every, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(broker, url string, rooms int, every time.Duration, dir string) error {
	db, err := bolt.Open(filepath.Join(dir, "floor.db"), 0o600, nil)
	if err != nil {
		return err
	}
	if err := db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucketIfNotExists(bucket); return err }); err != nil {
		return err
	}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = rooms
	records := make(chan []byte, rooms)
	for i := range rooms {
		name := fmt.Sprintf("room-%d", i+1)
		go poll(name, url+"/"+name+action, every, records)
	}
	s := &store{db: db}
	committed := make(chan struct{}, 1)
	go s.publish(broker, committed)
	return s.commit(records, committed)
}

// poll asks one endpoint for ever. A poll that fails leaves no record.
func poll(name, url string, every time.Duration, records chan<- []byte) {
	for range time.Tick(every) {
		record, err := ask(name, url)
		if err != nil {
			log.Print(err)
			continue
		}
		records <- record
	}
}

// ask makes a record of one reply: the values as the endpoint wrote them.
func ask(name, url string) ([]byte, error) {
	answer, err := http.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Success int
		Data    string
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.Success != 1 {
		return nil, errors.Join(errors.New("no values"), err)
	}
	return fmt.Appendf(nil, `{"room":%q,"ts_ms":%d,"data":%s}`, name, time.Now().UnixMilli(), reply.Data), nil
}

// store holds the records by a rising number.
type store struct {
	db        *bolt.DB
	confirmed atomic.Uint64 // everything up to this number
}

// commit puts whatever is there into one transaction, and removes there what the
// broker has confirmed since the one before.
func (s *store) commit(records <-chan []byte, committed chan<- struct{}) error {
	for first := range records {
		err := s.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucket)
			if err := remove(b, s.confirmed.Load()); err != nil {
				return err
			}
			if err := put(b, first); err != nil {
				return err
			}
			for range len(records) {
				if err := put(b, <-records); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		select {
		case committed <- struct{}{}:
		default: // it is woken already
		}
	}
	return nil
}

func put(b *bolt.Bucket, record []byte) error {
	n, err := b.NextSequence()
	if err != nil {
		return err
	}
	b.FillPercent = 1 // keys only rise
	return b.Put(binary.BigEndian.AppendUint64(nil, n), record)
}

// remove deletes the records up to the number.
func remove(b *bolt.Bucket, upTo uint64) error {
	c := b.Cursor()
	for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) <= upTo; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// publish connects for ever. A new connection begins with the first record that is not
// confirmed.
func (s *store) publish(broker string, committed <-chan struct{}) {
	for {
		lost := make(chan struct{})
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(broker).SetClientID("floor").SetAutoReconnect(false).
			SetConnectionLostHandler(func(mqtt.Client, error) { close(lost) }))
		if t := client.Connect(); t.Wait() && t.Error() != nil {
			log.Print(t.Error())
			time.Sleep(time.Second)
			continue
		}
		s.send(client, committed, lost)
	}
}

// send publishes the records in order, window at a time, until the connection is lost.
func (s *store) send(client mqtt.Client, committed, lost <-chan struct{}) {
	next := s.confirmed.Load()
	flight, done := make(chan sending, window), make(chan struct{})
	go func() {
		defer close(done)
		whole := true // nothing is missing before it
		for m := range flight {
			if m.token.Wait(); m.token.Error() != nil {
				whole = false
			}
			if whole {
				s.confirmed.Store(m.num)
			}
		}
	}()
	defer func() {
		close(flight)
		<-done
	}()
	for {
		num, record := s.after(next)
		if record == nil {
			select {
			case <-committed:
			case <-lost:
				return
			}
			continue
		}
		flight <- sending{num, client.Publish(topic, 1, false, record)}
		next = num
		select {
		case <-lost:
			return
		default:
		}
	}
}

// sending is a message on its way.
type sending struct {
	num   uint64
	token mqtt.Token
}

// after returns the first record with a higher number, nil if there is none.
func (s *store) after(num uint64) (next uint64, record []byte) {
	_ = s.db.View(func(tx *bolt.Tx) error {
		k, v := tx.Bucket(bucket).Cursor().Seek(binary.BigEndian.AppendUint64(nil, num+1))
		if k != nil {
			next, record = binary.BigEndian.Uint64(k), append([]byte(nil), v...)
		}
		return nil
	})
	return next, record
}
