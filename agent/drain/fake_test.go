package drain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/agent/record"
	"roomcall/buffer"
	"roomcall/publish"
)

// fakeQueue is a queue in memory. Records have the positions 1, 2, 3 ...
type fakeQueue struct {
	mu            sync.Mutex
	items         []buffer.Item
	acked         uint64
	reads         int
	readErr       error
	quarantined   []uint64
	tries         int // how often a record should be quarantined
	quarantineErr error
	hangs         chan struct{} // not nil: Quarantine does not return before it is closed
	changed       chan struct{}
}

func (q *fakeQueue) put(n int, age time.Duration) {
	q.mu.Lock()
	for range n {
		pos := uint64(len(q.items) + 1)
		q.items = append(q.items, buffer.Item{Pos: pos, Record: buffer.Record{
			Lane: "room-1/sample", Num: pos, Time: time.Now().Add(-age), Fresh: 2 * time.Second, Payload: fmt.Appendf(nil, `{"seq":%d}`, pos),
		}})
	}
	q.mu.Unlock()
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

func (q *fakeQueue) Peek(after uint64, maxItems, _ int) ([]buffer.Item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reads++
	if q.readErr != nil {
		return nil, q.readErr
	}
	from := min(max(after, q.acked), uint64(len(q.items)))
	return q.items[from:min(int(from)+maxItems, len(q.items))], nil
}

func (q *fakeQueue) Ack(upto uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.acked = upto
	return nil
}

func (q *fakeQueue) Quarantine(pos uint64, _ string) error {
	if q.hangs != nil {
		<-q.hangs
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tries++; q.quarantineErr != nil {
		return q.quarantineErr
	}
	q.quarantined = append(q.quarantined, pos)
	return nil
}

func (q *fakeQueue) Changed() <-chan struct{} { return q.changed }

// fakeBroker makes connections; what each publish brings is up to a hook.
type fakeBroker struct {
	publish     func(publish.Message) (Receipt, error) // nil = confirmed at once
	refuse      error                                  // of Connect
	undelivered bool                                   // the delivery proof has failed
	backoff     time.Duration
	onClose     func()

	mu       sync.Mutex
	connects []time.Time
	conn     *fakeConn
	sent     []publish.Message
	closed   int
}

type fakeConn struct {
	broker *fakeBroker
	lost   chan struct{}
	err    error
}

func (b *fakeBroker) Connect(context.Context) (Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connects = append(b.connects, time.Now())
	if b.refuse != nil {
		return nil, b.refuse
	}
	b.conn = &fakeConn{broker: b, lost: make(chan struct{})}
	return b.conn, nil
}

func (b *fakeBroker) Backoff() time.Duration     { return b.backoff }
func (b *fakeBroker) Topic(suffix string) string { return "p/pc/" + suffix }
func (b *fakeBroker) Status() publish.Status     { return publish.Status{State: publish.Connected} }

// cut ends the connection of the moment.
func (b *fakeBroker) cut(class publish.Class) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn.err = &publish.Error{Class: class, Op: "connection to", Err: errors.New("cut")}
	close(b.conn.lost)
}

// messages are those of a topic, in order.
func (b *fakeBroker) messages(topic string) (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.sent {
		if m.Topic == topic {
			out = append(out, string(m.Payload))
		}
	}
	return out
}

func (c *fakeConn) Publish(m publish.Message) (Receipt, error) {
	b := c.broker
	if b.publish != nil {
		r, err := b.publish(m)
		if err != nil {
			return nil, err
		}
		b.note(m)
		return r, nil
	}
	b.note(m)
	return confirmed(nil), nil
}

func (b *fakeBroker) note(m publish.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, m)
}

func (c *fakeConn) Deliverable() bool {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	return !c.broker.undelivered
}
func (c *fakeConn) WaitProof(context.Context) publish.Proof { return publish.Proof{} }
func (c *fakeConn) Lost() <-chan struct{}                   { return c.lost }
func (c *fakeConn) Err() error                              { return c.err }
func (c *fakeConn) Close(context.Context) error {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	c.broker.closed++
	if c.broker.onClose != nil {
		c.broker.onClose()
	}
	return nil
}

