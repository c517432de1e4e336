package record

import (
	"maps"
	"strings"
	"sync"
	"time"

	"roomcall/buffer"
)

// Stats is what the recorder did since the start of this process.
type Stats struct {
	Appended       uint64 // records accepted
	AppendedByKind map[string]uint64
	Lost           uint64 // polls and events that were never accepted
	Evicted        uint64 // records that a limit removed undelivered
	Held           int    // polls in memory until the store takes them
	Err            error  // why the store took nothing at the last try, nil = it took all
	ClockSteps     uint64
	LastStep       time.Time
	StepBy         time.Duration
}

// Stats is a snapshot.
func (r *Recorder) Stats() Stats {
	s := &r.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Appended: s.total, AppendedByKind: maps.Clone(s.appended), Lost: s.lost, Evicted: s.evicted,
		Held: s.held, Err: s.err, ClockSteps: s.steps, LastStep: s.lastStep, StepBy: s.stepBy,
	}
}

// stats counts what the recorder did.
type stats struct {
	mu       sync.Mutex
	appended map[string]uint64 // records by kind
	total    uint64
	lost     uint64 // polls and events that were never accepted
	evicted  uint64 // records that a limit removed undelivered
	held     int
	err      error
	steps    uint64
	lastStep time.Time
	stepBy   time.Duration
}

func (s *stats) accepted(records []buffer.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range records {
		s.appended[Kind(rec.Lane)]++
	}
	s.total += uint64(len(records))
}

// refused counts polls or events that could not be held until the disk takes
// them; they were never accepted.
func (s *stats) refused(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += uint64(n)
}

// gone counts the records of a committed eviction.
func (s *stats) gone(ev *buffer.Eviction) {
	if ev == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range ev.Gaps {
		s.evicted += g.Count
	}
}

func (s *stats) holding(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = n
}

func (s *stats) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *stats) stepped(at time.Time, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps++
	s.lastStep, s.stepBy = at, by
}

// Kind is the kind in "<device>/<kind>".
func Kind(lane string) string {
	_, kind, _ := strings.Cut(lane, "/")
	return kind
}
