// Command load publishes records of many rooms, each with a session of its own by the
// package publish, and says how many of them the broker acknowledged. A record that was not
// acknowledged is sent again with the same id, as an agent does.
//
//	load -broker tcp://nats-1:1883,tcp://nats-2:1883 -passwords /etc/nats/passwords -rooms 20 -records 3000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roomcall/publish"
)

var (
	brokers   = flag.String("broker", "tcp://127.0.0.1:1883", "URLs, with commas")
	passwords = flag.String("passwords", "", "folder with a file of each client id")
	rooms     = flag.Int("rooms", 20, "client ids room-1 to room-N")
	records   = flag.Int("records", 3000, "of all rooms together")
	rate      = flag.Float64("rate", 100, "records a second, of all rooms together")
	begin     = flag.Int("begin", 100, "rooms that begin a second")
	within    = flag.Duration("within", 30*time.Minute, "give up after that")
	stay      = flag.Bool("stay", false, "when all records are acknowledged, keep the sessions until SIGTERM")
)

var acknowledged, proven, lost atomic.Int64

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *within)
	defer cancel()
	say := func() {
		fmt.Printf("acknowledged %d of %d, rooms proven %d of %d, connections lost %d\n", acknowledged.Load(), *records, proven.Load(), *rooms, lost.Load())
	}
	go func() {
		for range time.Tick(time.Second) {
			say()
		}
	}()
	epoch := time.Now().Unix() << 20
	var all sync.WaitGroup
	for i := range *rooms {
		count := *records / *rooms
		if i < *records%*rooms {
			count++
		}
		all.Go(func() {
			r := &room{id: fmt.Sprintf("room-%d", i+1), epoch: epoch, count: count}
			if err := r.run(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "load:", r.id, err)
				os.Exit(1)
			}
		})
		time.Sleep(time.Second / time.Duration(*begin))
	}
	all.Wait()
	say()
	if acknowledged.Load() < int64(*records) || proven.Load() < int64(*rooms) {
		os.Exit(1)
	}
}

type room struct {
	id    string
	epoch int64
	count int // records to publish
	acked int // of them, the oldest so many are acknowledged
}

func (r *room) run(ctx context.Context) error {
	password, err := os.ReadFile(filepath.Join(*passwords, r.id))
	if err != nil {
		return err
	}
	var first sync.Once
	client, err := publish.New(publish.Config{
		Brokers: strings.Split(*brokers, ","), ClientID: r.id,
		Username: r.id, Password: strings.TrimSpace(string(password)),
		ReconnectMax: 10 * time.Second,
		Birth:        func() []byte { return fmt.Appendf(nil, `{"version":"load","devices":[{"device":"hub"}]}`) },
		OnProof: func(p publish.Proof) {
			if p.State == publish.ProofProven {
				first.Do(func() { proven.Add(1) })
			}
		},
	})
	if err != nil {
		return err
	}
	begun := time.Now()
	for ctx.Err() == nil && (r.acked < r.count || *stay) {
		sleep(ctx, client.Backoff())
		conn, err := client.Connect(ctx)
		if err != nil {
			continue
		}
		conn.WaitProof(ctx)
		r.publish(ctx, client, conn, begun)
		if *stay && r.acked == r.count {
			select {
			case <-conn.Lost():
			case <-ctx.Done():
			}
		}
		select {
		case <-conn.Lost():
			lost.Add(1)
		default:
		}
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		conn.Close(end)
		cancel()
	}
	return nil
}

// publish sends the records that are not acknowledged, those of the past at once and
// further ones at the rate, until the connection is lost or all are acknowledged.
func (r *room) publish(ctx context.Context, client *publish.Client, conn *publish.Conn, begun time.Time) {
	const window = 50
	var flight []*publish.Receipt
	next := time.NewTicker(20 * time.Millisecond)
	defer next.Stop()
	for r.acked < r.count {
		due := min(r.count, 1+int(time.Since(begun).Seconds()**rate/float64(*rooms)))
		for seq := r.acked + len(flight) + 1; seq <= due && len(flight) < window && conn.Deliverable(); seq++ {
			receipt, err := conn.Publish(publish.Message{Topic: client.Topic("hub/sample"), Payload: r.record(seq)})
			if err != nil {
				break
			}
			flight = append(flight, receipt)
		}
		var oldest <-chan struct{}
		if len(flight) > 0 {
			oldest = flight[0].Done()
		}
		select {
		case <-oldest:
			if flight[0].Err() != nil {
				return
			}
			r.acked++
			acknowledged.Add(1)
			flight = flight[1:]
		case <-conn.Lost():
			return
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// record is as long as a sample with video both ways.
func (r *room) record(seq int) []byte {
	return fmt.Appendf(nil, `{"v":1,"schema":"roomcall.sample/1.0","id":"%s.%d.hub.sample.%d","epoch":%d,"seq":%d,"ts_ms":%d,"client_id":"%s","site":"","room":"%s","device":"hub","endpoint_state":"in_call","text_unknown":"%s"}`,
		r.id, r.epoch, seq, r.epoch, seq, time.Now().UnixMilli(), r.id, r.id, strings.Repeat("x", 900))
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
