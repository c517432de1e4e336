package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"roomcall/buffer"
	"roomcall/publish"
	"roomcall/publish/brokertest"
)

// draining is a drainer over a real store and the scripted broker.
type draining struct {
	*drainer
	t      *testing.T
	q      *buffer.Queue
	broker *brokertest.Fake
	next   uint64

	mu     sync.Mutex
	events []agentEvent
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
	proof := make(chan struct{}, 1)
	cfg := publish.Config{
		Brokers: []string{d.broker.URL()}, ClientID: "pc", MaxInflight: window,
		ReconnectMin: time.Millisecond, ReconnectMax: 10 * time.Millisecond,
		WriteTimeout: 300 * time.Millisecond,
		AckTimeout:   200 * time.Millisecond, ProofTimeout: 200 * time.Millisecond, ProofInterval: 200 * time.Millisecond,
		OnProof: func(publish.Proof) {
			select {
			case proof <- struct{}{}:
			default:
			}
		},
	}
	if change != nil {
		change(&cfg)
	}
	client, err := publish.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	log := &logText{}
	d.drainer = &drainer{
		queue: q, client: client, live: newLive(1), window: window, proof: proof,
		announce: d.take, log: log.logger(), repeats: newRepeats(log.logger()), stats: newDeliveryStats(),
	}
	d.start()
	return d
}

// take stands for the recorder: the event is on disk at once.
func (d *draining) take(ev agentEvent) bool {
	if ev.then != nil {
		ev.then()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, ev)
	return true
}

func (d *draining) announced() []agentEvent {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]agentEvent(nil), d.events...)
}

