package record

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/agent/report"
	"roomcall/buffer"
)

// evicting is a fake store that evicts what it is told to, once.
type evicting struct {
	fakeStore
	next []buffer.Gap
}

func newEvicting() *evicting {
	s := &evicting{}
	s.due = func() *buffer.Eviction {
		if s.next == nil {
			return nil
		}
		return &buffer.Eviction{Gaps: s.next}
	}
	s.appendHook = func(b buffer.Batch) error {
		if b.Evict != nil {
			s.next = nil
		}
		return nil
	}
	return s
}

func lost(lane string, first, last uint64) buffer.Gap {
	return buffer.Gap{Lane: lane, First: first, Last: last, Count: last - first + 1, Reason: "max_age"}
}

// gapEvents are the announced gaps, as "room-1/sample 1-9 9".
func (s *fakeStore) gapEvents(t *testing.T) (out []string) {
	t.Helper()
	for _, rec := range s.lane("agent/event") {
		if f := fields(t, rec.Payload); f["type"] == "agent.gap" {
			out = append(out, fmt.Sprint(f["of_device"], "/", f["kind"], " ", f["first_seq"], "-", f["last_seq"], " ", f["count"]))
		}
	}
	return out
}

// again makes a recorder that goes on from what the store has, as after a restart.
func again(t *testing.T, r *Recorder, s Store, states map[string][]byte) *Recorder {
	t.Helper()
	next, err := New(Options{Reporter: r.reporter, Store: s, Newest: NewNewest(1), Log: slog.New(slog.DiscardHandler), Saved: states})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// state is all that the store has of states.
func (s *fakeStore) state() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for _, b := range s.batches {
		for key, blob := range b.State {
			if out[key] = blob; blob == nil {
				delete(out, key)
			}
		}
	}
	return out
}

func TestAnOutageGivesOneGapATopicAlsoOverRestarts(t *testing.T) {
	s := newEvicting()
	r := recorderOver(t, s, nil)
	at := time.Now()
	for i := range uint64(300) { // five hours, an eviction a minute
		s.next = []buffer.Gap{lost("room-1/sample", 4*i+1, 4*i+4), lost("room-2/sample", i+1, i+1)}
		if i%50 == 7 { // a kill
			r = again(t, r, s, s.state())
		}
		at = at.Add(time.Minute)
		r.commit(at)
	}
	if got := s.gapEvents(t); len(got) != 0 {
		t.Fatalf("announced while nothing was delivered: %v", got)
	}
	r = again(t, r, s, s.state())
	s.cursor = 1
	for range 5 {
		at = at.Add(time.Second)
		r.commit(at)
	}
	got := s.gapEvents(t)
	if len(got) != 2 || got[0] != "room-1/sample 1-1200 1200" || got[1] != "room-2/sample 1-300 300" {
		t.Errorf("announced %v, want one range a topic", got)
	}
}

func TestWhileEvictionAndDeliveryBothGoOnATopicIsAnnouncedOnceAMinuteAtMost(t *testing.T) {
	s := newEvicting()
	r := recorderOver(t, s, nil)
	at := time.Now()
	for i := range uint64(600) { // ten minutes
		s.next = []buffer.Gap{lost("room-1/sample", i+1, i+1)}
		at = at.Add(time.Second)
		r.commit(at)
		_, s.cursor = s.Progress()
		s.past++ // other records come and go
	}
	s.delivered = true
	r.commit(at.Add(time.Minute))
	got, next := s.gapEvents(t), 1
	for _, g := range got {
		var first, last, count int
		fmt.Sscanf(g, "room-1/sample %d-%d %d", &first, &last, &count)
		if first != next || count != last-first+1 {
			t.Fatalf("%s comes after %d: each hole has to be told once", g, next-1)
		}
		next = last + 1
	}
	if len(got) < 9 || len(got) > 12 || next != 601 {
		t.Errorf("%d announcements up to %d, want about ten for 600 holes", len(got), next-1)
	}
}

