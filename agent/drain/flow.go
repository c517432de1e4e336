package drain

import "time"

const (
	// After culpritAfter connections lost in a row with the same record first in line,
	// that record is quarantined, at first.
	culpritAfter = 3
	// culpritsMost bounds how often that number doubles; see flow.
	culpritsMost = 5
	// After aloneAfter such connections the record goes alone, and only over a
	// connection that has lived for steadyFor: so a network that resets often
	// quarantines no innocent record.
	aloneAfter = 2
	steadyFor  = 5 * time.Second
)

// flow answers whether the next record may go now, and how many may be in flight
// with it: as a rule the window (max_inflight). Old records also wait for the replay
// rate, which leaves the window as it is.
//
// The search for a record at which the broker cuts the connection narrows the window.
// A broker's reset may overtake the acknowledgements of good records, so what stood
// first in a wide window need not be the culprit:
//
//	1st loss   nothing yet: networks reset
//	2nd loss   the same record first in line: it goes alone, over a connection that
//	           is steady; those that were in flight behind it follow in a window of
//	           1, 2, 4 and so on; if that connection is lost too, one at a time
//	3rd loss   the record first in line is the culprit
//
// So three losses find it, three more when each reset overtakes all acknowledgements.
// A broker that accepts no record at all, such as one whose disk is full, is not the
// fault of one record after the other: with each culprit since a record was confirmed,
// the next one needs twice as many losses.
type flow struct {
	window int
	rate   rateLimit

	first  uint64 // the record that was first in line at the last loss
	losses int    // in a row with it

	culprits int // since a record was confirmed

	until  uint64 // up to this position the records are suspected
	single bool   // they go one at a time
	width  int    // else that many, doubled with each confirmed record
	steady time.Duration
}

// limit is how many records may be in flight when the one behind position sent goes
// over a connection that has lived for age. 0 = none for the next wait.
func (f *flow) limit(sent uint64, age time.Duration) (n int, wait time.Duration) {
	switch {
	case f.losses >= aloneAfter && age < f.steady:
		return 0, f.steady - age
	case f.losses >= aloneAfter:
		return 1, 0
	case sent >= f.until:
		return f.window, 0
	case f.single:
		return 1, 0
	}
	return min(f.width, f.window), 0
}

// confirmed notes that the broker has confirmed a record.
func (f *flow) confirmed() {
	f.losses, f.culprits = 0, 0
	f.width = min(2*f.width, 1<<16)
}

// lost notes that a connection was lost with the records from first to last in
// flight. It returns true when first is the culprit.
func (f *flow) lost(first, last uint64) bool {
	if first != f.first {
		if f.isCulprit() {
			f.culprits = min(f.culprits+1, culpritsMost)
		}
		f.first, f.losses = first, 0
	}
	f.losses++
	switch {
	case first <= f.until && f.single:
		// the suspects up to until go one at a time already, and go on like that
	case first <= f.until:
		f.until, f.single = last, true
	case f.losses >= aloneAfter:
		f.until, f.single, f.width = last, false, 1
	}
	return f.isCulprit()
}

// isCulprit says whether the record that was first in line at the last loss is.
func (f *flow) isCulprit() bool { return f.losses >= culpritAfter<<f.culprits }

// A record that goes up to lateBy after it was due delays none that follows: timers are late
// by a millisecond or more, and by 16 on Windows.
const lateBy = 50 * time.Millisecond

// rateLimit spreads replayed records over time.
type rateLimit struct {
	every time.Duration // between two records, 0 = no limit
	next  time.Time
}

// newRateLimit allows perSecond records a second, 0 = no limit.
func newRateLimit(perSecond int) rateLimit {
	if perSecond <= 0 {
		return rateLimit{}
	}
	return rateLimit{every: time.Second / time.Duration(perSecond)}
}

// take allows one record and returns 0, or tells how long to wait.
func (r *rateLimit) take(now time.Time) time.Duration {
	if wait := r.next.Sub(now); r.every > 0 && wait > 0 {
		return wait
	}
	if now.Sub(r.next) > lateBy {
		r.next = now
	}
	r.next = r.next.Add(r.every)
	return 0
}
