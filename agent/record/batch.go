package record

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// committed is what the store holds: from here the next reports go on.
type committed struct {
	states map[string]report.State // by device
	gaps   []announcedGap
	minute int64 // Unix minute up to which minutes were closed without a poll
}

// batch is the next commit being made: records and the states that they lead to.
// Nothing of it counts before the store has it, and it changes nothing of what is
// committed or pending; so after a failure it is made again, with the same numbers.
type batch struct {
	reporter *report.Reporter
	last     committed // what it starts from
	batch    buffer.Batch
	states   map[string]report.State // the next states, of the devices whose state changes
	gaps     []announcedGap          // the next announced gaps
	minute   int64                   // the next committed.minute
	samples  []Sample
	bytes    int64 // of the payloads
	polls    int   // how many of the pending polls and events it holds
	events   int
}

// batch reports at most limit of the pending events and polls, the damage, what a
// limit evicts and the minutes that are over.
func (r *Recorder) batch(now time.Time, limit int) (*batch, error) {
	b := &batch{
		reporter: r.reporter, last: r.committed,
		batch:  buffer.Batch{State: map[string][]byte{}},
		states: map[string]report.State{}, gaps: slices.Clone(r.committed.gaps), minute: r.committed.minute,
	}
	maps.Copy(b.batch.State, r.pending.extra)
	full := func() bool { return b.events+b.polls >= limit || b.bytes >= commitBytes }
	for ; b.events < len(r.pending.events) && !full(); b.events++ {
		b.event(r.pending.events[b.events])
	}
	if limit > 1 || r.pending.count() == 0 { // else what the store rejected is being looked for
		b.batch.Damage = slices.Clone(r.pending.damage)
	}
	for _, d := range b.batch.Damage {
		for _, ev := range damageEvents(d) {
			b.event(ev)
		}
	}
	for ; b.polls < len(r.pending.polls) && !full(); b.polls++ {
		b.poll(r.pending.polls[b.polls])
	}
	if ev := r.store.Due(now, b.bytes+b.stateBytes()); ev != nil {
		b.evict(now, ev)
	}
	if b.polls == len(r.pending.polls) {
		b.closeMinutes(now)
	}
	var err error
	for device, st := range b.states {
		var failed error
		b.batch.State[device], failed = st.Marshal()
		err = errors.Join(err, failed)
	}
	return b, errors.Join(err, b.keepGaps(r.store.Waits()))
}

// empty: there is nothing to commit. A poll or an event without a record is
// something: its state counts (a call goes on), and it must not stay pending.
func (b *batch) empty() bool {
	return len(b.batch.Records) == 0 && b.batch.Evict == nil && b.polls == 0 && b.events == 0
}

// state is the newest state of a device, in this batch or committed.
func (b *batch) state(device string) report.State {
	if st, ok := b.states[device]; ok {
		return st
	}
	return b.last.states[device]
}

func (b *batch) poll(p report.Poll) {
	st, out := b.reporter.Poll(b.state(p.Device), p)
	b.set(p.Device, st, out.Records)
	b.samples = append(b.samples, Sample{
		Device: p.Device, Payload: slices.Clone(out.Sample), At: p.At, Fresh: 2 * out.Interval,
	})
}

// event adds an event of the agent and returns its number, 0 when the reporter held
// it back.
func (b *batch) event(ev Event) (seq uint64) {
	st, records := b.reporter.AgentEvent(b.state(report.AgentDevice), ev.At, ev.AgentEvent)
	b.set(report.AgentDevice, st, records)
	for _, rec := range records {
		seq = rec.Seq
	}
	return seq
}

// set takes a device's next state and the records that led to it.
func (b *batch) set(device string, st report.State, records []report.Record) {
	b.states[device] = st
	for _, rec := range records {
		b.bytes += int64(len(rec.Payload))
		b.batch.Records = append(b.batch.Records, buffer.Record{
			Lane:    rec.Device + "/" + rec.Kind,
			Num:     rec.Seq,
			Time:    time.UnixMilli(rec.TimeMs),
			Fresh:   rec.Fresh,
			Payload: rec.Payload,
		})
	}
}

