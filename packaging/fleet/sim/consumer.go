package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/agent/config"
)

// consumer is a careful consumer of all records of a fleet: with a session that the broker
// keeps while it is away. It knows of each topic which numbers have come.
type consumer struct {
	client  mqtt.Client
	filters map[string]byte

	mu      sync.Mutex // guards what follows
	topics  map[string]*arrived
	records int // that came for the first time
	again   int // that had come before
	broken  string
	delays  []int // milliseconds, of records that were not sent late: how many took so long
	late    int   // records with "replayed"
}

// arrived is what has come on one topic under one epoch.
type arrived struct {
	room  string
	kind  string
	seen  []uint64 // a bit for each number, from 1
	count int
	last  uint64 // the highest number
}

// add says whether a number is new.
func (a *arrived) add(seq uint64) bool {
	a.last = max(a.last, seq)
	word, bit := seq/64, uint64(1)<<(seq%64)
	for uint64(len(a.seen)) <= word {
		a.seen = append(a.seen, 0)
	}
	if a.seen[word]&bit != 0 {
		return false
	}
	a.seen[word] |= bit
	a.count++
	return true
}

const (
	delayMost    = 60_000  // milliseconds; longer ones count as that
	seqMost      = 1 << 24 // a number beyond that is not believed
	settleWithin = 30 * time.Second
)

// newConsumer connects and subscribes. m is the fleet's [mqtt].
func newConsumer(m config.MQTT, user, password string) (*consumer, error) {
	c := &consumer{topics: map[string]*arrived{}, delays: make([]int, delayMost+1), filters: map[string]byte{}}
	for _, k := range kinds {
		c.filters[m.TopicPrefix+"/+/+/"+k] = 1
	}
	o := mqtt.NewClientOptions().SetClientID("fleet-consumer").SetCleanSession(false)
	for _, url := range m.Brokers {
		o.AddBroker(url)
	}
	o.SetUsername(user).SetPassword(password).SetProtocolVersion(4)
	o.SetMaxReconnectInterval(time.Second).SetConnectRetry(false).SetKeepAlive(30 * time.Second)
	tlsConfig, err := tlsOf(m)
	if err != nil {
		return nil, err
	}
	o.SetTLSConfig(tlsConfig)
	skip := len(strings.Split(m.TopicPrefix, "/"))
	o.SetDefaultPublishHandler(func(_ mqtt.Client, msg mqtt.Message) { c.take(skip, msg) })
	o.SetOnConnectHandler(func(cl mqtt.Client) { cl.SubscribeMultiple(c.filters, nil) })
	c.client = mqtt.NewClient(o)
	return c, c.connect()
}

func tlsOf(m config.MQTT) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: m.ServerName, InsecureSkipVerify: m.InsecureSkipVerify}
	if m.CAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(m.CAFile)
	if err != nil {
		return nil, err
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", m.CAFile)
	}
	return cfg, nil
}

// connect connects and waits for the subscription.
func (c *consumer) connect() error {
	for _, do := range []func() mqtt.Token{c.client.Connect, func() mqtt.Token { return c.client.SubscribeMultiple(c.filters, nil) }} {
		token := do()
		if !token.WaitTimeout(settleWithin) {
			return errors.New("consumer: the broker does not answer")
		}
		if token.Error() != nil {
			return fmt.Errorf("consumer: %w", token.Error())
		}
	}
	return nil
}

// leave ends the connection; the broker keeps the session.
func (c *consumer) leave() { c.client.Disconnect(250) }

// take notes one record.
func (c *consumer) take(skip int, m mqtt.Message) {
	now := time.Now()
	levels := strings.Split(m.Topic(), "/")
	if m.Retained() || len(levels) != skip+3 {
		return
	}
	seq, err := number(m.Payload(), `"seq":`)
	epoch, err2 := number(m.Payload(), `"epoch":`)
	made, err3 := number(m.Payload(), `"ts_ms":`)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := errors.Join(err, err2, err3); err != nil || seq == 0 || seq > seqMost {
		c.broken = fmt.Sprintf("%s: not a record: %v", m.Topic(), err)
		return
	}
	key := m.Topic() + "/" + strconv.FormatUint(epoch, 10)
	a := c.topics[key]
	if a == nil {
		a = &arrived{room: levels[skip], kind: levels[skip+2]}
		c.topics[key] = a
	}
	if !a.add(seq) {
		c.again++
		return
	}
	c.records++
	if bytes.Contains(m.Payload(), []byte(`"replayed":1`)) {
		c.late++
	} else if a.kind == "sample" { // the others may tell of an earlier time
		c.delays[min(max(now.UnixMilli()-int64(made), 0), delayMost)]++
	}
}

// number reads a whole number after a key; payloads are flat and have no spaces.
func number(payload []byte, key string) (uint64, error) {
	_, rest, ok := bytes.Cut(payload, []byte(key))
	if !ok {
		return 0, fmt.Errorf("no %s", key)
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	return strconv.ParseUint(string(rest[:end]), 10, 64)
}

// forget begins new delays.
func (c *consumer) forgetDelays() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.delays)
	c.late = 0
}

// delay is the time within which a part of the samples came, in milliseconds.
func (c *consumer) delay(part float64) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for _, n := range c.delays {
		total += n
	}
	sum := 0
	for ms, n := range c.delays {
		if sum += n; n > 0 && float64(sum) >= part*float64(total) {
			return ms
		}
	}
	return 0
}

func (c *consumer) count() (records, again int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records, c.again
}

// missing is how many of the records that the rooms made have not come. What is missing
// shows as a hole in the numbers of a topic, but for the newest records, of which only the
// rooms know.
func (c *consumer) missing(made map[string][]int) (lost, holes int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	came, holes, err := c.came()
	for room, row := range made {
		for i, n := range row {
			lost += max(0, n-came[room+" "+kinds[i]])
		}
	}
	return lost, holes, err
}

// invented names a room of which more came than it made.
func (c *consumer) invented(made map[string][]int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	came, _, err := c.came()
	for room, row := range made {
		for i, n := range row {
			if came := came[room+" "+kinds[i]]; n < came {
				err = errors.Join(err, fmt.Errorf("%s: %d records %s arrived, only %d were made", room, came, kinds[i], n))
			}
		}
	}
	return err
}

// came is how many records came, by room and kind. Under mu.
func (c *consumer) came() (came map[string]int, holes int, err error) {
	came = map[string]int{}
	for _, a := range c.topics {
		came[a.room+" "+a.kind] += a.count
		holes += int(a.last) - a.count
	}
	if c.broken != "" {
		err = errors.New(c.broken)
	}
	return came, holes, err
}
