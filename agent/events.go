package main

import (
	"fmt"
	"strings"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
	"roomcall/publish"
)

// agentEvent is an event of the agent itself and when it happened.
type agentEvent struct {
	report.AgentEvent
	at   time.Time
	then func() // run when the event is on disk; nil = nothing
}

func startedEvent(at time.Time, reason string) agentEvent {
	return agentEvent{report.AgentEvent{Type: "agent.started", Text: "version " + version, Reason: reason}, at, nil}
}

// gapEvent announces records of a lane that a limit evicted undelivered.
func gapEvent(at time.Time, g buffer.Gap) agentEvent {
	device, kind, _ := strings.Cut(g.Lane, "/")
	return agentEvent{report.AgentEvent{
		Type: "agent.gap", Device: device, Kind: kind,
		FirstSeq: g.First, LastSeq: g.Last, Count: g.Count, Reason: g.Reason,
	}, at, nil}
}

// quarantinedEvent announces a record that the broker does not take; then takes it
// out of the queue.
func quarantinedEvent(at time.Time, r inflight, reason string, then func()) agentEvent {
	device, kind, _ := strings.Cut(r.lane, "/")
	return agentEvent{report.AgentEvent{
		Type: "agent.quarantined", Device: device, Kind: kind,
		FirstSeq: r.num, LastSeq: r.num, Count: 1, Reason: reason,
	}, at, then}
}

// undeliveredEvent announces that the delivery proof failed.
func undeliveredEvent(at time.Time, p publish.Proof) agentEvent {
	return agentEvent{report.AgentEvent{
		Type: "agent.undelivered", Reason: string(p.State), Text: p.Detail, Since: p.Since,
	}, at, nil}
}

func clockEvent(at time.Time, step time.Duration) agentEvent {
	return agentEvent{report.AgentEvent{
		Type: "agent.clock_step", Value: cgi.Known(step.Seconds()),
		Text: fmt.Sprintf("the wall clock moved by %s", step.Round(time.Millisecond)),
	}, at, nil}
}

// lostText tells how many records a broken file lost. With the newest state gone
// (reset) nothing tells how many there were: the number is only the least.
func lostText(lost uint64, reset bool) string {
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
func damageEvents(d buffer.Damage) []agentEvent {
	out := []agentEvent{{report.AgentEvent{
		Type: "agent.store_damaged", Count: d.Lost, Reason: d.Reason,
		Text: fmt.Sprintf("%s: %d records salvaged, %s; the broken file is kept as %s", d.Segment, d.Salvaged, lostText(d.Lost, d.Reset), d.Aside),
	}, d.At, nil}}
	for _, g := range d.Gaps {
		out = append(out, gapEvent(d.At, g))
	}
	if d.Reset {
		out = append(out, agentEvent{report.AgentEvent{
			Type: "agent.store_reset", Reason: d.Reason,
			Text: "the newest state could not be trusted; numbers start again under a new epoch",
		}, d.At, nil})
	}
	return out
}
