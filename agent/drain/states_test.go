package drain

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/record"
	"roomcall/publish"
)

// TestAThousandStatesAllReachTheBroker: over a connection that has room for a few, the
// newest of each device, and the records are not held up.
func TestAThousandStatesAllReachTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices, room = 1000, 30
		var inFlight atomic.Int64
		b := &fakeBroker{}
		b.publish = func(publish.Message) (Receipt, error) {
			if inFlight.Load() == room {
				return nil, &publish.Error{Class: publish.ClassWindow, Err: errors.New("full")}
			}
			inFlight.Add(1)
			r := &fakeReceipt{done: make(chan struct{})}
			time.AfterFunc(10*time.Millisecond, func() { inFlight.Add(-1); close(r.done) })
			return r, nil
		}
		d, q, _, stop := drainOver(t, b)
		set := func(n int) {
			for i := range devices {
				d.Newest.Set(record.Sample{Device: fmt.Sprint("room-", i), Payload: fmt.Appendf(nil, "%d", n), At: time.Now(), Fresh: time.Hour})
			}
		}
		set(1)
		d.Proof(publish.Proof{State: publish.ProofProven}) // wakes the drain
		time.Sleep(time.Second)
		set(2)
		q.put(100, 0)
		d.Proof(publish.Proof{State: publish.ProofProven})
		time.Sleep(time.Minute)
		stop()
		for i := range devices {
			got := b.messages(fmt.Sprintf("p/pc/room-%d/state", i))
			if len(got) == 0 || got[len(got)-1] != "2" || len(got) > 2 {
				t.Fatalf("room-%d: states %v", i, got)
			}
		}
		if q.acked != 100 {
			t.Errorf("%d of 100 records beside the states", q.acked)
		}
	})
}

// TestAStateThatWasNotConfirmedGoesAgain: with the next connection.
func TestAStateThatWasNotConfirmedGoesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{backoff: time.Second}
		b.publish = func(publish.Message) (Receipt, error) {
			if len(b.connects) == 1 {
				return &fakeReceipt{done: make(chan struct{})}, nil
			}
			return confirmed(nil), nil
		}
		d, _, _, stop := drainOver(t, b)
		d.Newest.Set(record.Sample{Device: "room-1", Payload: []byte("x"), At: time.Now(), Fresh: time.Hour})
		time.Sleep(time.Second)
		b.cut(publish.ClassLost)
		time.Sleep(10 * time.Second)
		stop()
		if got := b.messages("p/pc/room-1/state"); len(got) != 2 {
			t.Errorf("states %v, want it once over each connection", got)
		}
	})
}

func TestAStateThatCanNeverBeSentHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		b.publish = func(m publish.Message) (Receipt, error) {
			if string(m.Payload) == "bad" {
				return nil, &publish.Error{Class: publish.ClassMessage, Op: "publish to", Err: errors.New("too long")}
			}
			return confirmed(nil), nil
		}
		d, _, log, stop := drainOver(t, b)
		d.Newest.Set(record.Sample{Device: "room-1", Payload: []byte("bad"), At: time.Now(), Fresh: time.Hour})
		d.Newest.Set(record.Sample{Device: "room-2", Payload: []byte("good"), At: time.Now(), Fresh: time.Hour})
		time.Sleep(time.Minute)
		stop()
		if len(b.messages("p/pc/room-2/state")) != 1 || log.Count("publish state of room-1") != 1 {
			t.Errorf("%d states of room-2; the log:\n%s", len(b.messages("p/pc/room-2/state")), log)
		}
	})
}