// TestAGapWhoseAnnouncementIsEvictedIsAnnouncedAgain: as one range with the new gap,
// also after a restart, and never more once all is delivered.
func TestAGapWhoseAnnouncementIsEvictedIsAnnouncedAgain(t *testing.T) {
	s := newEvicting()
	r := recorderOver(t, s, nil)
	at := time.Now()
	s.next = []buffer.Gap{lost("room-1/stream", 7, 9)}
	r.commit(at)
	s.cursor = 1
	r.commit(at)
	r = again(t, r, s, s.state())
	s.next = []buffer.Gap{lost("agent/event", 1, 1), lost("room-1/stream", 10, 12)}
	r.commit(at)
	s.cursor = 2
	r.commit(at.Add(time.Second))
	numbered(t, s.lane("agent/event"))
	got := s.gapEvents(t)
	if len(got) != 3 || got[1] != "room-1/stream 7-12 6" || got[2] != "agent/event 1-1 1" {
		t.Errorf("%v, want room-1/stream 7-12 with 6 records after the first", got)
	}
	s.delivered = true
	r.pending.holdEvent(started())
	r.commit(at)
	if blob, there := s.state()[gapsKey]; there || len(r.committed.gaps) != 0 {
		t.Errorf("gaps %s are remembered though all is delivered", blob)
	}
}

func TestAGapWhoseAnnouncementWasDeliveredIsNotAnnouncedAgain(t *testing.T) {
	s := newEvicting()
	r := recorderOver(t, s, nil)
	at := time.Now()
	s.next = []buffer.Gap{lost("room-1/stream", 7, 9)}
	r.commit(at)
	s.cursor = 1
	r.commit(at)
	_, s.cursor = s.Progress()
	s.next = []buffer.Gap{lost("agent/event", 2, 4)}
	r.commit(at)
	s.cursor++
	r.commit(at)
	if got := s.gapEvents(t); len(got) != 2 || got[1] != "agent/event 2-4 3" {
		t.Errorf("announced %v", got)
	}
}

func TestGapsOfATopicAreBoundedAndNoneIsForgotten(t *testing.T) {
	s := newEvicting()
	r := recorderOver(t, s, nil)
	at := time.Now()
	for i := range uint64(1000) { // single records, far from each other
		s.next = []buffer.Gap{lost("room-1/stream", 10*i+1, 10*i+1)}
		r.commit(at)
	}
	if n := len(r.committed.gaps); n > rangesMax {
		t.Errorf("%d gaps of one topic are kept", n)
	}
	s.cursor = 1
	r.commit(at)
	total := 0
	for _, g := range s.gapEvents(t) {
		var first, last, count int
		fmt.Sscanf(g, "room-1/stream %d-%d %d", &first, &last, &count)
		total += count
	}
	if total != 1000 {
		t.Errorf("%d of 1000 lost records are told", total)
	}
}

// TestThousandsOfGapsAreAnnouncedInPortions: whatever there is to announce, a commit
// is bounded; all is announced in the end, each once, also over restarts.
func TestThousandsOfGapsAreAnnouncedInPortions(t *testing.T) {
	const devices, segments = 1000, 9
	var damages []buffer.Damage
	for seg := range segments {
		d := buffer.Damage{Segment: fmt.Sprint("seg-", seg), Reason: "page 4: bad checksum", At: time.Now().Add(time.Duration(seg) * time.Second)}
		for i := range devices {
			for _, kind := range []string{"sample", "minute"} {
				d.Gaps = append(d.Gaps, buffer.Gap{Lane: fmt.Sprintf("room-%d/%s", i, kind), First: uint64(10*seg + 1), Last: uint64(10*seg + 2), Count: 2, Reason: "damaged"})
			}
		}
		damages = append(damages, d)
	}
	s := newEvicting()
	s.damage = func() []buffer.Damage { return damages }
	for i := range devices {
		s.next = append(s.next, lost(fmt.Sprintf("room-%d/call", i), 1, 1))
	}
	r := recorderOver(t, s, nil)
	at := time.Now()
	s.cursor = 1
	for i := 0; len(damages) > 0 || len(s.gapEvents(t)) < devices*(2*segments+1); i++ {
		if i > 200 {
			t.Fatalf("%d damages are left after %d commits", len(damages), i)
		}
		if i%7 == 3 { // a restart: the store reports what no batch has carried
			r = again(t, r, s, s.state())
		}
		r.checkDamage()
		at = at.Add(time.Second)
		r.commit(at)
		last := s.batches[len(s.batches)-1]
		if n := len(last.Records); n > 3*announceMax {
			t.Fatalf("a commit of %d records", n)
		}
		damages, r.damages = damages[len(last.Damage):], max(0, r.damages-len(last.Damage))
		s.cursor = uint64(i + 2)
	}
	for i, rec := range s.lane("agent/event") {
		if rec.Num != uint64(i+1) {
			t.Fatalf("event %d has the number %d", i, rec.Num)
		}
	}
	seen := map[string]bool{}
	for _, g := range s.gapEvents(t) {
		if seen[g] {
			t.Fatalf("%s is announced twice", g)
		}
		seen[g] = true
	}
	if want := devices * (2*segments + 1); len(seen) != want || len(s.lane("agent/event")) != want+segments {
		t.Errorf("%d gaps announced, want %d and %d damages", len(seen), want, segments)
	}
}

