package record

import (
	"fmt"
	"time"

	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

// Event is an event of the agent itself and when it happened.
type Event struct {
	report.AgentEvent
	At time.Time
	// Done is called once: when the event is on disk, or, with false, when it never
	// will be. It must not wait. nil = nobody asks.
	Done func(onDisk bool)
}

func (ev *Event) done(onDisk bool) {
	if ev.Done != nil {
		ev.Done(onDisk)
	}
}

// gapEvent announces records of a lane that a limit evicted undelivered.
func gapEvent(at time.Time, g buffer.Gap) Event {
	return Event{AgentEvent: report.AgentEvent{
		Type: "agent.gap", Device: Device(g.Lane), Kind: Kind(g.Lane),
		FirstSeq: g.First, LastSeq: g.Last, Count: g.Count, Reason: g.Reason,
	}, At: at}
}

// clockEvent announces a step of the wall clock.
func clockEvent(at time.Time, e host.Elapsed) Event {
	text := fmt.Sprintf("the wall clock moved by %s", e.Step.Round(time.Millisecond))
	switch {
	case e.Restarted && e.Step < 0:
		text = fmt.Sprintf("the wall clock is %s behind what it was before the last start", -e.Step.Round(time.Second))
	case e.Restarted:
		text = fmt.Sprintf("the wall clock is %s ahead of what it was before the last start: the machine was off for so long, or the clock was wrong, then or now", e.Step.Round(time.Second))
	}
	return Event{AgentEvent: report.AgentEvent{Type: "agent.clock_step", Value: cgi.Known(e.Step.Seconds()), Text: text}, At: at}
}

// LostText tells how many records a broken file lost. With the newest state gone
// (reset) nothing tells how many there were: the number is only the least.
func LostText(lost uint64, reset bool) string {
	switch {
	case reset && lost == 0:
		return "how many are lost is not known"
	case reset:
		return fmt.Sprintf("at least %d lost", lost)
	default:
		return fmt.Sprintf("%d lost", lost)
	}
}

// damageEvents announce a broken segment: what was salvaged and, lane by lane
// as far as that is known, what was not.
func damageEvents(d buffer.Damage) []Event {
	out := []Event{{AgentEvent: report.AgentEvent{
		Type: "agent.store_damaged", Count: d.Lost, Reason: d.Reason,
		Text: fmt.Sprintf("%s: %d records salvaged, %s; the broken file is kept as %s", d.Segment, d.Salvaged, LostText(d.Lost, d.Reset), d.Aside),
	}, At: d.At}}
	for _, g := range d.Gaps {
		out = append(out, gapEvent(d.At, g))
	}
	if d.Reset {
		out = append(out, Event{AgentEvent: report.AgentEvent{
			Type: "agent.store_reset", Reason: d.Reason,
			Text: "the newest state could not be trusted; numbers start again under a new epoch",
		}, At: d.At})
	}
	return out
}