// fakeReceipt is done when its channel is closed.
type fakeReceipt struct {
	done chan struct{}
	err  error
}

func (r *fakeReceipt) Done() <-chan struct{} { return r.done }
func (r *fakeReceipt) Err() error            { <-r.done; return r.err }

func confirmed(err error) *fakeReceipt {
	r := &fakeReceipt{done: make(chan struct{}), err: err}
	close(r.done)
	return r
}

// drainOver runs a drainer over fakes in a synctest bubble until stop is called.
func drainOver(t *testing.T, b *fakeBroker) (d *Drainer, q *fakeQueue, log *hosttest.Log, stop func()) {
	t.Helper()
	q, log = &fakeQueue{changed: make(chan struct{}, 1)}, &hosttest.Log{}
	d = New(Options{
		Queue: q, Newest: record.NewNewest(1), Window: 5, Log: log.Logger(),
		Announce: func(ev record.Event) bool {
			if ev.Done != nil {
				ev.Done(true)
			}
			return true
		},
	})
	d.Broker = b
	ctx, cancel := context.WithCancel(t.Context())
	grace, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { d.Run(ctx, grace); close(ended) }()
	return d, q, log, func() { cancel(); time.Sleep(time.Second); end(); <-ended }
}

func TestTheDrainBeatsWhateverTheBrokerDoes(t *testing.T) {
	for name, b := range map[string]*fakeBroker{
		"connected and idle": {},
		"unreachable":        {refuse: errors.New("refused"), backoff: 2 * time.Minute},
		"silent":             {publish: func(publish.Message) (Receipt, error) { return &fakeReceipt{done: make(chan struct{})}, nil }},
		"proof failed":       {undelivered: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, q, _, stop := drainOver(t, b)
				q.put(10, 0)
				longest := time.Duration(0)
				for range 600 {
					time.Sleep(time.Second)
					longest = max(longest, d.Heartbeat.Silent())
				}
				if longest > beatEvery {
					t.Errorf("no sign of life for %v", longest)
				}
				stop()
				time.Sleep(time.Hour)
				if d.Heartbeat.Silent() == 0 {
					t.Error("it has never beaten")
				}
			})
		})
	}
}

func TestConnectionsArePausedByTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{refuse: errors.New("refused"), backoff: 30 * time.Second}
		_, _, log, stop := drainOver(t, b)
		time.Sleep(10 * time.Minute)
		stop()
		if n := len(b.connects); n < 20 || n > 21 {
			t.Errorf("%d connections in 10 minutes with a backoff of 30 s", n)
		}
		if n := log.Count("connect to broker failed"); n < 2 || n > 3 {
			t.Errorf("%d log lines in 10 minutes, want one each five minutes", n)
		}
	})
}

func TestASilentOrSlowBrokerIsNotBlamedOnARecord(t *testing.T) {
	for _, class := range []publish.Class{publish.ClassSilent, publish.ClassClosed, publish.ClassSameID} {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeBroker{backoff: time.Second, publish: func(publish.Message) (Receipt, error) { return &fakeReceipt{done: make(chan struct{})}, nil }}
			_, q, _, stop := drainOver(t, b)
			q.put(10, 0)
			for range 10 {
				time.Sleep(time.Minute)
				b.cut(class)
			}
			stop()
			if len(q.quarantined) != 0 || q.acked != 0 {
				t.Errorf("%s: quarantined %v, acknowledged %d", class, q.quarantined, q.acked)
			}
		})
	}
}

func TestARecordThatCutsThreeSteadyConnectionsIsQuarantinedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{backoff: time.Second, publish: func(publish.Message) (Receipt, error) { return &fakeReceipt{done: make(chan struct{})}, nil }}
		_, q, _, stop := drainOver(t, b)
		q.put(3, 0)
		for range 2 {
			time.Sleep(time.Minute)
			b.cut(publish.ClassLost)
		}
		for range 20 { // not steady: the record is not even sent
			time.Sleep(steadyFor)
			synctest.Wait()
			if n := len(b.messages("p/pc/room-1/sample")); n != 6 {
				t.Fatalf("%d messages: the suspect went over a young connection", n)
			}
			b.cut(publish.ClassLost)
		}
		if len(q.quarantined) != 0 {
			t.Fatal("quarantined by connections that died young")
		}
		time.Sleep(time.Minute)
		if n := len(b.messages("p/pc/room-1/sample")); n != 7 {
			t.Fatalf("%d messages over a steady connection, want the suspect alone", n)
		}
		b.cut(publish.ClassLost)
		time.Sleep(time.Second)
		stop()
		if len(q.quarantined) != 1 || q.quarantined[0] != 1 {
			t.Errorf("quarantined %v, want record 1", q.quarantined)
		}
	})
}

func TestAStoreThatCannotBeReadIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		_, q, log, stop := drainOver(t, b)
		q.mu.Lock()
		q.readErr = errors.New("input/output error")
		q.mu.Unlock()
		q.put(3, 0)
		time.Sleep(time.Minute)
		q.mu.Lock()
		reads := q.reads
		q.readErr = nil
		q.mu.Unlock()
		time.Sleep(readRetry)
		stop()
		if reads < 10 || reads > 20 {
			t.Errorf("%d reads in a minute", reads)
		}
		if q.acked != 3 || log.Count("read from store works again") != 1 {
			t.Errorf("%d records delivered after the store was well again\n%s", q.acked, log)
		}
	})
}

func TestAFullConnectionIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		full.Store(true)
		b := &fakeBroker{}
		b.publish = func(publish.Message) (Receipt, error) {
			if full.Load() {
				return nil, &publish.Error{Class: publish.ClassWindow, Err: errors.New("full")}
			}
			return confirmed(nil), nil
		}
		_, q, _, stop := drainOver(t, b)
		q.put(3, 0)
		time.Sleep(time.Second)
		full.Store(false)
		time.Sleep(sendRetry)
		stop()
		if q.acked != 3 {
			t.Errorf("%d of 3 records delivered", q.acked)
		}
	})
}

func TestNothingGoesWhileTheProofHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{undelivered: true}
		d, q, _, stop := drainOver(t, b)
		q.put(3, 0)
		d.Newest.Set(record.Sample{Device: "room-1", Payload: []byte("{}"), At: time.Now(), Fresh: time.Hour})
		time.Sleep(time.Minute)
		if len(b.sent) != 0 || q.acked != 0 {
			t.Errorf("%d messages went", len(b.sent))
		}
		b.mu.Lock()
		b.undelivered = false
		b.mu.Unlock()
		d.Proof(publish.Proof{State: publish.ProofProven})
		time.Sleep(time.Second)
		stop()
		if q.acked != 3 || len(b.messages("p/pc/room-1/state")) != 1 {
			t.Errorf("%d records and %d states went after the proof", q.acked, len(b.messages("p/pc/room-1/state")))
		}
	})
}

func TestAFailedProofIsAnnouncedOnceForAsLongAsItLasts(t *testing.T) {
	announced := 0
	log := &hosttest.Log{}
	d := New(Options{Log: log.Logger(), Announce: func(ev record.Event) bool {
		if ev.Type == "agent.undelivered" {
			announced++
		}
		return true
	}})
	for _, state := range []publish.ProofState{
		publish.ProofFailed, publish.ProofPending, publish.ProofFailed, publish.ProofProven, publish.ProofFailed,
		publish.ProofUnproven, publish.ProofUnproven,
	} {
		d.Proof(publish.Proof{State: state})
	}
	if announced != 2 {
		t.Errorf("announced %d times, want once for each of two failures", announced)
	}
	if log.Count("delivery proof failed") != 2 || log.Count("level=WARN") != 1 {
		t.Errorf("the log:\n%s", log)
	}
}

// Connections that end quickly, each with its proof, do not fill the log.
func TestTheSameProofIsLoggedEveryFiveMinutesAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, state := range []publish.ProofState{publish.ProofFailed, publish.ProofUnproven, publish.ProofProven} {
			log := &hosttest.Log{}
			d := New(Options{Log: log.Logger(), Announce: func(record.Event) bool { return true }})
			for range 20 * 60 {
				d.Proof(publish.Proof{State: state, Detail: time.Now().String()})
				time.Sleep(time.Second)
			}
			if n := log.Count("msg="); n != 4 {
				t.Errorf("%s: %d lines in 20 minutes, want 4", state, n)
			}
		}
	})
}

func TestTheStateOfTheMomentGoesOverANewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{refuse: errors.New("refused"), backoff: time.Second}
		d, _, _, stop := drainOver(t, b)
		d.Newest.Set(record.Sample{Device: "room-1", Payload: []byte("{}"), At: time.Now(), Fresh: time.Hour})
		time.Sleep(10 * time.Second)
		<-d.Newest.Changed() // nothing wakes the drain but the connection
		b.mu.Lock()
		b.refuse = nil
		b.mu.Unlock()
		time.Sleep(2 * time.Second)
		stop()
		if n := len(b.messages("p/pc/room-1/state")); n != 1 {
			t.Errorf("%d states", n)
		}
	})
}

// TestAStateThatIsHeldBackGoesOverANewConnection: with a long state_interval too a
// broker that lost what it had retained soon has it again.
func TestAStateThatIsHeldBackGoesOverANewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{backoff: time.Second}
		d, _, _, stop := drainOver(t, b)
		d.Newest.StateInterval = time.Hour
		for range 10 {
			d.Newest.Set(record.Sample{Device: "room-1", Shows: "idle", Payload: []byte("{}"), At: time.Now(), Fresh: time.Hour})
			time.Sleep(5 * time.Second)
		}
		if n := len(b.messages("p/pc/room-1/state")); n != 1 {
			t.Errorf("%d states over one connection", n)
		}
		b.cut(publish.ClassLost)
		time.Sleep(5 * time.Second)
		stop()
		if n := len(b.messages("p/pc/room-1/state")); n != 2 {
			t.Errorf("%d states after a new connection, want 2", n)
		}
	})
}

func TestAStopWaitsForWhatIsInFlightThenLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var receipts []*fakeReceipt
		b := &fakeBroker{}
		b.publish = func(publish.Message) (Receipt, error) {
			r := &fakeReceipt{done: make(chan struct{})}
			receipts = append(receipts, r)
			return r, nil
		}
		_, q, _, stop := drainOver(t, b)
		q.put(3, 0)
		synctest.Wait()
		go func() {
			time.Sleep(500 * time.Millisecond) // while the drain stops
			close(receipts[0].done)
			receipts[1].err = errors.New("lost")
			close(receipts[1].done)
			close(receipts[2].done)
		}()
		stop()
		if q.acked != 1 {
			t.Errorf("acknowledged up to %d, want 1: record 2 was not confirmed", q.acked)
		}
		if b.closed != 1 {
			t.Errorf("the connection was closed %d times", b.closed)
		}
	})
}

func TestWhatIsConfirmedWhileLeavingIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := &fakeReceipt{done: make(chan struct{})}
		b := &fakeBroker{publish: func(publish.Message) (Receipt, error) { return late, nil }}
		b.onClose = func() { close(late.done) } // beyond the grace, with the disconnect
		_, q, _, stop := drainOver(t, b)
		q.put(1, 0)
		synctest.Wait()
		stop()
		if q.acked != 1 {
			t.Errorf("acknowledged up to %d, want 1", q.acked)
		}
	})
}

func TestARecordThatCannotBeSentWaitsForThoseBeforeItAndIsAnnouncedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &fakeReceipt{done: make(chan struct{})}
		b := &fakeBroker{}
		b.publish = func(m publish.Message) (Receipt, error) {
			switch string(m.Payload[:8]) {
			case `{"seq":1`:
				return first, nil
			case `{"seq":2`:
				return nil, &publish.Error{Class: publish.ClassMessage, Op: "publish to", Err: errors.New("too long")}
			}
			return confirmed(nil), nil
		}
		d, q, _, stop := drainOver(t, b)
		announced := 0
		d.Announce = func(record.Event) bool { announced++; return true } // the disk is busy: Done does not come yet
		q.put(2, 0)
		time.Sleep(time.Minute)
		if announced != 0 {
			t.Error("it was passed over a record that is not confirmed yet")
		}
		close(first.done)
		for range 5 {
			time.Sleep(time.Second)
			q.put(1, 0)
		}
		stop()
		if announced != 1 {
			t.Errorf("announced %d times", announced)
		}
	})
}
