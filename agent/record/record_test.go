package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

// recording runs a recorder in a synctest bubble until stop is called.
func recording(t *testing.T, r *Recorder) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	return func() { cancel(); <-ended }
}

// TestPollsOfOneTickShareACommit: a poll waits a moment for others that are under way, and
// not at all for any that is not.
func TestPollsOfOneTickShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := recorderOver(t, s, nil)
		defer recording(t, r)()
		commits := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if n := s.commits(); n != want {
				t.Errorf("%d commits, want %d", n, want)
			}
		}
		r.polledBeside(2, "room-1", idleStatus, nil)
		commits(gatherFor-1, 0)
		if n := r.Stats().Collected; n != 0 {
			t.Errorf("status shows %d collected polls without a commit interval", n)
		}
		commits(1, 1)
		r.polledBeside(1, "room-2", idleStatus, nil)
		commits(gatherFor/2, 1)
		r.polledBeside(1, "room-3", idleStatus, nil)
		commits(gatherFor/2, 2)
		r.polledBeside(1, "room-1", idleStatus, nil)
		commits(gatherFor/2, 2)
		r.polledBeside(0, "room-2", idleStatus, nil)
		commits(0, 3)
		r.polledBeside(0, "room-1", idleStatus, nil)
		commits(0, 4)
		if n := len(s.records()); n != 6 {
			t.Errorf("%d records", n)
		}
	})
}

// With samples and streams not recorded most polls give no record.
func TestPollsAndEventsWithoutARecordAreCommittedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := recorderOver(t, s, nil)
		r.reporter = reporterFor(t, []string{"event"}, "room-1")
		stop := recording(t, r)
		for range 3 {
			r.polled("room-1", idleStatus, nil)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if s.commits() != 3 || len(s.records()) != 0 {
			t.Errorf("%d commits with %d records, want 3 with none", s.commits(), len(s.records()))
		}
		if shown, _ := r.newest.Samples("room-1", time.Time{}, 10); len(shown) != 3 {
			t.Errorf("%d samples shown", len(shown))
		}
		for range 70 { // more than an hour may have
			r.Announce(clockEvent(time.Now(), host.Elapsed{Step: time.Hour}))
			synctest.Wait()
		}
		stop()
		if r.pending.count() != 0 || r.missedTotal() != 0 {
			t.Errorf("%d polls and %d events are left, %d lost", len(r.pending.polls), len(r.pending.events), r.missedTotal())
		}
	})
}

// TestWhatComesWhileTheStoreIsAskedIsCommittedAtOnce: also where the batch has nothing
// but what time brings, or nothing at all.
func TestWhatComesWhileTheStoreIsAskedIsCommittedAtOnce(t *testing.T) {
	for name, ev := range map[string]*buffer.Eviction{"nothing": nil, "an eviction": {}} {
		synctest.Test(t, func(t *testing.T) {
			s, asked := &fakeStore{}, make(chan struct{}, 1)
			r := recorderOver(t, s, nil)
			s.due = func() *buffer.Eviction {
				select {
				case asked <- struct{}{}:
				default:
					return nil
				}
				r.polled("room-1", idleStatus, nil)
				time.Sleep(time.Millisecond) // the recorder holds it
				return ev
			}
			defer recording(t, r)()
			for len(asked) == 0 {
				time.Sleep(time.Second)
			}
			time.Sleep(2 * time.Millisecond)
			if n := len(s.lane("room-1/sample")); n != 1 {
				t.Errorf("%s: %d samples", name, n)
			}
		})
	}
}

func TestPollingGoesOnWhileTheStoreBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var blocked atomic.Bool
		free := make(chan struct{})
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if blocked.Load() {
				<-free
			}
			return nil
		}}
		r := recorderOver(t, s, nil)
		polls := 0
		poll := func(n int) {
			for range n {
				r.polled("room-1", activeStatus, nil)
				polls++
				time.Sleep(5 * time.Second)
			}
		}
		stop := recording(t, r)
		poll(4)
		blocked.Store(true)
		before := time.Now()
		poll(24)
		if took := time.Since(before); took != 2*time.Minute {
			t.Errorf("24 polls took %v while the disk hangs: a poll waited for it", took)
		}
		blocked.Store(false)
		close(free)
		poll(4)
		stop()
		samples := s.lane("room-1/sample")
		numbered(t, samples)
		if len(samples) != polls {
			t.Errorf("%d samples for %d polls", len(samples), polls)
		}
	})
}