// TestAQuarantineThatFailsIsTriedAgain: the announcement when it was lost, the store
// when it failed, each within bounds, and announced once.
func TestAQuarantineThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		b.publish = func(m publish.Message) (Receipt, error) {
			if string(m.Payload[:8]) == `{"seq":1` {
				return nil, &publish.Error{Class: publish.ClassMessage, Op: "publish to", Err: errors.New("too long")}
			}
			return confirmed(nil), nil
		}
		d, q, log, stop := drainOver(t, b)
		refused, announced := 0, 0
		d.Announce = func(ev record.Event) bool {
			switch {
			case refused < 3: // too many events wait
				refused++
				return false
			case announced == 0:
				announced++
				go func() { time.Sleep(time.Second); ev.Done(false) }() // held, and dropped at the bound
			default:
				announced++
				go func() { time.Sleep(time.Second); ev.Done(true) }()
			}
			return true
		}
		q.mu.Lock()
		q.quarantineErr = errors.New("input/output error")
		q.mu.Unlock()
		q.put(3, 0)
		time.Sleep(time.Minute)
		q.mu.Lock()
		if q.tries < 5 || q.tries > 15 {
			t.Errorf("the store was asked %d times in a minute", q.tries)
		}
		if len(q.quarantined) != 0 || q.acked != 0 {
			t.Error("the record left the queue")
		}
		q.quarantineErr = nil
		q.mu.Unlock()
		time.Sleep(2 * readRetry)
		stop()
		if len(q.quarantined) != 1 || announced != 2 || log.Count("quarantine record failed") != 1 {
			t.Errorf("quarantined %v, announced %d times\n%s", q.quarantined, announced, log)
		}
	})
}

// TestTheRecorderWaitsForNoQuarantine: it calls Done on its own goroutine; the store
// may take as long as it likes to quarantine the record.
func TestTheRecorderWaitsForNoQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{publish: func(publish.Message) (Receipt, error) {
			return nil, &publish.Error{Class: publish.ClassMessage, Op: "publish to", Err: errors.New("too long")}
		}}
		d, q, _, stop := drainOver(t, b)
		q.hangs = make(chan struct{})
		settle := make(chan func(bool), 1)
		d.Announce = func(ev record.Event) bool { settle <- ev.Done; return true }
		q.put(1, 0)
		done := <-settle
		var returned atomic.Bool
		go func() { done(true); returned.Store(true) }()
		time.Sleep(time.Minute)
		if !returned.Load() {
			t.Error("the recorder waits for the store")
		}
		close(q.hangs)
		time.Sleep(time.Second)
		stop()
		if len(q.quarantined) != 1 {
			t.Errorf("quarantined %v, want record 1", q.quarantined)
		}
	})
}

// TestARecordIsQuarantinedAsSoonAsItIsAnnounced: also while no broker answers, and
// while the agent stops.
func TestARecordIsQuarantinedAsSoonAsItIsAnnounced(t *testing.T) {
	for _, while := range []string{"no broker answers", "the agent stops"} {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeBroker{backoff: time.Hour, publish: func(publish.Message) (Receipt, error) {
				return nil, &publish.Error{Class: publish.ClassMessage, Op: "publish to", Err: errors.New("too long")}
			}}
			d, q, _, stop := drainOver(t, b)
			settle := make(chan func(bool), 1)
			d.Announce = func(ev record.Event) bool { settle <- ev.Done; return true }
			q.put(1, 0)
			done := <-settle
			switch while {
			case "no broker answers":
				b.cut(publish.ClassSilent)
				time.Sleep(time.Minute)
				done(true)
				synctest.Wait()
				q.mu.Lock()
				if len(q.quarantined) != 1 {
					t.Errorf("%s: quarantined %v, want record 1", while, q.quarantined)
				}
				q.mu.Unlock()
				stop()
			case "the agent stops":
				b.onClose = func() { done(true) }
				stop()
				if len(q.quarantined) != 1 {
					t.Errorf("%s: quarantined %v, want record 1", while, q.quarantined)
				}
			}
		})
	}
}

// TestAStoreThatCannotBeReadDelaysNoState: each has a pause of its own.
func TestAStoreThatCannotBeReadDelaysNoState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := time.Now().Add(time.Second)
		b := &fakeBroker{publish: func(publish.Message) (Receipt, error) {
			if time.Now().Before(full) {
				return nil, &publish.Error{Class: publish.ClassWindow, Err: errors.New("full")}
			}
			return confirmed(nil), nil
		}}
		d, q, _, stop := drainOver(t, b)
		q.mu.Lock()
		q.readErr = errors.New("input/output error")
		q.mu.Unlock()
		d.Newest.Set(record.Sample{Device: "room-1", Payload: []byte("x"), At: time.Now(), Fresh: time.Hour})
		q.put(1, 0)
		time.Sleep(time.Second + 2*sendRetry)
		if n := len(b.messages("p/pc/room-1/state")); n != 1 {
			t.Errorf("%d states", n)
		}
		stop()
	})
}

