package record

import (
	"errors"
	"maps"
	"slices"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// draft is a batch in the making: records and the states that they lead to.
// Nothing of it counts before the store has it.
type draft struct {
	recorder *Recorder
	batch    buffer.Batch
	states   map[string]report.State
	samples  []Sample
	bytes    int64
	polls    int // how many of the held polls and events it takes
	events   int
	minute   int64
	gaps     []announcedGap
}

// draft reports what is held, from the last committed states.
func (r *Recorder) draft(now time.Time) (*draft, error) {
	d := &draft{recorder: r, states: map[string]report.State{}, gaps: slices.Clone(r.gaps)}
	d.batch.State = map[string][]byte{}
	maps.Copy(d.batch.State, r.extra)
	for d.events < len(r.heldEvents) && d.bytes < commitBytes {
		d.event(r.heldEvents[d.events])
		d.events++
	}
	for _, broken := range r.damaged {
		for _, ev := range damageEvents(broken) {
			d.event(ev)
		}
		d.batch.Damage = append(d.batch.Damage, broken)
	}
	limit := commitMax
	if r.alone {
		limit = 1
	}
	for d.polls < min(len(r.held), limit) && d.bytes < commitBytes {
		d.poll(r.held[d.polls])
		d.polls++
	}
	if ev := r.store.Due(now, d.bytes+d.reserve()); ev != nil {
		d.evict(now, ev)
	}
	d.tick(now)
	return d, errors.Join(d.marshal(), d.keepGaps())
}

// Bytes that a commit writes beside its records: a page for the state of each
// device in it, and, if something has to be evicted, an event of some 500 bytes
// for each topic, of which a device has five.
const (
	stateBytes = 4096
	gapBytes   = 5 * 512
)

func (d *draft) reserve() int64 {
	return int64(len(d.states)*stateBytes + len(d.recorder.states)*gapBytes)
}

// tickGrace is how long after a minute's end it is closed without a poll: a poll
// that ended in it may still be on its way here.
const tickGrace = 2 * time.Second

// tick closes minutes that are over, once a minute, when no poll is left out.
func (d *draft) tick(now time.Time) {
	now = now.Add(-tickGrace)
	minute := now.Unix() / 60
	if d.polls < len(d.recorder.held) || minute == d.recorder.lastTick {
		d.minute = d.recorder.lastTick
		return
	}
	d.minute = minute
	for device := range d.recorder.states {
		if device == report.AgentDevice {
			continue
		}
		st, records := d.recorder.reporter.Tick(d.state(device), device, now)
		if len(records) > 0 {
			d.states[device] = st
			d.add(records)
		}
	}
}

func (d *draft) marshal() error {
	for key, st := range d.states {
		blob, err := st.Marshal()
		if err != nil {
			return err
		}
		d.batch.State[key] = blob
	}
	return nil
}

// empty: there is nothing to commit. A poll or an event without a record is
// something: its state counts (a call goes on), and it must not stay held.
func (d *draft) empty() bool {
	return len(d.batch.Records) == 0 && d.batch.Evict == nil && d.polls == 0 && d.events == 0
}

func (d *draft) state(key string) report.State {
	if st, ok := d.states[key]; ok {
		return st
	}
	return d.recorder.states[key]
}

func (d *draft) poll(p report.Poll) {
	st, out := d.recorder.reporter.Poll(d.state(p.Device), p)
	d.states[p.Device] = st
	d.add(out.Records)
	d.samples = append(d.samples, Sample{
		Device: p.Device, Payload: slices.Clone(out.Sample), At: p.At, Fresh: 2 * out.Interval,
	})
}

// event adds an event of the agent and gives its number, 0 when it was held back.
func (d *draft) event(ev Event) (seq uint64) {
	st, records := d.recorder.reporter.AgentEvent(d.state(report.AgentDevice), ev.At, ev.AgentEvent)
	d.states[report.AgentDevice] = st
	d.add(records)
	for _, rec := range records {
		seq = rec.Seq
	}
	return seq
}

func (d *draft) add(records []report.Record) {
	for _, rec := range records {
		d.bytes += int64(len(rec.Payload))
		d.batch.Records = append(d.batch.Records, buffer.Record{
			Lane:    rec.Device + "/" + rec.Kind,
			Num:     rec.Seq,
			Time:    time.UnixMilli(rec.TimeMs),
			Fresh:   rec.Fresh,
			Payload: rec.Payload,
		})
	}
}
