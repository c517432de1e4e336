package record

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// collecting is a recorder with a commit interval, over a fake store.
func collecting(t *testing.T, s *fakeStore, every time.Duration) *Recorder {
	r := recorderOver(t, s, nil)
	r.commitEvery = every
	return r
}

// shown is the newest sample of a room that is handed out for its state topic.
func shown(t *testing.T, r *Recorder, room string) map[string]any {
	t.Helper()
	for _, s := range taken(r.newest, time.Now()) {
		if s.Device == room {
			return fields(t, s.Payload)
		}
	}
	t.Fatalf("no state of %s", room)
	return nil
}

func TestPollsAreCollectedAndCommittedTogetherAndTheStateGoesOutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := collecting(t, s, 30*time.Second)
		defer recording(t, r)()
		for i := range 6 {
			r.polled("room-1", activeStatus, nil)
			r.polled("room-2", idleStatus, nil)
			synctest.Wait()
			if f := shown(t, r, "room-1"); f["recorded"] != 0.0 || f["seq"] != nil || f["id"] != nil || f["in_call"] != 1.0 {
				t.Fatalf("the state of poll %d is %v", i, f)
			}
			if n := s.commits(); n != 0 {
				t.Fatalf("%d commits after %d polls of each room", n, i+1)
			}
			time.Sleep(5*time.Second - 1)
		}
		synctest.Wait()
		if n, held := s.commits(), r.Stats().Collected; n != 0 || held != 12 {
			t.Fatalf("%d commits before the interval is over, %d polls are collected", n, held)
		}
		time.Sleep(10 * time.Nanosecond)
		synctest.Wait()
		if n := s.commits(); n != 1 || len(s.lane("room-1/sample")) != 6 || len(s.lane("room-2/sample")) != 6 || len(s.lane("room-1/event")) != 1 {
			t.Errorf("%d commits with the records %v", n, s.records())
		}
		if n := r.Stats().Collected; n != 0 {
			t.Errorf("%d polls count as collected after the commit", n)
		}
		numbered(t, s.lane("room-1/sample"))
		r.polled("room-3", idleStatus, nil)
		time.Sleep(30*time.Second - 1)
		if n := s.commits(); n != 1 {
			t.Errorf("%d commits, want the next one an interval after the next poll", n)
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		if n := s.commits(); n != 2 {
			t.Errorf("%d commits, want 2", n)
		}
		if f := fields(t, r.newest.Of("room-3")); f["recorded"] != nil || f["seq"] != 1.0 {
			t.Errorf("the state of a poll that is committed is %v", f)
		}
	})
}

// A reload stops the recorder like a stop.
func TestAStopCommitsWhatWasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := collecting(t, s, 5*time.Minute)
		stop := recording(t, r)
		for range 3 {
			r.polled("room-1", activeStatus, nil)
			time.Sleep(time.Second)
		}
		r.Announce(started())
		synctest.Wait()
		if s.commits() != 0 {
			t.Fatal("there was a commit before")
		}
		stop()
		if len(s.lane("room-1/sample")) != 3 || len(s.lane(OwnEvents)) != 1 || r.missedTotal() != 0 {
			t.Errorf("after the stop the store has %v, %d are missed", s.records(), r.missedTotal())
		}
	})
}

func TestWhatIsCollectedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := collecting(t, s, 5*time.Minute)
		defer recording(t, r)()
		for i := range 3 * commitMax {
			r.polled(fmt.Sprint("room-", 1+i%3), idleStatus, nil)
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		if n := s.commits(); n != 3 || len(r.pending.polls) != 0 {
			t.Errorf("%d commits, %d polls held; want a commit for each %d polls", n, len(r.pending.polls), commitMax)
		}
	})
}

// The drain waits for the announcement of a quarantine; a connection for a new epoch.
func TestWhatSomebodyWaitsForIsCommittedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := collecting(t, s, 5*time.Minute)
		defer recording(t, r)()
		r.polled("room-1", idleStatus, nil)
		r.Announce(started())
		synctest.Wait()
		if n := s.commits(); n != 0 {
			t.Fatalf("%d commits although nobody waits", n)
		}
		ev, onDisk := started(), false
		ev.Done = func(yes bool) { onDisk = yes }
		r.Announce(ev)
		synctest.Wait()
		if !onDisk || s.commits() != 1 || len(s.lane("room-1/sample")) != 1 {
			t.Errorf("on disk: %v, %d commits", onDisk, s.commits())
		}
		r.polled("room-1", idleStatus, nil)
		r.SameClientID()
		synctest.Wait()
		if n := len(s.lane("room-1/sample")); n != 2 {
			t.Errorf("%d samples, want both: a new epoch began", n)
		}
	})
}

