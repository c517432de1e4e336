package record

import (
	"maps"
	"time"
)

// Stats is what the recorder did since the start of this run (a reload begins another one).
type Stats struct {
	Appended       uint64 // records accepted
	AppendedByKind map[string]uint64
	Missed         []Missed  // polls and events that were never accepted, by device and reason
	Evicted        uint64    // records that a limit removed undelivered
	Held           int       // polls in memory until the store accepts them
	Collected      int       // polls in memory until the commit interval is over
	Err            error     // why the store accepted nothing at the last try, nil = it did
	FailingSince   time.Time // since when, zero = it accepts
	Compared       int       // messages of the broker that the store was compared with last
	ComparedAll    bool      // the broker showed all that it holds
	ComparedAt     time.Time // zero = never yet
	NewEpoch       string    // why this process began a new epoch last, "" = it did not
	NewEpochAt     time.Time
	ClockSteps     uint64
	LastStep       time.Time     // of the wall clock
	StepBy         time.Duration // positive = forward
}

// Stats is a snapshot.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.AppendedByKind = maps.Clone(s.AppendedByKind)
	s.Missed = r.missedList()
	return s
}

func (r *Recorder) count(change func(*Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.stats)
}
