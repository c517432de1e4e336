package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// gap is a hole in a topic that no consumer has been told of, or whose announcement
// may still wait for delivery. It is kept among the store's states from the commit
// that makes the hole on, so no kill can take one without the other.
//
//	evicted ─▶ not announced: grows with ─▶ announced ─▶ delivered: forgotten
//	           what goes beside it              │
//	                  ▲                         │ the announcement is evicted too
//	                  └─────────────────────────┘
//
// It is announced when delivery goes on, and one topic has one announcement on its
// way at a time. So an outage gives a range a topic and not an event a record, and an
// eviction never makes the next one necessary by what it writes.
type gap struct {
	Topic  string `json:"lane"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Count  uint64 `json:"count"`
	Reason string `json:"reason"`
	Epoch  int64  `json:"epoch,omitempty"` // of these numbers; 0 = not known
	Seq    uint64 `json:"seq,omitempty"`   // of the announcing event; 0 = not announced
	Pos    uint64 `json:"pos,omitempty"`   // in the store, not before the announcement; 0 = not known yet

	reached uint64 // how far delivery was when it began
}

const (
	// gapsKey is the key of the gaps among the store's states; no device can have
	// this name.
	gapsKey = ".gaps"
	// rangesMax bounds the separate ranges of one topic and reason that wait to be
	// announced; beyond it they grow together, and count tells how much of the range
	// is missing.
	rangesMax = 8
	// announceMax bounds the announcements of gaps, of damage and of what was missed
	// in one commit, each.
	announceMax = 256
	// announceEvery is the least time between two announcements of the same kind of
	// loss at the same place.
	announceEvery = time.Minute
	// rememberMax bounds the gaps beside evictions that are kept until their
	// announcement is delivered.
	rememberMax = 1000
)

func (g *gap) key() string { return fmt.Sprint(g.Topic, " ", g.Reason, " ", g.Epoch) }

// gapEvent announces records of a topic that a limit evicted undelivered.
func gapEvent(at time.Time, g buffer.Gap) Event {
	return Event{AgentEvent: report.AgentEvent{
		Type: "agent.gap", Device: Device(g.Lane), Kind: Kind(g.Lane),
		FirstSeq: g.First, LastSeq: g.Last, Count: g.Count, Reason: g.Reason,
	}, At: at}
}

// evict puts an eviction into the batch: its gaps wait to be announced, and so do
// those again whose announcement it takes.
func (b *batch) evict(ev *buffer.Eviction) {
	b.out.Evict = ev
	goes := func(seq uint64) bool {
		return slices.ContainsFunc(ev.Gaps, func(e buffer.Gap) bool {
			return e.Lane == OwnEvents && e.First <= seq && seq <= e.Last
		})
	}
	var kept, grow []gap
	waiting := map[string][]int{} // those of kept that are not announced, by key
	for _, g := range b.gaps {
		switch {
		case g.Seq == 0:
			waiting[g.key()] = append(waiting[g.key()], len(kept))
		case goes(g.Seq):
			g.Seq, g.Pos = 0, 0
			grow = append(grow, g)
			continue
		}
		kept = append(kept, g)
	}
	for _, e := range ev.Gaps {
		grow = append(grow, gap{Epoch: b.reporter.Epoch(), Topic: e.Lane, First: e.First, Last: e.Last, Count: e.Count, Reason: e.Reason})
	}
	for _, g := range grow {
		g.reached = b.delivered
		ranges, at := waiting[g.key()], -1
		for _, i := range ranges {
			if kept[i].Last+1 >= g.First && g.Last+1 >= kept[i].First {
				at = i
			}
		}
		if at < 0 && len(ranges) == rangesMax {
			at = ranges[rangesMax-1]
		}
		if at < 0 {
			waiting[g.key()] = append(ranges, len(kept))
			kept = append(kept, g)
			continue
		}
		k := &kept[at]
		k.First, k.Last, k.Count = min(k.First, g.First), max(k.Last, g.Last), k.Count+g.Count
	}
	b.gaps, b.gapsChanged = kept, true
}

// announceGaps announces what may be announced now.
func (b *batch) announceGaps(now time.Time, waits bool) {
	onItsWay := map[string]bool{}
	for _, g := range b.gaps {
		if g.Seq != 0 {
			onItsWay[g.key()] = true
		}
	}
	for i, n := 0, 0; i < len(b.gaps) && n < announceMax; i++ {
		g := &b.gaps[i]
		if g.Seq != 0 || onItsWay[g.key()] || waits && b.delivered <= g.reached || b.toldLately(g.key(), now) {
			continue
		}
		ev := gapEvent(now, buffer.Gap{Lane: g.Topic, First: g.First, Last: g.Last, Count: g.Count, Reason: g.Reason})
		if g.Epoch != 0 && g.Epoch != b.reporter.Epoch() {
			ev.Detail = fmt.Sprintf("the numbers are those of epoch %d", g.Epoch)
		}
		g.Seq = b.event(ev)
		b.told = append(b.told, g.key())
		b.gapsChanged = true
		n++
	}
}

func (b *batch) toldLately(key string, now time.Time) bool {
	at, told := b.last.told[key]
	return told && now.Sub(at) < announceEvery
}

// forgetGaps drops the gaps whose announcement is delivered.
func (b *batch) forgetGaps(waits bool) {
	kept := b.gaps[:0:0]
	for _, g := range b.gaps {
		if g.Seq == 0 || waits && (g.Pos == 0 || b.delivered < g.Pos) {
			kept = append(kept, g)
		}
	}
	b.gapsChanged = b.gapsChanged || len(kept) != len(b.gaps)
	b.gaps = kept
}

// keepGaps puts the gaps among the states when they changed.
func (b *batch) keepGaps() (err error) {
	if !b.gapsChanged {
		return nil
	}
	b.out.State[gapsKey] = nil // removes it
	if len(b.gaps) > 0 {
		b.out.State[gapsKey], err = json.Marshal(b.gaps)
	}
	return err
}
