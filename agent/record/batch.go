package record

import (
	"errors"
	"maps"
	"slices"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// committed is what the store holds: from here the next reports go on.
type committed struct {
	states  map[string]report.State // by device
	gaps    []gap
	told    map[string]time.Time // when a gap of this key was announced last, in this process
	partial partial
	minute  int64 // Unix minute up to which minutes were closed without a poll
}

// batch is the next commit being made: records and the states that they lead to.
// Nothing of it counts before the store has it, and it changes nothing of what is
// committed or pending; so after a failure it is made again, with the same numbers.
type batch struct {
	reporter    *report.Reporter
	last        committed               // what it starts from
	delivered   uint64                  // the store's position up to which all is delivered
	out         buffer.Batch            // what the store is given
	states      map[string]report.State // the next states, of the devices whose state changes
	gaps        []gap                   // the next gaps
	gapsChanged bool
	told        []string     // keys of the gaps that it announces
	missed      []missedNote // what it announces as missed
	partial     partial      // the next committed.partial
	minute      int64        // the next committed.minute
	uncleared   []string     // the next removed.uncleared

	unclearedChanged bool
	samples          []Sample
	bytes            int64 // of the payloads
	polls            int   // how many of the pending polls and events it holds
	events           int
}

// makeBatch reports at most limit of the pending events and polls. With extras it also
// holds what time and the store bring: an eviction, and bounded portions of the
// announcements of gaps, of damage and of what was missed, and the minutes that are
// over. Without them the record that the store rejects is being looked for.
func (r *Recorder) makeBatch(now time.Time, limit int, extras bool) (*batch, error) {
	b := &batch{
		reporter: r.reporter, last: r.committed,
		out:    buffer.Batch{State: map[string][]byte{}},
		states: map[string]report.State{}, gaps: slices.Clone(r.committed.gaps),
		partial: r.committed.partial, minute: r.committed.minute,
	}
	full := func() bool { return b.events+b.polls >= limit || b.bytes >= r.commitBytes }
	for ; b.events < len(r.pending.events) && !full(); b.events++ {
		b.event(r.pending.events[b.events])
	}
	for ; b.polls < len(r.pending.polls) && !full(); b.polls++ {
		b.poll(r.pending.polls[b.polls])
	}
	var err error
	if extras {
		err = r.extras(b, now)
	}
	for device, st := range b.states {
		var failed error
		b.out.State[device], failed = st.Marshal()
		err = errors.Join(err, failed)
	}
	return b, err
}

// extras puts into a batch what comes beside polls and events.
func (r *Recorder) extras(b *batch, now time.Time) error {
	maps.Copy(b.out.State, r.pending.states)
	b.delivered, _ = r.store.Progress()
	waits := r.store.Waits()
	b.forgetGaps(waits)
	err := errors.Join(b.damage(r.pending.damage), r.leave(b, now))
	b.missed = r.unsaidMissed(now)
	for _, n := range b.missed {
		b.event(missedEvent(now, n))
	}
	if b.polls == len(r.pending.polls) {
		b.closeMinutes(now, r.commitBytes)
	}
	ev, failed := r.makeRoom(b, now)
	if err = errors.Join(err, failed); ev != nil { // the store has room for the announcements
		b.evict(ev)
	}
	b.announceGaps(now, waits)
	if r.forget {
		b.gaps, b.gapsChanged = nil, true
	}
	return errors.Join(err, b.keepGaps())
}

// empty: there is nothing to commit. A state alone is something: that a connection has
// ended, that a gap is announced, that a device has left. It waits for tidyEvery at
// most, and for no record. So is a poll or an event that changes nothing: it must not
// stay pending.
func (b *batch) empty() bool {
	o := &b.out
	return b.items() == 0 && len(o.Records) == 0 && len(o.State) == 0 && len(o.Damage) == 0 && o.Evict == nil
}

// items is how many pending polls and events it holds.
func (b *batch) items() int { return b.polls + b.events }

// state is the newest state of a device, in this batch or committed.
func (b *batch) state(device string) report.State {
	if st, ok := b.states[device]; ok {
		return st
	}
	return b.last.states[device]
}

func (b *batch) poll(p *report.Poll) {
	st, out := b.reporter.Poll(b.state(p.Device), *p)
	b.set(p.Device, st, out.Records)
	b.samples = append(b.samples, Sample{
		Device: p.Device, Payload: slices.Clone(out.Sample), Shows: out.Shows, Standing: out.Standing, At: p.At, Fresh: freshIntervals * out.Interval,
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
		b.out.Records = append(b.out.Records, stored(rec))
	}
}

// stored is a record as the store keeps it.
func stored(rec report.Record) buffer.Record {
	return buffer.Record{
		Lane: topicOf(rec.Device, rec.Kind), Num: rec.Seq, Time: time.UnixMilli(rec.TimeMs), Fresh: rec.Fresh, Payload: rec.Payload,
	}
}

// stateBytes is what a commit writes beside its records: a page for the state of
// each device in it, and, if something has to be evicted, a gap of some 128 bytes
// for each topic, of which a device has five.
func (b *batch) stateBytes() int64 {
	const state, gaps = 4096, 5 * 128
	return int64(len(b.states)*state + len(b.last.states)*gaps)
}

// minuteGrace is how long after a minute's end it is closed without a poll: a poll
// that ended in it may still be on its way here.
const minuteGrace = 2 * time.Second

// closeMinutes reports minutes that are over, once a minute, and stops at limit bytes.
func (b *batch) closeMinutes(now time.Time, limit int64) {
	now = now.Add(-minuteGrace)
	minute := now.Unix() / 60
	if minute == b.last.minute {
		return
	}
	for device := range b.last.states {
		if b.bytes >= limit {
			return // the next commit goes on
		}
		if device == report.AgentDevice {
			continue
		}
		st, records := b.reporter.Tick(b.state(device), device, now)
		if len(records) > 0 {
			b.set(device, st, records)
		}
	}
	b.minute = minute
}
