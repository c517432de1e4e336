package record

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

// counting is a real store that counts what it is asked to write.
type counting struct {
	*buffer.Queue
	commits, evictions   int
	records, own, states int64 // bytes of the rooms' records, of the agent's events, of states
}

func (c *counting) Append(b buffer.Batch) error {
	if err := c.Queue.Append(b); err != nil {
		return err
	}
	c.commits++
	for _, r := range b.Records {
		if r.Lane == OwnEvents {
			c.own += int64(len(r.Payload))
		} else {
			c.records += int64(len(r.Payload))
		}
	}
	for _, blob := range b.State {
		c.states += int64(len(blob))
	}
	if b.Evict != nil {
		c.evictions++
	}
	return nil
}

// TestAFullStoreWritesInProportionToWhatItAccepts: many rooms, the smallest store, the
// broker away, then back and slow. An eviction must not make the next one necessary.
func TestAFullStoreWritesInProportionToWhatItAccepts(t *testing.T) {
	const rooms, minutes = 150, 2
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	q, err := buffer.Open(buffer.Options{Dir: t.TempDir(), MaxBytes: 1 << 20, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	s := &counting{Queue: q}
	var names []string
	for i := range rooms {
		names = append(names, fmt.Sprintf("room-%d", i))
	}
	r, err := New(Options{
		Reporter: reporterFor(t, []string{"sample", "stream", "event", "call", "minute"}, names...),
		Store:    s, Newest: NewNewest(rooms), Devices: rooms, MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	st := activeStatus
	for range 2 {
		st.VideoRecv = append(st.VideoRecv, cgi.Stream{Active: true, BitrateKbps: cgi.Known(900), Codec: "H.264"})
	}
	run := func(minutes int, deliver func()) {
		for range minutes * 6 { // a tick of 10 s
			for _, room := range names {
				r.hold(&report.Poll{Device: room, At: now, Status: st})
			}
			before := s.commits
			if !r.commit(now) {
				t.Fatalf("the store accepts nothing: %v", r.Stats().Err)
			}
			if n := s.commits - before; n > 50 {
				t.Fatalf("%d commits for %d polls", n, rooms)
			}
			deliver()
			now = now.Add(10 * time.Second)
		}
	}
	run(minutes, func() {})
	if s.own > 0 {
		t.Errorf("%d bytes of events of the agent while nobody can hear them", s.own)
	}
	t.Logf("away: %d commits, %d evictions, %d kB records, %d kB states, %d kB on disk", s.commits, s.evictions, s.records>>10, s.states>>10, q.Info().DiskBytes>>10)
	if s.states > 3*s.records {
		t.Errorf("%d bytes of states for %d of records", s.states, s.records)
	}
	s.records, s.states = 0, 0
	run(minutes, func() { // a broker that is too slow
		if items, err := q.Peek(0, 100, 1<<20); err == nil && len(items) > 0 {
			q.Ack(items[len(items)-1].Pos)
		}
	})
	t.Logf("slow: %d commits, %d kB records, %d kB of the agent, %d kB states", s.commits, s.records>>10, s.own>>10, s.states>>10)
	if s.own > s.records/2 || s.states > 3*s.records {
		t.Errorf("%d bytes of the agent's events and %d of states for %d of records", s.own, s.states, s.records)
	}
	for range 20 { // and now all goes out: every hole is told
		for items, _ := q.Peek(0, 1000, 1<<20); len(items) > 0; items, _ = q.Peek(0, 1000, 1<<20) {
			q.Ack(items[len(items)-1].Pos)
		}
		now = now.Add(announceEvery)
		r.commit(now)
	}
	for _, g := range r.committed.gaps {
		if g.Seq == 0 {
			t.Fatalf("%+v is not announced though all is delivered", g)
		}
	}
}
