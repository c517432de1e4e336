package record

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/agent/report"
	"roomcall/buffer"
)

// missedEvents are the announcements, as "room-1 162 store_failing".
func (s *fakeStore) missedEvents(t *testing.T) (out []string) {
	t.Helper()
	for _, rec := range s.lane("agent/event") {
		if f := fields(t, rec.Payload); f["type"] == "agent.missed" {
			if f["severity"] != "critical" || f["since_ms"] == nil || f["text"] == nil {
				t.Errorf("%s", rec.Payload)
			}
			out = append(out, fmt.Sprint(f["of_device"], " ", f["count"], " ", f["reason"]))
		}
	}
	return out
}

// TestWhatTheDiskMissedIsAnnouncedPerDevice: a full disk, more polls than memory
// holds, and the announcement as soon as something is accepted again.
func TestWhatTheDiskMissedIsAnnouncedPerDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		full.Store(true)
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if full.Load() {
				return buffer.ErrFull
			}
			return nil
		}}
		log := &hosttest.Log{}
		r := recorderOver(t, s, log.Logger())
		stop := recording(t, r)
		began := time.Now()
		for range pollsMax { // twice as many as memory holds
			for _, room := range []string{"room-1", "room-2"} {
				r.polled(room, idleStatus, nil)
				synctest.Wait()
			}
			time.Sleep(100 * time.Millisecond)
		}
		for range eventsMax + 70 {
			r.Announce(started())
			synctest.Wait()
		}
		list := r.Stats().Missed
		if len(list) != 3 || list[1].Device != "room-1" || list[1].Reason != missedFailing || list[1].Count+list[2].Count != pollsMax {
			t.Fatalf("the statistics have %v", list)
		}
		want := []string{"agent 70 store_failing", fmt.Sprintf("room-1 %d store_failing", list[1].Count), fmt.Sprintf("room-2 %d store_failing", list[2].Count)}
		full.Store(false)
		time.Sleep(2 * retryEvery)
		r.polled("room-1", idleStatus, nil)
		time.Sleep(10 * time.Second)
		stop()
		got := s.missedEvents(t)
		if !slices.Equal(got, want) {
			t.Errorf("announced %v, want %v", got, want)
		}
		for _, rec := range s.lane("agent/event") {
			f := fields(t, rec.Payload)
			if since, _ := f["since_ms"].(float64); f["of_device"] == "room-1" && (since < float64(began.UnixMilli()) || since > float64(began.Add(time.Minute).UnixMilli())) {
				t.Errorf("since %v, want the time of the first poll that was missed, soon after %d", f["since_ms"], began.UnixMilli())
			}
		}
		if n := log.Count("record polls failed"); n != 1 || log.Count("record polls works again") != 1 {
			t.Errorf("%d lines of the log:\n%s", n, log)
		}
		if log.Count("could not be announced") != 0 {
			t.Error("it is said not to be announced")
		}
	})
}

// TestWhatAStopLeavesIsAnnouncedByTheNextRecorderOfTheProcess: as after a reload while the
// disk is full.
func TestWhatAStopLeavesIsAnnouncedByTheNextRecorderOfTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := &fakeStore{appendHook: func(buffer.Batch) error { return buffer.ErrFull }}
		r := recorderOver(t, full, nil)
		stop := recording(t, r)
		for range 7 {
			r.polled("room-1", idleStatus, nil)
		}
		synctest.Wait()
		stop()
		s := &fakeStore{}
		next, err := New(Options{Reporter: r.reporter, Store: s, Newest: NewNewest(3), Devices: 3,
			Unsaid: r.Unsaid(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		stop = recording(t, next)
		time.Sleep(tidyEvery)
		stop()
		if got := s.missedEvents(t); !slices.Equal(got, []string{"room-1 7 stopped"}) || next.missedTotal() != 7 {
			t.Errorf("announced %v, counted %d", got, next.missedTotal())
		}
	})
}

func TestAThousandDevicesMissedAtOnceAreAnnouncedInPortions(t *testing.T) {
	s := &fakeStore{}
	r := recorderOver(t, s, nil)
	for i := range 1000 {
		r.miss(fmt.Sprintf("room-%d", i), missedBusy, time.Now())
		r.miss(fmt.Sprintf("room-%d", i), missedFailing, time.Now())
	}
	at := time.Now()
	for range 10 {
		r.commit(at)
	}
	for _, b := range s.batches {
		if len(b.Records) > announceMax {
			t.Errorf("a commit of %d records", len(b.Records))
		}
	}
	if n := len(s.missedEvents(t)); n != 2000 {
		t.Errorf("%d announced, want 2000", n)
	}
}

// TestMissingAgainAndAgainIsAnnouncedOnceAMinuteAtMost: the announcements of a poll
// that is always rejected must not become a flood themselves.
func TestMissingAgainAndAgainIsAnnouncedOnceAMinuteAtMost(t *testing.T) {
	s := &fakeStore{appendHook: func(b buffer.Batch) error {
		for _, rec := range b.Records {
			if strings.HasPrefix(rec.Lane, "room-2/") {
				return buffer.ErrRefused
			}
		}
		return nil
	}}
	r := recorderOver(t, s, nil)
	at := time.Now()
	for range 600 { // ten minutes
		for _, room := range []string{"room-1", "room-2"} {
			r.hold(&report.Poll{Device: room, At: at, Status: idleStatus})
		}
		r.commit(at)
		at = at.Add(time.Second)
	}
	r.commit(at.Add(time.Minute))
	if n := len(s.lane("room-1/sample")); n != 600 {
		t.Errorf("%d of 600 good polls", n)
	}
	total, list := 0, s.missedEvents(t)
	for _, m := range list {
		var n int
		fmt.Sscanf(m, "room-2 %d store_rejected", &n)
		total += n
	}
	if len(list) > 12 || total != 600 {
		t.Errorf("%d announcements of %d polls, want about ten of 600", len(list), total)
	}
}

