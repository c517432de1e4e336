package report

import (
	"time"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// AgentEvent is one of the agent's own events. Zero fields are left out.
type AgentEvent struct {
	// Type is "agent.started", "agent.gap", "agent.quarantined",
	// "agent.store_damaged", "agent.store_reset", "agent.undelivered" or
	// "agent.clock_step".
	Type string
	// Severity is "info", "warning" or "critical"; "" takes the type's own.
	Severity string
	// Device and Kind name the records the event speaks of (the two halves of a
	// lane such as "room-1/sample").
	Device, Kind             string
	FirstSeq, LastSeq, Count uint64
	Reason, Text, IncidentID string
	Since                    time.Time
	Value                    cgi.Reading // seconds for agent.clock_step
}

// severities are those of the agent's events.
var severities = map[string]string{
	"agent.started": "info", "agent.gap": "critical", "agent.quarantined": "warning",
	"agent.store_damaged": "critical", "agent.store_reset": "warning",
	"agent.undelivered": "critical", "agent.clock_step": "warning",
}

// AgentEvent makes the record of one of the agent's own events; st is the state
// of the device "agent". Of agent.undelivered and agent.clock_step, more than 60
// an hour are held back and counted; the others announce holes and always go
// out.
func (r *Reporter) AgentEvent(st State, at time.Time, ev AgentEvent) (State, []Record) {
	next := st.clone()
	dev := r.devices[AgentDevice]
	t := &turn{r: r, dev: dev, d: &next.d, at: at.UnixMilli()}
	p := ev.payload()
	if ev.Type == "agent.undelivered" || ev.Type == "agent.clock_step" {
		ok, held := t.d.allow(ev.Type, maxAgentHour, t.at)
		if !ok {
			return next, nil
		}
		p.Suppressed = cgi.Reading{Value: float64(held), Known: held > 0}
	}
	p.Head = t.head("event", t.at)
	rec := t.record("event", &p.Head, payload.Encode(&p))
	return next, []Record{rec}
}

func (ev *AgentEvent) payload() payload.Event {
	p := payload.Event{
		Type: ev.Type, Severity: ev.Severity, IncidentID: clip(ev.IncidentID), Value: ev.Value,
		OfDevice: clip(ev.Device), Kind: clip(ev.Kind),
		FirstSeq: count(ev.FirstSeq), LastSeq: count(ev.LastSeq), Count: count(ev.Count),
		Reason: clip(ev.Reason), Text: clip(ev.Text),
	}
	if p.Severity == "" {
		p.Severity = severities[ev.Type]
	}
	if p.Severity == "" {
		p.Severity = "info"
	}
	if !ev.Since.IsZero() {
		p.SinceMs = cgi.Known(float64(ev.Since.UnixMilli()))
	}
	return p
}

func count(n uint64) cgi.Reading { return cgi.Reading{Value: float64(n), Known: n > 0} }
