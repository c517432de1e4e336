package record

import (
	"encoding/json"
	"slices"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// gapsKey is the key of the announced gaps among the store's states; no device
// can have this name.
const gapsKey = ".gaps"

// gapsMax bounds the announced gaps that are remembered. Only where delivery
// goes on and never catches up are there more, and then the oldest are long
// delivered.
const gapsMax = 4096

// announcedGap is a gap whose announcement may still wait for delivery. When a
// limit evicts the announcement too, the gap is announced again.
type announcedGap struct {
	Lane   string `json:"lane"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Count  uint64 `json:"count"`
	Reason string `json:"reason"`
	Seq    uint64 `json:"seq"` // of the announcing event
}

// eventLane is where the agent's own events wait.
const eventLane = report.AgentDevice + "/event"

// again gives the gaps to announce for an eviction: its own, widened by those
// whose announcement it takes, and the announced gaps that are left.
func again(ev *buffer.Eviction, announced []announcedGap) (gaps []buffer.Gap, left []announcedGap) {
	gaps = slices.Clone(ev.Gaps)
	var upto uint64
	for _, g := range gaps {
		if g.Lane == eventLane {
			upto = max(upto, g.Last)
		}
	}
	for _, a := range announced {
		if a.Seq > upto {
			left = append(left, a)
			continue
		}
		gaps = widen(gaps, a)
	}
	return gaps, left
}

// widen adds an announced gap to one of its lane that it touches, so that one
// range tells both; else it stays a gap of its own.
func widen(gaps []buffer.Gap, a announcedGap) []buffer.Gap {
	i := slices.IndexFunc(gaps, func(g buffer.Gap) bool {
		return g.Lane == a.Lane && (a.Last+1 == g.First || g.Last+1 == a.First)
	})
	if i < 0 {
		return append(gaps, buffer.Gap{Lane: a.Lane, First: a.First, Last: a.Last, Count: a.Count, Reason: a.Reason})
	}
	g := &gaps[i]
	g.First, g.Last, g.Count = min(g.First, a.First), max(g.Last, a.Last), g.Count+a.Count
	return gaps
}

// evict puts an eviction and its announcements into the draft.
func (d *draft) evict(now time.Time, ev *buffer.Eviction) {
	d.batch.Evict = ev
	var gaps []buffer.Gap
	gaps, d.gaps = again(ev, d.gaps)
	for _, g := range gaps {
		seq := d.event(gapEvent(now, g))
		d.gaps = append(d.gaps, announcedGap{g.Lane, g.First, g.Last, g.Count, g.Reason, seq})
	}
	d.gaps = d.gaps[max(0, len(d.gaps)-gapsMax):]
}

// keepGaps puts the announced gaps among the states when they changed. With
// nothing waiting every announcement is delivered.
func (d *draft) keepGaps() error {
	if len(d.gaps) > 0 && d.batch.Evict == nil && !d.recorder.store.Waits() {
		d.gaps = nil
	}
	if slices.Equal(d.gaps, d.recorder.gaps) {
		return nil
	}
	if len(d.gaps) == 0 {
		d.batch.State[gapsKey] = nil
		return nil
	}
	blob, err := json.Marshal(d.gaps)
	d.batch.State[gapsKey] = blob
	return err
}