// TestAStoreThatRejectsEverythingLosesNothing: it is the store and not the polls that
// are to blame.
func TestAStoreThatRejectsEverythingLosesNothing(t *testing.T) {
	for _, n := range []int{1, 3, 100} {
		reject := true
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if reject {
				return fmt.Errorf("%w: state has 40 MB", buffer.ErrRefused)
			}
			return nil
		}}
		r := recorderOver(t, s, nil)
		r.holdEvent(started())
		for range n {
			r.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
		}
		for range 5 {
			if r.commit(time.Now()) {
				t.Fatal("accepted")
			}
		}
		if st := r.Stats(); r.missedTotal() != 0 || st.Err == nil || r.pending.count() != n+1 {
			t.Errorf("%d polls: %d lost, %d held, error %v", n, r.missedTotal(), r.pending.count(), st.Err)
		}
		reject = false
		r.commit(time.Now())
		if got := len(s.lane("room-1/sample")); got != n {
			t.Errorf("%d of %d polls", got, n)
		}
		numbered(t, s.lane("room-1/sample"))
	}
}

// TestTheStateIsShownWhileTheStoreAcceptsNothing: with each poll, as not recorded, and
// as recorded when the store has it after all.
func TestTheStateIsShownWhileTheStoreAcceptsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if full.Load() {
				return buffer.ErrFull
			}
			return nil
		}}
		r := recorderOver(t, s, nil)
		defer recording(t, r)()
		status := idleStatus
		shown := func() map[string]any {
			t.Helper()
			r.polled("room-1", status, nil)
			time.Sleep(gatherFor)
			synctest.Wait()
			got := taken(r.newest, time.Now())
			if len(got) != 1 {
				t.Fatalf("%d states after a poll", len(got))
			}
			time.Sleep(5 * time.Second)
			return fields(t, got[0].Payload)
		}
		if f := shown(); f["seq"] != 1.0 || f["recorded"] != nil {
			t.Fatalf("%v", f)
		}
		full.Store(true)
		status = activeStatus
		call := any(nil)
		for range 3 {
			f := shown()
			if call == nil {
				call = f["call_id"]
			}
			if f["call_id"] != call {
				t.Fatalf("call %v goes on as %v", call, f["call_id"])
			}
			if f["recorded"] != 0.0 || f["seq"] != nil || f["id"] != nil || f["in_call"] != 1.0 || f["call_id"] == nil || f["device"] != "room-1" {
				t.Fatalf("%v", f)
			}
		}
		full.Store(false)
		time.Sleep(2 * retryEvery)
		synctest.Wait()
		got := taken(r.newest, time.Now())
		if len(got) != 1 || fields(t, got[0].Payload)["seq"] != 4.0 {
			t.Errorf("%d states after the store works again", len(got))
		}
		if f := shown(); f["seq"] != 5.0 || f["recorded"] != nil {
			t.Errorf("%v", f)
		}
	})
}

// TestADiskThatHangsLosesNoMoreThanAFullOne: while a commit, or a read to make room for
// one, does not come back, polls wait in memory up to the same bound, states are shown,
// and a stop ends.
func TestADiskThatHangsLosesNoMoreThanAFullOne(t *testing.T) {
	for name, over := range map[string]func(disk func()) *fakeStore{
		"commit": func(disk func()) *fakeStore {
			return &fakeStore{appendHook: func(buffer.Batch) error { disk(); return nil }}
		},
		"making room": func(disk func()) *fakeStore {
			return &fakeStore{due: func() *buffer.Eviction { disk(); return nil }}
		},
	} {
		t.Run(name, func(t *testing.T) { testDiskThatHangs(t, over) })
	}
}

func testDiskThatHangs(t *testing.T, over func(disk func()) *fakeStore) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Pointer[chan struct{}]
		s := over(func() {
			if c := hang.Load(); c != nil {
				<-*c
			}
		})
		log := &hosttest.Log{}
		r := recorderOver(t, s, log.Logger())
		stop := recording(t, r)
		poll := func(n int) {
			for range n {
				r.polled("room-1", activeStatus, nil)
				time.Sleep(100 * time.Millisecond)
			}
		}
		poll(1)
		disk := make(chan struct{})
		hang.Store(&disk)
		poll(pollsMax + 60)
		synctest.Wait()
		if got := taken(r.newest, time.Now()); len(got) != 1 || fields(t, got[0].Payload)["recorded"] != 0.0 {
			t.Errorf("the state is not shown while the disk hangs")
		}
		if st := r.Stats(); r.missedTotal() != 60 || st.Err == nil {
			t.Errorf("%d polls lost, error %v", r.missedTotal(), st.Err)
		}
		close(disk)
		hang.Store(nil)
		time.Sleep(time.Second)
		poll(1)
		synctest.Wait()
		numbered(t, s.lane("room-1/sample"))
		if n := len(s.lane("room-1/sample")); n != pollsMax+2 {
			t.Errorf("%d samples", n)
		}
		if got := s.missedEvents(t); len(got) != 1 || got[0] != "room-1 60 store_failing" {
			t.Errorf("announced %v", got)
		}

		disk = make(chan struct{})
		hang.Store(&disk)
		poll(1)
		before := time.Now()
		stop()
		if took := time.Since(before); took > stopGrace || log.Count("could not be announced") != 1 {
			t.Errorf("the stop took %v\n%s", took, log)
		}
		close(disk)
	})
}
