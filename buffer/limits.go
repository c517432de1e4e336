package buffer

import (
	"errors"
	"sort"
	"time"
)

// Reasons of an eviction.
const (
	ReasonMaxBytes = "max_bytes"
	ReasonMaxAge   = "max_age"
)

// Eviction is what Due found has to go. It takes effect, files included, when a
// Batch that carries it is committed, together with its announcement.
type Eviction struct {
	// Gaps are sorted by lane, one each; a record that was requeued out of order
	// or comes from the quarantine has one of its own, after the others.
	Gaps  []Gap
	upto  uint64
	aside []uint64 // positions of records in the quarantine that go
}

// Gap says which records of a lane an eviction takes.
type Gap struct {
	Lane        string
	First, Last uint64 // Num of the first and the last one
	Count       uint64
	Reason      string // ReasonMaxBytes or ReasonMaxAge
}

// ageStep bounds how often the age limit is applied, so that an outage longer
// than MaxAge gives one announcement a minute and not one a record: a record may
// become that much older than MaxAge.
func ageStep(maxAge time.Duration) int64 {
	return min(time.Minute, maxAge/100).Milliseconds()
}

// Due says what has to be evicted so that add more bytes of records fit into
// MaxBytes and no waiting record is older than MaxAge; nil = nothing. Delivered
// records that are only kept go first, silently and at once. The oldest go first,
// whole segments at a time for MaxBytes, single records for MaxAge. Age counts
// from Append and in elapsed time, not by the wall clock.
func (q *Queue) Due(now time.Time, add int64) *Eviction {
	for repairs := 0; ; repairs++ {
		ev, err := q.due(now, add)
		var broken *brokenError
		if errors.As(err, &broken) && repairs < maxRepairs {
			err = q.repair(broken.path, err)
			if err == nil {
				continue
			}
		}
		if err != nil {
			q.warn("read records that have to be evicted", err)
		}
		return ev
	}
}

func (q *Queue) due(now time.Time, add int64) (*Eviction, error) {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	if q.isClosed() {
		return nil, nil
	}
	if err := q.removeDone(now); err != nil {
		q.warn("remove delivered segments", err)
	}
	upto, reason := q.dueByBytes(add), ReasonMaxBytes
	byAge, err := q.dueByAge(now)
	if byAge > upto {
		upto, reason = byAge, ReasonMaxAge
	}
	if err != nil {
		return nil, err
	}
	aside, setAside := q.dueAside()
	if upto == 0 && len(aside) == 0 {
		return nil, nil
	}
	gaps, err := q.gaps(upto, reason)
	if err != nil {
		return nil, err
	}
	return &Eviction{Gaps: append(gaps, setAside...), upto: upto, aside: aside}, nil
}

// dueByBytes returns the position up to which records have to go, or 0. It keeps
// a reserve, because the announcement is committed before the files go.
func (q *Queue) dueByBytes(add int64) uint64 {
	reserve := growStep(q.o.SegmentBytes) + 8*pageSize
	over := func() int64 { return q.diskBytes() + q.growth(add) + reserve - q.o.MaxBytes }
	for over() > 0 && q.dropOldestDelivered() {
	}
	left, upto := over(), uint64(0)
	for i := 0; i < len(q.segs) && left > 0; i++ {
		s := q.segs[i]
		if i == len(q.segs)-1 && q.w != nil {
			q.sealWriter(false) // nothing else is left: the next append starts a new one
		}
		left -= s.file
		upto = s.last
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if upto <= q.done() {
		return 0
	}
	return upto
}

// dueByAge returns the position of the last record that is too old, or 0. Times of
// acceptance rise with the position, so it need not look again before the oldest
// waiting record has reached the limit.
func (q *Queue) dueByAge(now time.Time) (uint64, error) {
	clock, maxAge := q.clock.at(now), q.o.MaxAge.Milliseconds()
	if maxAge <= 0 || clock < q.ageNext {
		return 0, nil
	}
	next, upto := clock, uint64(0)
	q.mu.Lock()
	from, to := q.done()+1, q.head.next-1
	q.mu.Unlock()
	err := q.each(from, to, func(it Item) error {
		if it.kept+maxAge >= clock {
			next = it.kept
			return errStop
		}
		upto = it.Pos
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return 0, err
	}
	q.ageNext = max(next+maxAge, clock+ageStep(q.o.MaxAge))
	return upto, nil
}

// gaps counts the waiting records up to a position, by lane.
func (q *Queue) gaps(upto uint64, reason string) ([]Gap, error) {
	q.mu.Lock()
	from := q.done() + 1
	q.mu.Unlock()
	lanes := map[string]*Gap{}
	var single []Gap
	err := q.each(from, upto, func(it Item) error {
		if q.isSkipped(it.Pos) {
			return nil
		}
		g := lanes[it.Lane]
		if g != nil && it.Num <= g.Last {
			single = append(single, Gap{it.Lane, it.Num, it.Num, 1, reason})
			return nil
		}
		if g == nil {
			g = &Gap{Lane: it.Lane, First: it.Num, Reason: reason}
			lanes[it.Lane] = g
		}
		g.Last = it.Num
		g.Count++
		return nil
	})
	out := make([]Gap, 0, len(lanes))
	for _, g := range lanes {
		out = append(out, *g)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Lane < out[j].Lane })
	return append(out, single...), err
}