// TestDiskFull: polls wait in memory, are written in order when there is space
// again, no number is used twice, and the log is not flooded.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if full.Load() {
				return fmt.Errorf("append: %w", buffer.ErrFull)
			}
			return nil
		}}
		log := &hosttest.Log{}
		r := recorderOver(t, s, log.Logger())
		stop := recording(t, r)
		poll := func(n int) {
			for range n {
				r.polled("room-1", activeStatus, nil)
				time.Sleep(5 * time.Second)
			}
		}
		poll(3)
		full.Store(true)
		poll(132) // 11 minutes
		synctest.Wait()
		if n := len(s.lane("room-1/sample")); n != 3 {
			t.Errorf("%d samples accepted, want the 3 before the disk was full", n)
		}
		if n := log.Count("write to store failed"); n != 3 { // at once, after 5 and after 10 minutes
			t.Errorf("%d error lines in 11 minutes, want 3", n)
		}
		if log.Count("free space on the disk") == 0 {
			t.Error("no hint in the log")
		}
		r.Announce(started())
		full.Store(false)
		poll(3)
		stop()
		if n := log.Count("write to store works again"); n != 1 {
			t.Errorf("%d recovery lines, want 1", n)
		}
		for lane, want := range map[string]int{"room-1/sample": 138, "room-1/stream": 138, "agent/event": 1} {
			list := s.lane(lane)
			numbered(t, list)
			if len(list) != want {
				t.Errorf("%s: %d records, want %d", lane, len(list), want)
			}
		}
	})
}

func TestPollsHeldInMemoryAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := true
		s := &fakeStore{appendHook: func(buffer.Batch) error {
			if full {
				return buffer.ErrFull
			}
			return nil
		}}
		r := recorderOver(t, s, nil)
		for range pollsMax + 50 {
			r.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
			time.Sleep(time.Second)
		}
		for range eventsMax + 50 {
			r.holdEvent(started())
		}
		if r.commit(time.Now()) {
			t.Fatal("a full disk took the records")
		}
		if len(r.pending.polls) != pollsMax || len(r.pending.events) != eventsMax {
			t.Errorf("%d polls and %d events are held, want %d and %d", len(r.pending.polls), len(r.pending.events), pollsMax, eventsMax)
		}
		newest := time.Now().Add(-time.Second) // of the last poll
		full = false
		if !r.commit(time.Now()) {
			t.Fatal("the store took nothing")
		}
		list := s.lane("room-1/sample")
		numbered(t, list)
		if len(list) != pollsMax || !list[len(list)-1].Time.Equal(newest) {
			t.Errorf("%d samples, the newest of %v; want the newest %d", len(list), list[len(list)-1].Time, pollsMax)
		}
		if r.missedTotal() != 100 {
			t.Errorf("%d polls and events are counted as never accepted, want 100", r.missedTotal())
		}
	})
}