// stateBytes is what a commit writes beside its records: a page for the state of
// each device in it, and, if something has to be evicted, an event of some 500
// bytes for each topic, of which a device has five.
func (b *batch) stateBytes() int64 {
	const state, gaps = 4096, 5 * 512
	return int64(len(b.states)*state + len(b.last.states)*gaps)
}

// minuteGrace is how long after a minute's end it is closed without a poll: a poll
// that ended in it may still be on its way here.
const minuteGrace = 2 * time.Second

// closeMinutes reports minutes that are over, once a minute.
func (b *batch) closeMinutes(now time.Time) {
	now = now.Add(-minuteGrace)
	b.minute = now.Unix() / 60
	if b.minute == b.last.minute {
		return
	}
	for device := range b.last.states {
		if device == report.AgentDevice {
			continue
		}
		st, records := b.reporter.Tick(b.state(device), device, now)
		if len(records) > 0 {
			b.set(device, st, records)
		}
	}
}

// gapsKey is the key of the announced gaps among the store's states; no device
// can have this name.
const gapsKey = ".gaps"

// gapsMax bounds the announced gaps that are remembered. Only where delivery
// goes on and never catches up are there more, and then the oldest are long
// delivered.
const gapsMax = 4096

// eventTopic is where the agent's own events wait.
const eventTopic = report.AgentDevice + "/event"

// announcedGap is a gap whose announcement may still wait for delivery. When a
// limit evicts the announcement too, the gap is announced again.
type announcedGap struct {
	Topic  string `json:"lane"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Count  uint64 `json:"count"`
	Reason string `json:"reason"`
	Seq    uint64 `json:"seq"` // of the announcing event
}

// evict puts an eviction and its announcements into the batch: its own gaps, widened
// by the gaps whose announcement it evicts.
func (b *batch) evict(now time.Time, ev *buffer.Eviction) {
	b.batch.Evict = ev
	var upto uint64 // the last event that goes
	for _, g := range ev.Gaps {
		if g.Lane == eventTopic {
			upto = max(upto, g.Last)
		}
	}
	gaps := slices.Clone(ev.Gaps)
	var left []announcedGap
	for _, a := range b.gaps {
		if a.Seq > upto {
			left = append(left, a)
		} else {
			gaps = widen(gaps, a)
		}
	}
	for _, g := range gaps {
		seq := b.event(gapEvent(now, g))
		left = append(left, announcedGap{g.Lane, g.First, g.Last, g.Count, g.Reason, seq})
	}
	b.gaps = left[max(0, len(left)-gapsMax):]
}

// widen adds an announced gap to one of its topic that it touches, so that one
// range tells both; else it stays a gap of its own.
func widen(gaps []buffer.Gap, a announcedGap) []buffer.Gap {
	i := slices.IndexFunc(gaps, func(g buffer.Gap) bool {
		return g.Lane == a.Topic && (a.Last+1 == g.First || g.Last+1 == a.First)
	})
	if i < 0 {
		return append(gaps, buffer.Gap{Lane: a.Topic, First: a.First, Last: a.Last, Count: a.Count, Reason: a.Reason})
	}
	g := &gaps[i]
	g.First, g.Last, g.Count = min(g.First, a.First), max(g.Last, a.Last), g.Count+a.Count
	return gaps
}

// keepGaps puts the announced gaps among the states when they changed. With
// nothing waiting every announcement is delivered.
func (b *batch) keepGaps(waits bool) (err error) {
	if !waits && b.batch.Evict == nil {
		b.gaps = nil
	}
	if slices.Equal(b.gaps, b.last.gaps) {
		return nil
	}
	b.batch.State[gapsKey] = nil // removes it
	if len(b.gaps) > 0 {
		b.batch.State[gapsKey], err = json.Marshal(b.gaps)
	}
	return err
}
