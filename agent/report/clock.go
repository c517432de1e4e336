package report

import "time"

// stepMin is the smallest jump of the wall clock that counts as a step.
const stepMin = 2 * time.Second

// ClockStep returns how far the wall clock jumped between two times that carry
// monotonic readings: positive = forward, 0 = less than 2 s or unknown.
func ClockStep(prev, now time.Time) time.Duration {
	step := now.Round(0).Sub(prev.Round(0)) - now.Sub(prev)
	if step.Abs() < stepMin {
		return 0
	}
	return step
}

// clock takes a step of the wall clock out of the open call, so that its
// duration stays the time that really went by. A step back that nobody saw (the
// agent was restarted) counts as no time at all.
func (t *turn) clock(prev time.Time) {
	var step int64
	if !prev.IsZero() {
		step = ClockStep(prev, t.p.At).Milliseconds()
	}
	if step > 0 && t.timerAgrees() {
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
	if t.d.IdleMs != 0 && step < 0 {
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