func TestAKillLosesOnlyWhatWasCollectedAndNoNumberIsUsedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var killed atomic.Bool
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if killed.Load() {
				return errors.New("killed")
			}
			return nil
		}}
		r := collecting(t, s, 10*time.Second)
		stop := recording(t, r)
		for range 10 {
			r.polled("room-1", activeStatus, nil)
			synctest.Wait()
			if f := shown(t, r, "room-1"); f["seq"] != nil && f["seq"].(float64) > float64(len(s.lane("room-1/sample"))) {
				t.Fatalf("shown with a number that is not on disk: %v", f)
			}
			time.Sleep(3 * time.Second)
		}
		before := len(s.lane("room-1/sample"))
		if before == 0 || before == 10 {
			t.Fatalf("%d of 10 polls are accepted before the kill", before)
		}
		killed.Store(true)
		stop()
		saved := map[string][]byte{}
		for _, b := range s.batches {
			maps.Copy(saved, b.State)
		}
		killed.Store(false)
		next := collecting(t, s, 10*time.Second)
		if err := next.restore(saved); err != nil {
			t.Fatal(err)
		}
		stop = recording(t, next)
		next.polled("room-1", activeStatus, nil)
		synctest.Wait()
		stop()
		if got := s.lane("room-1/sample"); len(got) != before+1 {
			t.Errorf("%d samples, want %d", len(got), before+1)
		}
		numbered(t, s.lane("room-1/sample"))
	})
}

// A restored backup is noticed by what the retained states say is published, also where
// the newest poll of each device is always one that is collected.
func TestTheStateOfACollectedPollTellsWhatIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := collecting(t, s, 10*time.Second)
		defer recording(t, r)()
		<-r.Compare(nil, true) // a connection
		synctest.Wait()
		read := func() report.Identity {
			r.polled("room-1", activeStatus, nil)
			synctest.Wait()
			states := taken(r.newest, time.Now())
			if len(states) == 0 {
				t.Fatal("no state")
			}
			id, ok := report.ReadIdentity(states[0].Payload)
			if !ok || !bytes.Contains(states[0].Payload, []byte(`"recorded":0`)) {
				t.Fatalf("the state of a poll that is collected: %s", states[0].Payload)
			}
			return id
		}
		if id := read(); id.Seq != 0 {
			t.Errorf("before the first commit: %+v", id)
		}
		time.Sleep(11 * time.Second)
		id := read()
		if id.Kind != "sample" || id.Seq != 1 {
			t.Errorf("after a commit of one sample: %+v", id)
		}
		restored := collecting(t, &fakeStore{}, 10*time.Second)
		if _, behind, inUse := restored.behind([]report.Identity{id}); !behind || !inUse {
			t.Error("a store without that sample does not notice it")
		}
		if _, behind, _ := r.behind([]report.Identity{id}); behind {
			t.Error("the store that has it is believed to be behind")
		}
	})
}

// A number of the old epoch under the name of the new one would be an id that nobody used,
// and lead to the next epoch.
func TestWhileANewEpochBeginsAStateNamesNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := collecting(t, &fakeStore{}, 10*time.Second)
		stop := recording(t, r)
		r.polled("room-1", activeStatus, nil)
		synctest.Wait()
		stop()
		for _, next := range []*newEpoch{nil, {Epoch: 7}} {
			r.identity.next = next
			time.Sleep(time.Second)
			r.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: activeStatus})
			if id, _ := report.ReadIdentity(r.newest.Of("room-1")); (id.Seq == 1) != (next == nil) {
				t.Errorf("new epoch %v: %+v", next, id)
			}
		}
	})
}

func TestWhatIsCollectedOverAFullDiskIsAcceptedOrAnnouncedAsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		full.Store(true)
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if full.Load() {
				return buffer.ErrFull
			}
			return nil
		}}
		r := collecting(t, s, 10*time.Second)
		stop := recording(t, r)
		for range pollsMax + 40 {
			r.polled("room-1", idleStatus, nil)
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if err := r.Stats().Err; !errors.Is(err, buffer.ErrFull) {
			t.Fatalf("the store fails with %v", err)
		}
		full.Store(false)
		time.Sleep(20 * time.Second)
		stop()
		missed := s.missedEvents(t)
		if len(s.lane("room-1/sample")) != pollsMax || len(missed) != 1 || missed[0] != "room-1 40 store_failing" {
			t.Errorf("%d samples, announced %v", len(s.lane("room-1/sample")), missed)
		}
	})
}