// TestAFailedProofWhoseAnnouncementWasRefusedIsAnnouncedWithTheNext: nothing counts as
// announced before it is.
func TestAFailedProofWhoseAnnouncementWasRefusedIsAnnouncedWithTheNext(t *testing.T) {
	asked := 0
	d := New(Options{Log: slog.New(slog.DiscardHandler), Announce: func(record.Event) bool { asked++; return asked > 1 }})
	for range 3 {
		d.Proof(publish.Proof{State: publish.ProofFailed})
	}
	if asked != 2 {
		t.Errorf("announced %d times, want twice: the first was refused", asked)
	}
}

// TestAnEventOfTheAgentThatTheBrokerRejectsMakesNoNewOne: its announcement would be
// rejected like itself, and so on without an end.
func TestAnEventOfTheAgentThatTheBrokerRejectsMakesNoNewOne(t *testing.T) {
	q, announced := &fakeQueue{changed: make(chan struct{}, 1)}, 0
	d := New(Options{Queue: q, Log: slog.New(slog.DiscardHandler), Announce: func(record.Event) bool { announced++; return true }})
	d.quarantine(inflight{pos: 7, topic: "agent/event", seq: 3}, "rejected")
	d.quarantine(inflight{pos: 7, topic: "agent/event", seq: 3}, "rejected")
	if len(q.quarantined) != 1 || announced != 0 {
		t.Errorf("quarantined %v, %d announcements", q.quarantined, announced)
	}
	d.quarantine(inflight{pos: 8, topic: "room-1/event", seq: 3}, "rejected")
	if announced != 1 {
		t.Errorf("%d announcements of a room's event", announced)
	}
}

// TestStatesInFlightAreBoundedAndRefusedOnesGoAgain: a broker that confirms no state
// holds no record up, and what it refuses is sent again.
func TestStatesInFlightAreBoundedAndRefusedOnesGoAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []*fakeReceipt
		b := &fakeBroker{}
		b.publish = func(m publish.Message) (Receipt, error) {
			if !m.Retain || len(held) > statesMax {
				return confirmed(nil), nil
			}
			r := &fakeReceipt{done: make(chan struct{}), err: errors.New("refused")}
			held = append(held, r)
			return r, nil
		}
		d, q, _, stop := drainOver(t, b)
		for i := range 2 * statesMax {
			d.Newest.Set(record.Sample{Device: fmt.Sprint("room-", i), Payload: []byte("x"), At: time.Now(), Fresh: time.Hour})
		}
		q.put(20, 0)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(held) != statesMax || q.acked != 20 {
			t.Errorf("%d states in flight, want %d; %d of 20 records delivered", len(held), statesMax, q.acked)
		}
		held = append(held, nil) // from here on the broker confirms
		for _, r := range held[:statesMax] {
			close(r.done)
		}
		time.Sleep(10 * time.Second)
		stop()
		for i := range 2 * statesMax {
			if n := len(b.messages(fmt.Sprintf("p/pc/room-%d/state", i))); n < 1 || n > 2 {
				t.Fatalf("%d states of room-%d", n, i)
			}
		}
		if n := len(b.sent) - 20; n != 3*statesMax {
			t.Errorf("%d states were sent, want the refused ones twice", n)
		}
	})
}

// TestAnEmptyStateGoesUntilItIsConfirmed: that of a device which has left.
func TestAnEmptyStateGoesUntilItIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{backoff: time.Second}
		var empty atomic.Int64
		b.publish = func(m publish.Message) (Receipt, error) {
			if m.Retain && len(m.Payload) == 0 {
				empty.Add(1)
			}
			if len(b.connects) == 1 {
				return &fakeReceipt{done: make(chan struct{})}, nil
			}
			return confirmed(nil), nil
		}
		d, _, _, stop := drainOver(t, b)
		cleared := 0
		d.Newest.Clear("room-9", func() { cleared++ })
		time.Sleep(time.Second)
		if cleared != 0 {
			t.Error("counts as cleared without the broker's word")
		}
		b.cut(publish.ClassLost)
		time.Sleep(10 * time.Second)
		stop()
		if got := b.messages("p/pc/room-9/state"); len(got) != 2 || empty.Load() != 2 || cleared != 1 {
			t.Errorf("%d messages, %d empty ones, cleared %d times", len(got), empty.Load(), cleared)
		}
	})
}
