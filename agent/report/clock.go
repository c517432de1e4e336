package report

import "roomcall/agent/host"

// reading is what the machine's clocks said at the poll.
func (p *Poll) reading() host.Reading { return host.Reading{Wall: p.At, Boot: p.Boot} }

// clock takes a step of the wall clock out of the open call, so that its
// duration stays the time that really went by, sleep included. A step back that
// nobody saw (the agent was restarted) counts as no time at all.
func (t *turn) clock(prev host.Reading) {
	var step int64
	if !prev.Wall.IsZero() {
		step = host.Between(prev, t.p.reading()).Step.Milliseconds()
	}
	// Without a boot clock a machine that slept looks like a clock set forward.
	sleepKnown := prev.Boot.Up > 0 && t.p.Boot.Up > 0
	if step > 0 && !sleepKnown && t.timerAgrees() {
		step = 0 // the machine slept; the time did go by
	}
	if t.at < t.d.LastMs+step {
		step = t.at - t.d.LastMs
	}
	if step == 0 {
		return
	}
	if c := t.d.Call; c != nil {
		c.StartMs += step
		c.MarkMs += step
	}
	if t.d.FailMs != 0 {
		t.d.FailMs += step
	}
	// Forward, the machine may have slept, and the idle poll may be long ago: it
	// stays where it was and proves less. It must not lie ahead.
	if t.d.IdleMs != 0 && (step < 0 || sleepKnown) {
		t.d.IdleMs += step
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
