package report

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// incident is an opening event that waits for its closing one.
type incident struct {
	ID      string  `json:"id"`
	SinceMs int64   `json:"since_ms"`
	Value   float64 `json:"value,omitzero"`
	// Muted: the opening event was held back, so the closing one is too.
	Muted bool `json:"muted,omitzero"`
}

// Event rates: so many incidents of a type, and of a metric, in an hour; further
// ones are counted and held back, opening and closing event alike. Each metric
// counts for itself: one trouble of the network is beyond many limits at once.
const (
	maxQualityHour  = 30
	maxEndpointHour = 12
	maxAgentHour    = 60
	rateWindow      = time.Hour
)

// rate counts events of one type and metric.
type rate struct {
	FromMs int64 `json:"from_ms"`
	N      int   `json:"n"`
	Held   int   `json:"held,omitzero"`
}

// over: the hour of the rate is not the one of a time.
func (r rate) over(at int64) bool {
	return at < r.FromMs || at-r.FromMs >= rateWindow.Milliseconds()
}

// allow tells whether one more event of a type may go out; held is the number
// held back since the last one that went.
func (d *stateData) allow(kind string, limit int, at int64) (ok bool, held int) {
	if d.Rates == nil {
		d.Rates = map[string]rate{}
	}
	maps.DeleteFunc(d.Rates, func(_ string, r rate) bool { return r.Held == 0 && r.over(at) })
	r := d.Rates[kind]
	if r.over(at) {
		r.FromMs, r.N = at, 0
	}
	if r.N >= limit {
		r.Held++
		d.Rates[kind] = r
		return false, 0
	}
	r.N++
	held, r.Held = r.Held, 0
	d.Rates[kind] = r
	return true, held
}

// open begins an incident and sends its opening event, unless there were too
// many of its type.
func (t *turn) open(ev payload.Event, limit int, since int64) *incident {
	t.d.Incidents++
	in := &incident{
		ID:      fmt.Sprintf("%s.%d.%s.i%d", t.r.set.ClientID, t.r.set.Epoch, t.dev.Name, t.d.Incidents),
		SinceMs: since, Value: ev.Value.Value,
	}
	ok, held := t.d.allow(strings.TrimSpace(ev.Type+" "+ev.Metric), limit, t.at)
	if !ok {
		in.Muted = true
		return in
	}
	if held > 0 {
		ev.Suppressed = cgi.Known(float64(held))
	}
	ev.IncidentID, ev.SinceMs = in.ID, cgi.Known(float64(since))
	t.event(ev)
	return in
}

// close sends the closing event of an incident.
func (t *turn) close(in *incident, ev payload.Event) {
	if in.Muted {
		return
	}
	ev.Severity, ev.IncidentID, ev.SinceMs = "info", in.ID, cgi.Known(float64(in.SinceMs))
	t.event(ev)
}

// offlineAfter is the number of polls in a row without an answer that make an
// endpoint offline.
const offlineAfter = 2

// endpoint follows whether the endpoint answers and lets the agent in. Offline
// and refused are two incidents; each is closed by its own endpoint.online:
// offline by any answer, refused by a status.
func (t *turn) endpoint() {
	kind, failed := t.failure()
	unreachable := failed && kind == cgi.KindUnreachable
	if unreachable {
		if t.d.Fails++; t.d.Fails == 1 {
			t.d.FailMs = t.at
		}
		if t.d.Fails >= offlineAfter && t.d.Offline == nil {
			t.d.Offline = t.open(t.trouble("endpoint.offline"), maxEndpointHour, t.d.FailMs)
		}
		return
	}
	t.d.Fails, t.d.FailMs = 0, 0
	if t.d.Offline != nil {
		t.close(t.d.Offline, payload.Event{Type: "endpoint.online", Reason: "answers"})
		t.d.Offline = nil
	}
	switch {
	case failed && kind == cgi.KindRefused && t.d.Refused == nil:
		t.d.Refused = t.open(t.trouble("endpoint.refused"), maxEndpointHour, t.at)
	case !failed && t.d.Refused != nil:
		t.close(t.d.Refused, payload.Event{Type: "endpoint.online", Reason: "accepted"})
		t.d.Refused = nil
	}
}

// trouble is the opening event of an endpoint's incident: critical in a call.
func (t *turn) trouble(kind string) payload.Event {
	ev := payload.Event{Type: kind, Severity: "warning", Reason: errWord(t.p.Err)}
	if t.d.Call != nil {
		ev.Severity, ev.CallID = "critical", t.d.Call.ID
	}
	return ev
}
