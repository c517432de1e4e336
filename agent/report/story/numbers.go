package story

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// bitset is a set of whole numbers, 64 a word.
type bitset map[int64]uint64

// add reports whether i is new.
func (b bitset) add(i int64) bool {
	word, bit := i>>6, uint64(1)<<(i&63)
	if b[word]&bit != 0 {
		return false
	}
	b[word] |= bit
	return true
}

// between counts the members from a to b.
func (b bitset) between(from, to int64) (n uint64) {
	for word, set := range b {
		if at := word << 6; at < from {
			if from-at > 63 {
				continue
			}
			set &= ^uint64(0) << (from - at)
		}
		if at := word << 6; at+63 > to {
			if at > to {
				continue
			}
			set &= ^uint64(0) >> (63 - (to - at))
		}
		n += uint64(bits.OnesCount64(set))
	}
	return n
}

// spans lists the runs of members, from and to included, in order.
func (b bitset) spans() (list [][2]int64) {
	for _, word := range slices.Sorted(maps.Keys(b)) {
		for set := b[word]; set != 0; set &= set - 1 {
			i := word<<6 + int64(bits.TrailingZeros64(set))
			if n := len(list); n > 0 && list[n-1][1] == i-1 {
				list[n-1][1] = i
			} else {
				list = append(list, [2]int64{i, i})
			}
		}
	}
	return list
}

// topic is a row of numbers: they rise by one under one epoch.
type topic struct {
	place
	epoch, kind string
}

// numbers are those of a topic that were read.
type numbers struct {
	first, last int64
	n           uint64
	seen        bitset
}

// readID takes a record's id apart: client_id.epoch.device.kind.seq.
func readID(id string) (t topic, seq int64, err error) {
	parts := strings.Split(id, ".")
	if len(parts) == 5 {
		seq, err = strconv.ParseInt(parts[4], 10, 64)
	}
	if len(parts) != 5 || err != nil || seq < 1 {
		return t, 0, fmt.Errorf("the id %.100q is not client_id.epoch.device.kind.seq", id)
	}
	return topic{place{strings.Clone(parts[0]), strings.Clone(parts[2])}, strings.Clone(parts[1]), strings.Clone(parts[3])}, seq, nil
}

// isNew notes a record and reports whether it is not a duplicate.
func (s *Story) isNew(t topic, seq int64) bool {
	n := s.numbers[t]
	if n == nil {
		n = &numbers{first: seq, seen: bitset{}}
		s.numbers[t] = n
	}
	if !n.seen.add(seq) {
		return false
	}
	n.first, n.last, n.n = min(n.first, seq), max(n.last, seq), n.n+1
	return true
}

// countMissing counts the records that are missing by their numbers, and how many of
// them the agents announced.
func (s *Story) countMissing() {
	for _, n := range s.numbers {
		s.missing += uint64(n.last-n.first) + 1 - n.n
	}
	byTopic := map[topic][][2]int64{}
	for _, g := range s.gaps {
		if n := s.numbers[g.topic]; n != nil {
			from, to := max(int64(g.first), n.first), min(int64(g.last), n.last)
			if from <= to {
				byTopic[g.topic] = append(byTopic[g.topic], [2]int64{from, to})
			}
		}
	}
	for t, ranges := range byTopic {
		slices.SortFunc(ranges, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
		done := int64(0)
		for _, r := range ranges {
			if r[0] = max(r[0], done+1); r[0] > r[1] {
				continue
			}
			done = r[1]
			s.explained += uint64(r[1]-r[0]) + 1 - s.numbers[t].seen.between(r[0], r[1])
		}
	}
}