// TestEvictionIsRememberedInTheBatchThatCommitsItAndAnnouncedWithTheNextDelivery: the
// hole is on disk with the eviction, and told when somebody can hear it.
func TestEvictionIsRememberedInTheBatchThatCommitsItAndAnnouncedWithTheNextDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ev := &buffer.Eviction{Gaps: []buffer.Gap{{Lane: "room-1/stream", First: 7, Last: 9, Count: 3, Reason: "max_bytes"}}}
		fail := true
		s := &fakeStore{due: func() *buffer.Eviction { return ev }}
		s.appendHook = func(b buffer.Batch) error {
			if fail {
				return errors.New("disk")
			}
			if b.Evict != nil {
				ev = nil
			}
			return nil
		}
		r := recorderOver(t, s, nil)
		poll := func() bool {
			r.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
			return r.commit(time.Now())
		}
		if poll() {
			t.Fatal("the store failed")
		}
		fail = false
		if !poll() {
			t.Fatal("the store took nothing")
		}
		if s.batches[0].Evict == nil || !strings.Contains(string(s.batches[0].State[gapsKey]), `"first":7,"last":9,"count":3`) {
			t.Fatalf("the first batch does not carry the eviction with its gap: %s", s.batches[0].State[gapsKey])
		}
		if poll(); len(s.lane("agent/event")) != 0 {
			t.Fatal("announced while nothing is delivered")
		}
		s.cursor = 1
		poll()
		poll()
		events := s.lane("agent/event")
		if len(events) != 1 {
			t.Fatalf("%d events, want one agent.gap", len(events))
		}
		got := fields(t, events[0].Payload)
		want := map[string]any{
			"type": "agent.gap", "of_device": "room-1", "kind": "stream", "first_seq": 7.0, "last_seq": 9.0,
			"count": 3.0, "reason": "max_bytes", "seq": 1.0, "device": "agent",
		}
		for key, v := range want {
			if got[key] != v {
				t.Errorf("%s is %v, want %v: %s", key, got[key], v, events[0].Payload)
			}
		}
		if r.stats.Evicted != 3 {
			t.Errorf("%d records are counted as evicted, want 3", r.stats.Evicted)
		}
		if r.committed.gaps[0].Seq == 0 || r.committed.gaps[0].Pos == 0 {
			t.Error("the gap is forgotten before its announcement is delivered")
		}
		_, s.cursor = s.Progress()
		poll()
		if len(r.committed.gaps) != 0 {
			t.Error("the gap is remembered though its announcement is delivered")
		}
	})
}

func TestMinuteIsReportedByTimeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := recorderOver(t, s, nil)
		defer recording(t, r)()
		r.polled("room-1", activeStatus, nil)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if n := len(s.lane("room-1/minute")); n != 1 {
			t.Errorf("%d minute records 90 s after the last poll, want 1", n)
		}
	})
}

func TestWhatWasRecordedBeforeTheStopIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		r := recorderOver(t, s, nil)
		r.Announce(started())
		for range 10 {
			r.polled("room-1", idleStatus, nil)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r.Run(ctx)
		if len(s.lane("room-1/sample")) != 10 || len(s.lane("agent/event")) != 1 {
			t.Errorf("%d samples and %d events, want 10 and 1", len(s.lane("room-1/sample")), len(s.lane("agent/event")))
		}
	})
}

func TestDamageIsAnnouncedOnce(t *testing.T) {
	s := &fakeStore{damage: func() []buffer.Damage {
		return []buffer.Damage{{
			Segment: "seg-1.db", Reason: "page 4: bad checksum", Salvaged: 10, Lost: 2, KeptAs: "damaged/seg-1.db", At: time.Now(),
			Gaps: []buffer.Gap{{Lane: "room-1/sample", First: 4, Last: 5, Count: 2, Reason: "damage"}},
		}}
	}}
	r := recorderOver(t, s, nil)
	for range 3 {
		r.checkDamage()
		r.commit(time.Now())
	}
	var types []any
	for _, rec := range s.lane("agent/event") {
		types = append(types, fields(t, rec.Payload)["type"])
	}
	if len(types) != 2 || types[0] != "agent.store_damaged" || types[1] != "agent.gap" {
		t.Errorf("events %v, want agent.store_damaged and agent.gap once", types)
	}
}

func TestStepOfTheWallClockIsAnnounced(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		s := &fakeStore{}
		log := &hosttest.Log{}
		r := recorderOver(t, s, log.Logger())
		r.clock.Wall = hosttest.Set(time.Now(), -step) // less time went by than the wall clock says
		r.checkClock()
		r.checkClock()
		r.commit(time.Now())
		events := s.lane("agent/event")
		if len(events) != 1 {
			t.Fatalf("step of %v: %d events, want 1", step, len(events))
		}
		got := fields(t, events[0].Payload)
		v, _ := got["value"].(float64)
		if got["type"] != "agent.clock_step" || v < step.Seconds()-2 || v > step.Seconds()+2 {
			t.Errorf("step of %v: %s", step, events[0].Payload)
		}
		if log.Count("wall clock stepped") != 1 || r.stats.ClockSteps != 1 {
			t.Errorf("step of %v: %d log lines, %d counted", step, log.Count("wall clock stepped"), r.stats.ClockSteps)
		}
	}
}

