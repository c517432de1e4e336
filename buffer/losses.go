package buffer

import (
	"slices"
	"strconv"
	"strings"
)

// What is lost is told by positions and named by numbers: the holes between the
// numbers of each lane. The neighbours of a hole may be several segments away, and
// broken themselves; so the names are found by one walk through the whole store, when
// all of it has been looked at.

// nameLosses names what the damages that have no names yet have lost, puts the names
// into their reports, and makes them known. Under wmu, or before Open returns.
func (q *Queue) nameLosses() {
	q.naming = true
	defer func() { q.naming = false }()
	type place struct {
		pos, num uint64
		life     int
	}
	var holes []hole // missing positions that waited
	last, gaps := map[string]place{}, map[string]*lostGap{}
	var all []*lostGap
	inQuarantine := q.quarantinedNumbers()
	from, to := q.waitingRange()
	at := uint64(0)
	for it, err := range q.records(1, to, chunkItems, q.repairLocked) {
		if err != nil {
			q.warn("read around a damaged segment", err)
			continue
		}
		if at > 0 && it.Pos > at+1 && it.Pos > from {
			holes = append(holes, hole{max(at+1, from), it.Pos - 1})
		}
		at = it.Pos
		if it.requeued {
			continue
		}
		before, known := last[it.Lane]
		now := place{it.Pos, it.Num, before.life}
		if it.Num <= before.num || q.lifeBetween(before.pos, it.Pos) {
			now.life++
		}
		last[it.Lane] = now
		if !known || now.life != before.life || it.Num <= before.num+1 || len(holes) == 0 {
			continue
		}
		owner, room := q.lostBetween(holes, before.pos, it.Pos)
		first := max(before.num+1, it.Num-min(room, it.Num-1))
		count := it.Num - first
		for num := range inQuarantine[it.Lane] {
			if first <= num && num < it.Num && count > 0 {
				count--
			}
		}
		if owner == nil || count == 0 {
			continue
		}
		g := gaps[it.Lane]
		if g == nil || g.damage != owner || g.life != now.life {
			g = &lostGap{Gap{Lane: it.Lane, First: first, Reason: ReasonDamaged}, owner, now.life}
			gaps[it.Lane], all = g, append(all, g)
		}
		g.Last = it.Num - 1
		g.Count += count
	}
	slices.SortStableFunc(all, func(a, b *lostGap) int { return strings.Compare(a.Lane, b.Lane) })
	for _, d := range q.unnamed {
		d.Unnamed, d.Gaps = false, []Gap{}
		for _, g := range all {
			if g.damage == d {
				d.Gaps = append(d.Gaps, g.Gap)
			}
		}
		if err := q.keepReport(*d); err != nil {
			q.warn("keep the report of a damage", err) // named again at the next start
		}
		q.report(*d)
	}
	q.unnamed = nil
}

type hole struct{ from, to uint64 }

type lostGap struct {
	Gap
	damage *Damage
	life   int
}

// lostBetween returns the first damage without names that has missing positions
// between two, and how many are missing there altogether. The holes are in order.
// Under wmu, or before Open returns.
func (q *Queue) lostBetween(holes []hole, after, before uint64) (owner *Damage, n uint64) {
	for _, h := range slices.Backward(holes) {
		if h.to < after {
			break
		}
		for _, d := range q.unnamed {
			i := q.index(q.segmentPath(d.Segment))
			if i < 0 {
				continue
			}
			from, to := max(h.from, after+1, q.segs[i].first), min(h.to, before-1, q.segs[i].last)
			if from > to {
				continue
			}
			n += to - from + 1
			if owner == nil || q.segs[i].first < q.segs[q.index(q.segmentPath(owner.Segment))].first {
				owner = d
			}
		}
	}
	return owner, n
}

// quarantinedNumbers are the numbers of the records in the quarantine, by lane.
func (q *Queue) quarantinedNumbers() map[string]map[uint64]bool {
	list, err := q.Quarantined()
	if err != nil {
		q.warn("read the quarantine", err)
	}
	out := map[string]map[uint64]bool{}
	for _, one := range list {
		if out[one.Lane] == nil {
			out[one.Lane] = map[uint64]bool{}
		}
		out[one.Lane][one.Num] = true
	}
	return out
}

// livesKey is the key among the states under which the positions are kept where a new
// epoch began: numbers start again there, and no gap goes across.
const (
	livesKey = ".lives"
	maxLives = 32
)

func readLives(saved []byte) (lives []uint64) {
	for _, text := range strings.Fields(string(saved)) {
		if pos, err := strconv.ParseUint(text, 10, 64); err == nil {
			lives = append(lives, pos)
		}
	}
	return lives
}

// withLife is the saved lives and one that begins at a position.
func withLife(saved []byte, pos uint64) []byte {
	lives := append(readLives(saved), pos)
	var out []byte
	for _, l := range lives[max(0, len(lives)-maxLives):] {
		out = strconv.AppendUint(append(out, ' '), l, 10)
	}
	return out
}

// lifeBetween says whether a new epoch began above a position and up to another.
func (q *Queue) lifeBetween(after, upto uint64) bool {
	q.mu.Lock()
	saved := q.state[livesKey]
	q.mu.Unlock()
	if len(saved) == 0 {
		return false
	}
	return slices.ContainsFunc(readLives(saved), func(l uint64) bool { return after < l && l <= upto })
}
