package buffer

import (
	"sort"
	"time"
)

// Reasons of an eviction.
const (
	ReasonMaxBytes = "max_bytes"
	ReasonMaxAge   = "max_age"
)

// Eviction is what MakeRoom found has to go. It takes effect, files included, when a
// Batch that carries it is committed, together with its announcement.
type Eviction struct {
	// Gaps are sorted by lane, one each; after them are those of records that were
	// requeued or come from the quarantine, one each, and those of a lane whose
	// numbers start again in between: no gap holds numbers of two epochs.
	Gaps        []Gap
	upto        uint64
	quarantined []uint64 // positions of records in the quarantine that go
}

// Replaced is the eviction of everything up to a position that waits, for a batch that
// holds the same records again. It has no gaps.
func Replaced(upto uint64) *Eviction { return &Eviction{upto: upto} }

// Gap says which records of a lane an eviction takes.
type Gap struct {
	Lane        string
	First, Last uint64 // Num of the first and the last one
	Count       uint64
	Reason      string // ReasonMaxBytes or ReasonMaxAge
}

// ageStep bounds how often the age limit is applied, so that an outage longer
// than MaxAge leads to one announcement a minute and not one a record: a record may
// become that much older than MaxAge.
func ageStep(maxAge time.Duration) int64 {
	return min(time.Minute, maxAge/100).Milliseconds()
}

// MakeRoom makes room for add more bytes of records within MaxBytes. What no longer
// waits goes at once and silently: delivered segments that need not be kept any more,
// and when that is not enough, broken segments and delivered ones that are only kept.
// What waits stays; the result says which of it has to be evicted so that there is room
// and no waiting record is older than MaxAge, and the batch that commits it makes it so;
// nil = nothing has to. The oldest go first, whole segments at a time for MaxBytes,
// single records for MaxAge. Age counts from Append, in time that was counted, not
// guessed: see Options.Uptime.
func (q *Queue) MakeRoom(now time.Time, add int64) *Eviction {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	if q.isClosed() {
		return nil
	}
	if err := q.removeDelivered(now); err != nil {
		q.warn("remove delivered segments", err)
	}
	upto, reason := q.freeBytes(add), ReasonMaxBytes
	byAge, err := q.tooOld(now)
	if byAge > upto {
		upto, reason = byAge, ReasonMaxAge
	}
	var gaps []Gap
	if err == nil {
		gaps, err = q.gaps(upto, reason)
	}
	if err != nil {
		q.warn("read records that have to be evicted", err)
		return nil
	}
	quarantined, more := q.quarantineOverBounds()
	if upto == 0 && len(quarantined) == 0 {
		return nil
	}
	return &Eviction{Gaps: append(gaps, more...), upto: upto, quarantined: quarantined}
}

// freeBytes removes what may go silently while there is no room, and returns the position
// up to which records have to be evicted as well, or 0. It keeps a reserve, because the
// announcement is committed before the files go. Under wmu.
func (q *Queue) freeBytes(add int64) uint64 {
	reserve := growStep(q.o.SegmentBytes) + 8*pageSize
	over := func() int64 {
		growth := q.growth(add)
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.diskBytes() + growth + reserve - q.o.MaxBytes
	}
	for over() > 0 && (q.dropOldestCopy() || q.dropOldestDelivered()) {
	}
	left, upto := over(), uint64(0)
	for i := 0; i < len(q.segs) && left > 0; i++ {
		if i == len(q.segs)-1 && q.w != nil {
			q.closeWriter(true) // nothing else is left: the next append starts a new one
		}
		left -= q.segs[i].fileBytes
		upto = q.segs[i].last
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if upto <= q.progress.done() {
		return 0
	}
	return upto
}

// tooOld returns the position of the last record that is too old, or 0. Times of
// acceptance rise with the position, so it need not look again before the oldest
// waiting record has reached the limit. Under wmu.
func (q *Queue) tooOld(now time.Time) (upto uint64, err error) {
	clock, maxAge := q.at(now), q.o.MaxAge.Milliseconds()
	if maxAge <= 0 || clock < q.ageNext {
		return 0, nil
	}
	next := clock
	from, to := q.waitingRange()
	for it, err := range q.records(from, to, chunkItems, q.repairLocked) {
		if err != nil {
			return 0, err
		}
		if it.acceptedAt+maxAge >= clock {
			next = it.acceptedAt
			break
		}
		upto = it.Pos
	}
	q.ageNext = max(next+maxAge, clock+ageStep(q.o.MaxAge))
	return upto, nil
}

// waitingRange is the first position that may wait and the last one.
func (q *Queue) waitingRange() (from, to uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.progress.done() + 1, q.head.next - 1
}

// gaps counts the waiting records up to a position, by lane. Under wmu.
func (q *Queue) gaps(upto uint64, reason string) ([]Gap, error) {
	lanes := map[string]*Gap{}
	var more []Gap
	at := map[string]uint64{}
	from, _ := q.waitingRange()
	for it, err := range q.records(from, upto, chunkItems, q.repairLocked) {
		if err != nil {
			return nil, err
		}
		if q.isOutOfQueue(it.Pos) {
			continue
		}
		if it.requeued {
			more = append(more, Gap{it.Lane, it.Num, it.Num, 1, reason})
			continue
		}
		g := lanes[it.Lane]
		if g != nil && (it.Num <= g.Last || q.lifeBetween(at[it.Lane], it.Pos)) {
			more, g = append(more, *g), nil // numbers start again
		}
		at[it.Lane] = it.Pos
		if g == nil {
			g = &Gap{Lane: it.Lane, First: it.Num, Reason: reason}
			lanes[it.Lane] = g
		}
		g.Last = it.Num
		g.Count++
	}
	return append(sortedGaps(lanes), more...), nil
}

func sortedGaps(lanes map[string]*Gap) []Gap {
	out := make([]Gap, 0, len(lanes))
	for _, g := range lanes {
		out = append(out, *g)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Lane < out[j].Lane })
	return out
}