func TestUsualPassingOfTimeIsNoStep(t *testing.T) {
	s := &fakeStore{}
	r := recorderOver(t, s, nil)
	r.clock.Wall = hosttest.Set(time.Now(), -1500*time.Millisecond)
	r.checkClock()
	r.commit(time.Now())
	if n := len(s.lane("agent/event")); n != 0 {
		t.Errorf("%d events for 1.5 s", n)
	}
}

func TestALossThatNobodyCanCountIsNotCalledNone(t *testing.T) {
	for want, damage := range map[string]buffer.Damage{
		"1 records salvaged, how many are lost is not known; the broken file is kept as x": {Salvaged: 1, Reset: true, KeptAs: "x"},
		"1 records salvaged, at least 4 lost":                                              {Salvaged: 1, Lost: 4, Reset: true},
		"2 records salvaged, 4 lost":                                                       {Salvaged: 2, Lost: 4},
		"2 records salvaged, 0 lost":                                                       {Salvaged: 2},
	} {
		if text := damageEvents(damage)[0].Detail; !strings.HasSuffix(text, want) {
			t.Errorf("event says %q, want %q", text, want)
		}
	}
}

func TestOnlyWhatTheStoreRejectsIsLeftOut(t *testing.T) {
	for name, c := range map[string]struct{ rejected, what string }{
		"a poll":   {`"device":"room-2"`, "poll of room-2"},
		"an event": {`"agent.started"`, "event agent.started"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &fakeStore{appendHook: func(b buffer.Batch) error {
				for _, rec := range b.Records {
					if strings.Contains(string(rec.Payload), c.rejected) {
						return fmt.Errorf("append: %w", buffer.ErrRefused)
					}
				}
				return nil
			}}
			log := &hosttest.Log{}
			r := recorderOver(t, s, log.Logger())
			r.pending.holdEvent(started())
			r.pending.holdEvent(clockEvent(time.Now(), host.Elapsed{Step: time.Hour}))
			for _, room := range []string{"room-1", "room-2", "room-3", "room-1"} {
				r.pending.hold(&report.Poll{Device: room, At: time.Now(), Status: idleStatus})
			}
			if !r.commit(time.Now()) || r.pending.count() != 0 {
				t.Fatalf("%d polls and events are left", r.pending.count())
			}
			rooms, events := 4, 2
			if c.rejected == `"agent.started"` {
				events--
			} else {
				rooms--
			}
			samples := len(s.lane("room-1/sample")) + len(s.lane("room-2/sample")) + len(s.lane("room-3/sample"))
			events++ // agent.missed
			if samples != rooms || len(s.lane("agent/event")) != events || r.missedTotal() != 1 {
				t.Errorf("%d samples, %d events, %d lost; want %d, %d and 1", samples, len(s.lane("agent/event")), r.missedTotal(), rooms, events)
			}
			numbered(t, s.lane("room-1/sample"))
			numbered(t, s.lane("agent/event"))
			if log.Count("what=\""+c.what) != 1 {
				t.Errorf("the log does not name what was left out:\n%s", log)
			}
		})
	}
}

func TestAStoreThatAlwaysWantsToEvictDoesNotHoldTheRecorder(t *testing.T) {
	s := &fakeStore{due: func() *buffer.Eviction {
		return &buffer.Eviction{Gaps: []buffer.Gap{{Lane: "room-1/sample", First: 1, Last: 1, Count: 1, Reason: "max_bytes"}}}
	}}
	r := recorderOver(t, s, nil)
	for range 3 {
		r.pending.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
	}
	if !r.commit(time.Now()) || s.commits() > 4 {
		t.Errorf("%d commits for three polls", s.commits())
	}
}