func TestEveryEvictionIsLoggedOnceABurst(t *testing.T) {
	s := newEvicting()
	log := &hosttest.Log{}
	r := recorderOver(t, s, log.Logger())
	at := time.Now()
	for i := range uint64(20 * 60) { // 20 minutes
		s.next = []buffer.Gap{lost("room-1/sample", 2*i+1, 2*i+2)}
		r.commit(at)
		r.evictions.log(r.log, at)
		at = at.Add(time.Second)
	}
	if n := log.Count("evicted undelivered records"); n != 4 || log.Count("records=600") != 3 || log.Count("level=WARN") != 4 {
		t.Errorf("%d lines in 20 minutes:\n%s", n, log)
	}
}

func TestAStoreThatRejectsTheGapsStillAcceptsPolls(t *testing.T) {
	s := newEvicting()
	take := s.appendHook
	s.appendHook = func(b buffer.Batch) error {
		if b.State[gapsKey] != nil {
			return fmt.Errorf("append: %w", buffer.ErrRefused)
		}
		return take(b)
	}
	log := &hosttest.Log{}
	r := recorderOver(t, s, log.Logger())
	s.next = []buffer.Gap{lost("room-1/sample", 1, 2)}
	for range 5 {
		r.hold(&report.Poll{Device: "room-1", At: time.Now(), Status: idleStatus})
	}
	r.commit(time.Now())
	if n := len(s.lane("room-1/sample")); n != 5 || r.missedTotal() != 0 {
		t.Errorf("%d of 5 samples, %d lost", n, r.missedTotal())
	}
	if !strings.Contains(log.String(), "forgot gaps") || s.next != nil {
		t.Errorf("the eviction is held up, or nothing is said:\n%s", log)
	}
}

// TestATopicHasOneAnnouncementOnItsWay: however long it takes through the queue.
func TestATopicHasOneAnnouncementOnItsWay(t *testing.T) {
	s := newEvicting()
	r := recorderOver(t, s, nil)
	at := time.Now()
	for i := range uint64(60) { // an hour of a broker that is too slow
		s.next = []buffer.Gap{lost("room-1/sample", i+1, i+1)}
		s.cursor = i
		at = at.Add(time.Minute)
		r.commit(at)
		r.commit(at)
	}
	if got := s.gapEvents(t); len(got) != 1 || len(r.committed.gaps) != 2 {
		t.Errorf("announced %v, %d gaps are kept", got, len(r.committed.gaps))
	}
}

// TestAGapOfAnOldEpochSaysSo: the numbers would be taken for those of the new one.
func TestAGapOfAnOldEpochSaysSo(t *testing.T) {
	s := newEvicting()
	r := recorderOver(t, s, nil)
	at := time.Now()
	s.next = []buffer.Gap{lost("room-1/sample", 1, 4)}
	r.commit(at)
	old := r.reporter.Epoch()
	r.reporter = r.reporter.WithEpoch(old + 1)
	s.next = []buffer.Gap{lost("room-1/sample", 5, 6)}
	r.commit(at)
	s.cursor = 1
	r.commit(at)
	var texts []string
	for _, rec := range s.lane("agent/event") {
		texts = append(texts, fmt.Sprint(fields(t, rec.Payload)["text"]))
	}
	if len(texts) != 2 || !strings.Contains(texts[0], fmt.Sprintf("the numbers are those of epoch %d", old)) || strings.Contains(texts[1], "epoch") {
		t.Errorf("texts %v", texts)
	}
}
