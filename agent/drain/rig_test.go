package drain

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/agent/record"
	"roomcall/buffer"
	"roomcall/publish"
	"roomcall/publish/brokertest"
)

// draining is a drainer over a real store and the scripted broker.
type draining struct {
	*Drainer
	t      *testing.T
	client *publish.Client
	q      *buffer.Queue
	broker *brokertest.Fake
	next   uint64

	mu     sync.Mutex
	events []record.Event
	leave  context.CancelFunc
	end    func() // stop and wait
}

// drain starts a drainer with this window and these patiences.
func drain(t *testing.T, faults brokertest.Faults, window int, change func(*publish.Config)) *draining {
	t.Helper()
	q, err := buffer.Open(buffer.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	d := &draining{t: t, q: q, broker: brokertest.NewFake(t, faults)}
	log := &hosttest.Log{}
	d.Drainer = New(Options{Queue: q, Newest: record.NewNewest(1), Window: window, Announce: d.take, Log: log.Logger()})
	d.flow.steady = 0
	cfg := publish.Config{
		Brokers: []string{d.broker.URL()}, ClientID: "pc", MaxInflight: window,
		ReconnectMin: time.Millisecond, ReconnectMax: 10 * time.Millisecond,
		WriteTimeout: 300 * time.Millisecond,
		AckTimeout:   hosttest.Patience, ProofTimeout: 200 * time.Millisecond, ProofInterval: 200 * time.Millisecond,
		OnProof: d.Proof,
	}
	if change != nil {
		change(&cfg)
	}
	client, err := publish.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.client, d.Broker = client, Client{client}
	d.start()
	return d
}

// take stands for the recorder: the event is on disk at once.
func (d *draining) take(ev record.Event) bool {
	if ev.Done != nil {
		ev.Done(true)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, ev)
	return true
}

func (d *draining) announced() []record.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]record.Event(nil), d.events...)
}

func (d *draining) start() {
	ctx, cancel := context.WithCancel(context.Background())
	grace, leave := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { d.Run(ctx, grace); close(ended) }()
	d.leave = leave
	d.end = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(hosttest.Patience):
			d.t.Errorf("the drain has not ended %v after the stop", hosttest.Patience)
			d.broker.Close()
			<-ended
		}
		leave()
	})
	d.t.Cleanup(func() {
		leave()
		d.end()
		if err := d.q.Close(); err != nil {
			d.t.Errorf("close the store: %v", err)
		}
	})
}

// put appends n records of room-1, each with its number in it; from an age of a minute on
// they are sent as replayed ones.
func (d *draining) put(n int, age time.Duration) {
	d.t.Helper()
	var b buffer.Batch
	for range n {
		d.next++
		b.Records = append(b.Records, buffer.Record{
			Lane: "room-1/sample", Num: d.next, Time: time.Now().Add(-age), Fresh: 30 * time.Second,
			Payload: fmt.Appendf(nil, `{"seq":%d}`, d.next),
		})
	}
	if err := d.q.Append(b); err != nil {
		d.t.Fatal(err)
	}
}

const recordTopic = "roomcall/v1/pc/room-1/sample"

// got are the records that the broker received, in order, repeats included.
func (d *draining) got() []string { return payloads(d.broker.Received()) }

func payloads(list []brokertest.Message) []string {
	var out []string
	for _, m := range list {
		if m.Topic == recordTopic {
			out = append(out, string(m.Payload))
		}
	}
	return out
}

// waiting waits until so many records wait in the store.
func (d *draining) waiting(n uint64) {
	d.t.Helper()
	hosttest.WaitFor(d.t, fmt.Sprintf("%d records wait", n), func() (bool, string) {
		in := d.q.Info()
		return in.Waiting == n, fmt.Sprintf("%d wait; broker: %+v", in.Waiting, d.client.Status())
	})
}

// arrived fails the test unless each of n records came, the first time in order.
func (d *draining) arrived(n int) {
	d.t.Helper()
	next := 1
	for _, p := range d.got() {
		if strings.HasPrefix(p, fmt.Sprintf(`{"seq":%d`, next)+"}") || strings.HasPrefix(p, fmt.Sprintf(`{"seq":%d,`, next)) {
			next++
			continue
		}
		var seq int
		if _, err := fmt.Sscanf(p, `{"seq":%d`, &seq); err != nil || seq > next {
			d.t.Fatalf("the broker got %s when number %d was due", p, next)
		}
	}
	if next != n+1 {
		d.t.Fatalf("%d records arrived, want %d", next-1, n)
	}
}