func TestTheRecorderBeatsWhateverTheStoreDoes(t *testing.T) {
	for _, fail := range []error{nil, errors.New("disk")} {
		synctest.Test(t, func(t *testing.T) {
			r := recorderOver(t, &fakeStore{appendHook: func(buffer.Batch) error { return fail }}, nil)
			defer recording(t, r)()
			for range 100 {
				if time.Sleep(time.Second); r.Heartbeat.Silent() > tidyEvery {
					t.Fatalf("store says %v: no sign of life for %v", fail, r.Heartbeat.Silent())
				}
				r.polled("room-1", idleStatus, nil)
			}
		})
	}
}

func TestWhatIsNeverAcceptedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := &fakeStore{appendHook: func(buffer.Batch) error { return buffer.ErrFull }}
		log := &hosttest.Log{}
		r := recorderOver(t, full, log.Logger())
		for range cap(r.polls) + 3 { // nobody reads
			r.polled("room-1", idleStatus, nil)
		}
		taken := 0
		for range cap(r.events) + 2 {
			if r.Announce(started()) {
				taken++
			}
		}
		if got := r.missedTotal(); got != 5 || taken != cap(r.events) {
			t.Errorf("%d lost, %d events accepted; want 5 and %d", got, taken, cap(r.events))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r.Run(ctx)
		if got, want := r.missedTotal(), uint64(5+cap(r.polls)+cap(r.events)); got != want {
			t.Errorf("%d lost after the stop with a full disk, want %d", got, want)
		}
		if log.Count("polls and events in memory are lost") != 2 { // a line a reason
			t.Errorf("the log does not say what was lost:\n%s", log)
		}
	})
}

func TestAnEventsFollowUpComesWhenTheEventIsOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		fail, done := true, 0
		s.appendHook = func(buffer.Batch) error {
			if done != 0 {
				t.Error("the follow-up came before the commit")
			}
			if fail {
				return errors.New("disk")
			}
			return nil
		}
		r := recorderOver(t, s, nil)
		ev := started()
		ev.Done = func(onDisk bool) {
			if done++; !onDisk {
				t.Error("it is said not to be on disk")
			}
		}
		r.pending.holdEvent(ev)
		r.commit(time.Now())
		if fail = false; done != 0 {
			t.Fatal("the follow-up came although the commit failed")
		}
		r.commit(time.Now())
		r.commit(time.Now())
		if done != 1 || len(s.lane("agent/event")) != 1 {
			t.Errorf("%d follow-ups and %d events, want one each", done, len(s.lane("agent/event")))
		}
	})
}

func TestAPollsRawBytesAreNotHeld(t *testing.T) {
	r := recorderOver(t, &fakeStore{}, nil)
	st := idleStatus
	st.Raw = make([]byte, 1<<20)
	r.polled("room-1", st, nil)
	if p := <-r.polls; p.Status.Raw != nil {
		t.Errorf("%d raw bytes wait in memory for the store", len(p.Status.Raw))
	}
}

func TestStatesOfOthersAreInTheFirstCommitOnly(t *testing.T) {
	s := &fakeStore{}
	r := recorderOver(t, s, nil)
	r.pending.states = map[string][]byte{".run": []byte("x")}
	for range 2 {
		r.pending.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
		r.commit(time.Now())
	}
	if string(s.batches[0].State[".run"]) != "x" || s.batches[0].State["room-1"] == nil {
		t.Errorf("the first commit has the states %v", s.batches[0].State)
	}
	if _, again := s.batches[1].State[".run"]; again {
		t.Error("it is written with each commit")
	}
}

func TestACommitIsBoundedInBytes(t *testing.T) {
	s := &fakeStore{}
	r := recorderOver(t, s, nil)
	st := activeStatus
	for range 60 {
		st.VideoRecv = append(st.VideoRecv, cgi.Stream{Active: true, BitrateKbps: cgi.Known(900), Codec: "H.264"})
	}
	at := time.Now()
	for i := range commitMax {
		r.pending.hold(&report.Poll{Device: "room-1", At: at.Add(time.Duration(i) * time.Second), Status: st})
	}
	r.commit(at)
	if len(s.batches) < 2 {
		t.Fatalf("%d commits for %d large polls", len(s.batches), commitMax)
	}
	for _, b := range s.batches {
		bytes := 0
		for _, rec := range b.Records {
			bytes += len(rec.Payload)
		}
		if bytes > commitBytes+64<<10 { // one poll more
			t.Errorf("a commit of %d bytes", bytes)
		}
	}
}

