package report

import (
	"math"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// AgentEvent is one of the agent's own events. Zero fields are left out.
type AgentEvent struct {
	// Type is "agent.started", "agent.gap", "agent.missed", "agent.quarantined",
	// "agent.store_damaged", "agent.store_reset", "agent.undelivered", "agent.same_client_id",
	// "agent.clock_step", or "agent.store_failing" and "agent.store_working".
	Type string
	// Severity is "info", "warning" or "critical"; "" means the type's own.
	Severity string
	// Device and Kind name the topic of the records that the event speaks of.
	Device, Kind             string
	FirstSeq, LastSeq, Count uint64
	Reason, IncidentID       string
	// Code is the problem in the table of agent/health, "" = the type's own. Detail is
	// what was seen, in English, for those who look deeper.
	Code, Detail string
	Since        time.Time
	Value        cgi.Reading // seconds for agent.clock_step
}

// severities are those of the agent's events.
var severities = map[string]string{
	"agent.started": "info", "agent.gap": "critical", "agent.missed": "critical", "agent.quarantined": "warning",
	"agent.store_damaged": "critical", "agent.store_reset": "warning",
	"agent.store_failing": "critical", "agent.store_working": "info",
	"agent.undelivered": "critical", "agent.same_client_id": "critical", "agent.clock_step": "warning",
}

// AgentEvent returns the record of one of the agent's own events; st is the state
// of the device "agent". More than 60 agent.undelivered or agent.clock_step an
// hour are held back and counted; the others announce holes and always go out.
func (r *Reporter) AgentEvent(st State, at time.Time, ev AgentEvent) (State, []Record) {
	next := st.clone()
	dev := r.devices[AgentDevice]
	t := &turn{r: r, dev: dev, d: &next.d, at: at.UnixMilli(), p: &Poll{At: at}}
	p := ev.payload()
	t.describe(&ev, &p)
	if ev.Type == "agent.undelivered" || ev.Type == "agent.clock_step" {
		ok, held := t.d.allow(ev.Type, maxAgentHour, t.at)
		if !ok {
			return next, nil
		}
		p.Suppressed = held
	}
	t.write("event", t.at, &p)
	return next, t.out.Records
}

func (ev *AgentEvent) payload() payload.Event {
	p := payload.Event{
		Type: ev.Type, Severity: ev.Severity, IncidentID: payload.Clip(ev.IncidentID), Value: number(ev.Value),
		OfDevice: payload.Clip(ev.Device), Kind: payload.Clip(ev.Kind),
		FirstSeq: ev.FirstSeq, LastSeq: ev.LastSeq, Count: ev.Count,
		Reason: payload.Clip(ev.Reason),
	}
	if p.Severity == "" {
		p.Severity = severities[ev.Type]
	}
	if p.Severity == "" {
		p.Severity = "info"
	}
	if !ev.Since.IsZero() {
		p.SinceMs = ev.Since.UnixMilli()
	}
	return p
}

// number is a reading as an optional key: nil when absent.
func number(x cgi.Reading) *float64 {
	if !x.Known || math.IsNaN(x.Value) || math.IsInf(x.Value, 0) {
		return nil
	}
	return &x.Value
}
