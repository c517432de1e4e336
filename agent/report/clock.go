package report

import (
	"time"

	"roomcall/agent/host"
)

// reading is what the machine's clocks said at the poll.
func (p *Poll) reading() host.Reading { return host.Reading{Wall: p.At, Boot: p.Boot} }

// bootPart is enough of a boot's id to tell it from others.
func bootPart(id string) string { return id[:min(len(id), 8)] }

// last is what the clocks said at the last poll, as far as the state remembers.
func (d *stateData) last(id string) host.Reading {
	if d.LastMs == 0 {
		return host.Reading{}
	}
	last := host.Reading{Wall: time.UnixMilli(d.LastMs)}
	if d.Boot != "" && d.Boot == bootPart(id) {
		last.Boot = host.Boot{ID: id, Up: time.Duration(d.UpMs) * time.Millisecond}
	}
	return last
}

// clock takes a step of the wall clock out of the open call, so that its
// duration stays the time that really went by, sleep included; where no boot clock
// tells a sleep from a step, the join timer may. A step back that nobody saw (the
// machine was restarted) counts as no time at all.
func (t *turn) clock(prev host.Reading) {
	if prev.Wall.IsZero() {
		prev = t.d.last(t.p.Boot.ID)
	}
	var step int64
	sleepKnown := prev.Boot.Up > 0 && t.p.Boot.Up > 0
	if !prev.Wall.IsZero() {
		e := host.Between(prev, t.p.reading())
		step, sleepKnown = e.Step.Milliseconds(), sleepKnown && e.Counted
	}
	if step > 0 && !sleepKnown && t.timerAgrees() {
		step = 0 // the machine slept; the time did go by
	}
	if !sleepKnown && t.at < t.d.LastMs+step {
		step = t.at - t.d.LastMs
	}
	if step == 0 {
		return
	}
	if c := t.d.Call; c != nil {
		c.StartMs += step
		c.MarkMs += step
		for _, since := range []*int64{&c.EndingMs, &c.ShownMs, &c.NextMs} {
			if *since != 0 {
				*since += step
			}
		}
	}
	for _, since := range []*int64{&t.d.FailMs, &t.d.StuckMs, &t.d.StateMs} {
		if *since != 0 {
			*since += step
		}
	}
	// Forward, the machine may have slept, and the idle poll may be long ago: it
	// stays where it was and proves less. It must not lie ahead.
	for _, at := range []*int64{&t.d.IdleMs, &t.d.EndMs} {
		if *at != 0 && (step < 0 || sleepKnown) {
			*at += step
		}
	}
}

// timerAgrees reports whether the endpoint's join timer rose as much as the wall
// clock.
func (t *turn) timerAgrees() bool {
	c, now := t.d.Call, t.p.Status.JoinMinutes
	if c == nil || t.p.Err != nil || !now.Known || !c.Join.Known {
		return false
	}
	passed := float64(t.at-c.MarkMs) / 60_000
	return passed >= 1 && now.Value-c.Join.Value >= passed-1
}