func TestRoomIsMadeForRecordsAndStates(t *testing.T) {
	s := &fakeStore{}
	r := recorderOver(t, s, nil)
	r.pending.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
	r.commit(time.Now())
	r.pending.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
	if _, err := r.makeBatch(time.Now(), commitMax, true); err != nil {
		t.Fatal(err)
	}
	payload := int64(len(s.lane("room-1/sample")[0].Payload))
	if s.asked < payload+4096 {
		t.Errorf("room for %d bytes was asked for; the payload alone has %d, a state takes a page", s.asked, payload)
	}
	for _, device := range []string{"room-1", "room-2", "room-3"} {
		r.pending.hold(&report.Poll{Device: device, At: time.Now(), Status: idleStatus})
	}
	r.commit(time.Now())
	b, err := r.makeBatch(time.Now().Add(3*time.Minute), commitMax, true)
	if err != nil {
		t.Fatal(err)
	}
	want := buffer.Batch{Records: b.out.Records}.Room() + int64(len(b.states))*4096
	if len(b.out.Records) < 2 || s.asked < want {
		t.Errorf("room for %d bytes was asked for; with the minute that is over the batch has %d records and needs %d", s.asked, len(b.out.Records), want)
	}
}

func TestAMinuteIsClosedOnceAndNotBeforeItsLastPollsAreIn(t *testing.T) {
	s := &fakeStore{}
	r := recorderOver(t, s, nil)
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range commitMax + 1 { // more than one commit holds, all in one minute
		r.pending.hold(&report.Poll{Device: "room-1", At: minute.Add(time.Duration(i) * 100 * time.Millisecond), Status: activeStatus})
	}
	r.commit(minute.Add(time.Minute + minuteGrace - time.Second))
	if n := len(s.lane("room-1/minute")); n != 0 {
		t.Fatalf("%d minutes closed a second after their end: a poll may still be on its way", n)
	}
	r.commit(minute.Add(60*time.Second + minuteGrace))
	r.commit(minute.Add(10 * time.Minute))
	list := s.lane("room-1/minute")
	if len(list) != 1 {
		t.Fatalf("%d minute records, want 1", len(list))
	}
	if n := fields(t, list[0].Payload)["samples"]; n != float64(commitMax+1) {
		t.Errorf("the minute has %v samples, want %d", n, commitMax+1)
	}

	for i := range commitMax + 1 { // the same, but the disk was full meanwhile
		r.pending.hold(&report.Poll{Device: "room-2", At: minute.Add(time.Duration(i) * 100 * time.Millisecond), Status: activeStatus})
	}
	r.commit(minute.Add(20 * time.Minute))
	if n := len(s.lane("room-2/minute")); n != 1 {
		t.Errorf("%d minute records after a full disk, want 1", n)
	}
}

func TestACommittedSampleIsThePresentForTwoIntervals(t *testing.T) {
	r := recorderOver(t, &fakeStore{}, nil)
	at := time.Now()
	r.pending.hold(&report.Poll{Device: "room-1", At: at, Status: activeStatus})
	r.commit(at)
	select {
	case <-r.newest.Changed():
	default:
		t.Error("the drain is not told of the new sample")
	}
	if got := taken(r.newest, at.Add(10*time.Second)); len(got) != 1 { // polled every 5 s
		t.Errorf("%d samples after two intervals", len(got))
	}
}

func TestAFailingDiskIsNotAskedWithEachPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		r := recorderOver(t, &fakeStore{appendHook: func(buffer.Batch) error { asked++; return errors.New("disk") }}, nil)
		stop := recording(t, r)
		for range 200 { // 20 s
			r.polled("room-1", idleStatus, nil)
			time.Sleep(100 * time.Millisecond)
		}
		stop() // which asks once more
		if limit := 2 + int(20*time.Second/retryEvery); asked > limit {
			t.Errorf("asked %d times in 20 s, want at most %d", asked, limit)
		}
	})
}

