package record

import (
	"time"

	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/cgi"
)

// offLong is how long a machine is hardly ever off. After that the wall clock was
// wrong before, or is now, and who reads the records wants to know.
const offLong = 30 * 24 * time.Hour

// checkClock announces a wall clock that was set, also between the run before and
// this one. A machine that slept is no such thing.
func (r *Recorder) checkClock() {
	now := r.now()
	e := host.Between(r.clock, now)
	if leap := now.Wall.Sub(r.clock.Wall); e.Restarted && !r.clock.Wall.IsZero() && leap >= offLong {
		e.Step = leap
	}
	r.clock = now
	if e.Slept > 0 {
		r.log.Info("the machine slept", "for", e.Slept.Round(time.Second))
	}
	if e.Step == 0 {
		return
	}
	r.count(func(s *Stats) { s.ClockSteps++; s.LastStep, s.StepBy = now.Wall, e.Step })
	r.log.Warn("wall clock stepped", "by", e.Step, "over_a_restart", e.Restarted)
	r.holdEvent(clockEvent(now.Wall, e))
}

// clockEvent announces a step of the wall clock.
func clockEvent(at time.Time, e host.Elapsed) Event {
	reason := ""
	if e.Restarted {
		reason = "restarted"
	}
	return Event{AgentEvent: report.AgentEvent{Type: "agent.clock_step", Value: cgi.Known(e.Step.Seconds()), Reason: reason}, At: at}
}