func (d *draining) start() {
	ctx, cancel := context.WithCancel(context.Background())
	grace, leave := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { d.run(ctx, grace); close(ended) }()
	d.leave = leave
	d.end = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			d.t.Errorf("the drain has not ended %v after the stop", patience)
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

// put appends n records of room-1, each with its number in it.
func (d *draining) put(n int, age time.Duration) {
	d.t.Helper()
	var b buffer.Batch
	for range n {
		d.next++
		b.Records = append(b.Records, buffer.Record{
			Lane: "room-1/sample", Num: d.next, Time: time.Now().Add(-age), Fresh: 2 * time.Second,
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
	waitFor(d.t, fmt.Sprintf("%d records wait", n), func() (bool, string) {
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

func TestBacklogIsDeliveredInOrderAndOnlyThenRemoved(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.put(500, time.Minute)
	d.waiting(0)
	d.put(3, 0)
	d.waiting(0)
	d.arrived(503)
	got := d.got()
	if len(got) != 503 {
		t.Errorf("%d messages for 503 records", len(got))
	}
	if old, fresh := got[0], got[502]; old != `{"seq":1,"replayed":1}` || fresh != `{"seq":503}` {
		t.Errorf("old record %s, fresh record %s", old, fresh)
	}
}

func TestNothingIsRemovedWithoutAnAcknowledgement(t *testing.T) {
	isRecord := func(m brokertest.Message) bool { return m.Topic == recordTopic }
	deny := brokertest.Faults{Ack: func(m brokertest.Message) bool { return !isRecord(m) }}
	const window = 8
	d := drain(t, deny, window, nil)
	d.put(100, 0)
	// the broker stays silent over many connections: more than any that would set a record aside
	d.broker.Wait(func([]brokertest.Message) bool { return len(d.broker.Connects()) > 2*poisonAfter })
	if n := d.q.Info().Waiting; n != 100 {
		t.Errorf("%d of 100 records wait though none was acknowledged", n)
	}
	if n := d.q.Info().Quarantined; n != 0 {
		t.Errorf("%d records were set aside because the broker was silent", n)
	}
	distinct := map[string]bool{}
	for _, p := range d.got() {
		distinct[p] = true
	}
	if len(distinct) > window {
		t.Errorf("%d records are on their way, the window is %d", len(distinct), window)
	}
	d.broker.Set(brokertest.Faults{})
	d.waiting(0)
	d.arrived(100)
}

func TestWindowStaysFullButNotFuller(t *testing.T) {
	const window = 5
	d := drain(t, brokertest.Faults{Ack: func(m brokertest.Message) bool { return m.Topic != recordTopic }}, window,
		func(c *publish.Config) { c.AckTimeout = patience })
	d.put(50, 0)
	d.broker.Wait(func(got []brokertest.Message) bool { return len(payloads(got)) == window })
	if n := d.client.Status().InFlight; n != window {
		t.Errorf("%d records in flight, want %d", n, window)
	}
	d.put(50, 0)
	d.broker.Cut() // the next connection begins with the oldest again
	d.broker.Set(brokertest.Faults{})
	d.waiting(0)
	d.arrived(100)
}

// TestPoisonRecordIsSetAsideAndAnnounced: a record at which the broker cuts the
// connection does not stop the rest.
func TestPoisonRecordIsSetAsideAndAnnounced(t *testing.T) {
	poison := []byte(`{"seq":4}`)
	d := drain(t, brokertest.Faults{Poison: func(m brokertest.Message) bool { return bytes.Equal(m.Payload, poison) }}, 10, nil)
	d.put(10, 0)
	d.waiting(0)
	var seqs []string
	seen := map[string]bool{}
	for _, p := range d.got() {
		if !seen[p] {
			seqs = append(seqs, p)
		}
		seen[p] = true
	}
	if len(seqs) != 9 || seen[string(poison)] {
		t.Errorf("the broker took %v", seqs)
	}
	if n := d.q.Info().Quarantined; n != 1 {
		t.Errorf("%d records are set aside, want 1", n)
	}
	events := d.announced()
	if len(events) != 1 || events[0].Type != "agent.quarantined" || events[0].FirstSeq != 4 || events[0].Kind != "sample" || events[0].Device != "room-1" {
		t.Errorf("announced: %+v", events)
	}
}

func TestRecordThatCanNeverBeSentIsSetAside(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.put(2, 0)
	d.waiting(0)
	if err := d.q.Append(buffer.Batch{Records: []buffer.Record{
		{Lane: "room-1/bad#lane", Num: 1, Time: time.Now(), Fresh: time.Second, Payload: []byte("{}")},
	}}); err != nil {
		t.Fatal(err)
	}
	d.put(2, 0)
	d.waiting(0)
	d.arrived(4)
	if events := d.announced(); len(events) != 1 || events[0].FirstSeq != 1 {
		t.Errorf("announced: %+v", events)
	}
}

func TestCutConnectionsLoseNothingAndSetNothingAside(t *testing.T) {
	d := drain(t, brokertest.Faults{CutAfter: 40}, 20, nil)
	for range 10 {
		d.put(50, 0)
	}
	d.waiting(0)
	d.arrived(500)
	if n := d.q.Info().Quarantined; n != 0 {
		t.Errorf("%d records were set aside", n)
	}
}

func TestFailedProofKeepsTheRecordsUntilItHolds(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.put(5, 0)
	d.waiting(0)
	d.broker.Set(brokertest.Faults{NoEcho: true})
	proof := func(want publish.ProofState) {
		t.Helper()
		waitFor(t, "the proof is "+string(want), func() (bool, string) {
			p := d.client.Status().Proof
			return p.State == want, fmt.Sprintf("%+v", p)
		})
	}
	proof(publish.ProofFailed)
	d.put(20, 0)
	taken := len(d.got())
	connects := len(d.broker.Connects())
	d.broker.Cut()
	d.broker.Wait(func([]brokertest.Message) bool {
		return len(d.broker.Connects()) > connects+1 || d.client.Status().Connects > 2
	})
	if n := d.q.Info().Waiting; n != 20 || len(d.got()) != taken {
		t.Errorf("%d of 20 records wait and %d were sent while the proof is failed", n, len(d.got())-taken)
	}
	d.broker.Set(brokertest.Faults{})
	d.waiting(0)
	d.arrived(25)
}

func TestOrderlyStopSettlesWhatIsInFlightAndSaysOffline(t *testing.T) {
	d := drain(t, brokertest.Faults{AckDelay: 5 * time.Millisecond}, 10, func(c *publish.Config) { c.AckTimeout = patience })
	d.put(200, 0)
	d.broker.Wait(func(got []brokertest.Message) bool { return len(payloads(got)) > 20 })
	d.end()
	acked := 0
	for i := range 200 {
		if d.broker.Acked(fmt.Sprintf(`{"seq":%d}`, i+1)) {
			acked++
		}
	}
	if left := int(d.q.Info().Waiting); acked+left != 200 {
		t.Errorf("%d records acknowledged and %d kept, want 200 together", acked, left)
	}
	if got := d.broker.Received(); string(got[len(got)-1].Payload) != "offline" {
		t.Errorf("the last word is %s on %s", got[len(got)-1].Payload, got[len(got)-1].Topic)
	}
	if n := len(d.broker.Wills()); n != 0 {
		t.Errorf("%d wills after an orderly stop", n)
	}
}

func TestStopDoesNotWaitForASilentBroker(t *testing.T) {
	d := drain(t, brokertest.Faults{Ack: func(m brokertest.Message) bool { return m.Topic != recordTopic }}, 10,
		func(c *publish.Config) { c.AckTimeout = time.Hour })
	d.put(50, 0)
	d.broker.Wait(func(got []brokertest.Message) bool { return len(payloads(got)) == 10 })
	d.leave() // the grace is over
	d.end()   // hangs when the stop waits for acknowledgements
	if n := d.q.Info().Waiting; n != 50 {
		t.Errorf("%d of 50 records are kept", n)
	}
}

func TestStatesGoBesideTheQueueAndAreRetained(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.live.set(liveSample{device: "room-1", payload: []byte(`{"seq":9}`), at: time.Now(), fresh: time.Minute})
	d.broker.Wait(func(got []brokertest.Message) bool {
		for _, m := range got {
			if m.Topic == "roomcall/v1/pc/room-1/state" {
				return m.Retain && string(m.Payload) == `{"seq":9}`
			}
		}
		return false
	})
	if n := d.q.Info().Waiting; n != 0 {
		t.Errorf("%d records wait: a state is never kept", n)
	}
}

func TestReplayRateHoldsBackOldRecordsOnly(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.end()
	d.pace = newPace(1) // one a second
	d.put(2, time.Minute)
	d.put(20, 0)
	d.start()
	d.waiting(0)
	d.arrived(22)
	got := d.got()
	for i, p := range got {
		if marked := strings.Contains(p, `"replayed":1`); marked != (i < 2) {
			t.Errorf("record %d: %s", i, p)
		}
	}
}