// TestStatesAreCommittedWithoutARecord: nobody polls, and what changes only states is on
// disk all the same, once.
func TestStatesAreCommittedWithoutARecord(t *testing.T) {
	left := report.State{}
	leftState, err := left.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		saved  map[string][]byte
		cursor uint64
		happen func(r *Recorder)
		want   func(b buffer.Batch) bool
	}{
		"states of others, at the start": {
			want: func(b buffer.Batch) bool { return string(b.State[".run"]) == "x" && b.State[offlineKey] != nil },
		},
		"the connection has ended": {
			happen: func(r *Recorder) { <-r.Compare(nil, true); r.Offline() },
			want:   func(b buffer.Batch) bool { return b.State[offlineKey] != nil },
		},
		"the announcement of a gap is delivered": {
			saved:  map[string][]byte{gapsKey: []byte(`[{"lane":"room-1/sample","first":1,"last":2,"count":2,"reason":"max_bytes","epoch":1,"seq":3,"pos":900}]`)},
			cursor: 900,
			want:   func(b buffer.Batch) bool { blob, there := b.State[gapsKey]; return there && blob == nil },
		},
		"a device has left, and nothing of it is recorded": {
			saved: map[string][]byte{"room-9": leftState},
			want:  func(b buffer.Batch) bool { return b.State["room-9"] != nil && b.State[leftKey] != nil },
		},
		"the retained state of a device that left is cleared": {
			saved: map[string][]byte{leftKey: []byte(`["room-9"]`)},
			happen: func(r *Recorder) {
				sample, _ := r.newest.Take(time.Now())
				sample.Cleared()
			},
			want: func(b buffer.Batch) bool { blob, there := b.State[leftKey]; return there && blob == nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStore{}
				r, err := New(Options{
					Reporter: reporterFor(t, []string{"sample"}, "room-1"), Store: s, Newest: NewNewest(1), Devices: 1,
					Log: slog.New(slog.DiscardHandler), Saved: c.saved, States: map[string][]byte{".run": []byte("x")},
				})
				if err != nil {
					t.Fatal(err)
				}
				s.cursor = c.cursor
				defer recording(t, r)()
				if c.happen != nil {
					c.happen(r)
				}
				time.Sleep(2 * tidyEvery)
				synctest.Wait()
				found := 0
				for _, b := range s.batches {
					if c.want(b) {
						found++
					}
				}
				if found != 1 || len(s.records()) != 0 {
					t.Fatalf("%d commits have it, with %d records, want one with none", found, len(s.records()))
				}
				commits := s.commits()
				time.Sleep(10 * tidyEvery)
				if synctest.Wait(); s.commits() != commits {
					t.Errorf("%d commits more for nothing", s.commits()-commits)
				}
			})
		})
	}
}

func TestTheCauseOfAStoreThatAcceptsNothingIsNamed(t *testing.T) {
	for want, err := range map[string]error{
		"full": fmt.Errorf("x: %w", buffer.ErrFull), "no_answer": errHangs, "missing": fmt.Errorf("x: %w", fs.ErrNotExist),
		"not_writable": fs.ErrPermission, "failed": errors.New("x"),
	} {
		if got := StoreCause(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
		if code := health.StoreCode(health.Buffer{State: "failed", Cause: want}); code != "store_"+want {
			t.Errorf("%s has the words of %s", want, code)
		}
	}
}

func TestSinceWhenTheStoreFailsIsKnown(t *testing.T) {
	var fail error
	r := recorderOver(t, &fakeStore{appendHook: func(buffer.Batch) error { return fail }}, nil)
	since := func(err error) time.Time {
		fail = err
		r.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
		r.commit(time.Now())
		return r.Stats().FailingSince
	}
	if at := since(nil); !at.IsZero() {
		t.Errorf("it works, and fails since %v", at)
	}
	first := since(errors.New("disk"))
	if again := since(errors.New("another")); first.IsZero() || !again.Equal(first) {
		t.Errorf("since %v, then since %v", first, again)
	}
	if at := since(nil); !at.IsZero() {
		t.Errorf("it works again, and fails since %v", at)
	}
}
