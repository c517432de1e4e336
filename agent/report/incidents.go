package report

import (
	"fmt"
	"maps"
	"math/bits"
	"strings"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// incident is an opening event that waits for its closing one.
type incident struct {
	ID      string `json:"id"`
	SinceMs int64  `json:"since_ms"`
	// Muted: the opening event was held back, so the closing one is too.
	Muted bool `json:"muted,omitzero"`
}

// Event rates: so many incidents of a type, and of a metric, in an hour; further
// ones are counted and held back, opening and closing event alike. Each metric
// is counted by itself: one network problem exceeds many limits at once.
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
	Held   int64 `json:"held,omitzero"`
}

// over reports whether the hour of the rate has passed at a time.
func (r rate) over(at int64) bool {
	return at < r.FromMs || at-r.FromMs >= rateWindow.Milliseconds()
}

// allow reports whether one more event of a type may go out; held is the number
// held back since the last one that did.
func (d *stateData) allow(kind string, limit int, at int64) (ok bool, held int64) {
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
		SinceMs: since,
	}
	ok, held := t.d.allow(strings.TrimSpace(ev.Type+" "+ev.Metric), limit, t.at)
	if !ok {
		in.Muted = true
		return in
	}
	ev.Suppressed, ev.IncidentID, ev.SinceMs = held, in.ID, since
	t.event(ev)
	return in
}

// close sends the closing event of an incident.
func (t *turn) close(in *incident, ev payload.Event) {
	if in.Muted {
		return
	}
	ev.Severity, ev.IncidentID, ev.SinceMs = "info", in.ID, in.SinceMs
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
			t.d.Offline = t.open(t.problem("endpoint.offline"), maxEndpointHour, t.d.FailMs)
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
		t.d.Refused = t.open(t.problem("endpoint.refused"), maxEndpointHour, t.at)
	case !failed && t.d.Refused != nil:
		t.close(t.d.Refused, payload.Event{Type: "endpoint.online", Reason: "accepted"})
		t.d.Refused = nil
	}
}

// problem is the opening event of an endpoint's incident: critical in a call.
func (t *turn) problem(kind string) payload.Event {
	ev := payload.Event{Type: kind, Severity: "warning", Reason: errWord(t.p.Err)}
	if t.d.Call != nil {
		ev.Severity, ev.CallID = "critical", t.callID()
	}
	return ev
}

// maxWindow is the longest window of a quality incident, in samples.
const maxWindow = 16

// metricState follows one gauge that is, or lately was, poor.
type metricState struct {
	Poor    uint32    `json:"poor,omitzero"` // the last samples, newest in bit 0
	Good    int       `json:"good,omitzero"` // good samples in a row
	SinceMs int64     `json:"since_ms,omitzero"`
	Open    *incident `json:"open,omitempty"`
}

// quality opens an incident when Enter of the last Of samples of a gauge are
// poor, and closes it after Leave good ones in a row. A sample without the
// reading counts neither way.
func (t *turn) quality(v *verdict, media *payload.GroupMedia) {
	for i, g := range v.gauges {
		m, known := t.d.Quality[i]
		if g == gradeUnknown || !known && g != gradePoor {
			continue
		}
		x := readingOf(&media[i/metrics], i%metrics)
		t.follow(i, g, x, &m)
		if m == (metricState{}) {
			delete(t.d.Quality, i)
			continue
		}
		if t.d.Quality == nil {
			t.d.Quality = map[int]metricState{}
		}
		t.d.Quality[i] = m
	}
}

// follow moves one gauge on by one sample; m becomes empty when there is
// nothing more to remember.
func (t *turn) follow(i int, g grade, x cgi.Reading, m *metricState) {
	p := &t.dev.Limits
	m.Poor = m.Poor << 1 & (1<<p.Of - 1)
	if g == gradePoor {
		if m.Poor == 0 && m.Open == nil {
			m.SinceMs = t.at
		}
		m.Poor |= 1
	}
	m.Good++
	if g != gradeGood {
		m.Good = 0
	}
	switch {
	case m.Open == nil && bits.OnesCount32(m.Poor) >= p.Enter:
		m.Open = t.open(payload.Event{
			Type: "quality.degraded", Severity: "warning", Metric: gaugeKey(i), Value: number(x),
			Limit: number(p.limits[i/metrics/2][i%metrics].Poor), CallID: t.callID(),
		}, maxQualityHour, m.SinceMs)
	case m.Open != nil && m.Good >= p.Leave:
		t.recovered(i, m.Open, x, "")
		*m = metricState{}
	case m.Open == nil && m.Poor == 0:
		*m = metricState{}
	}
}

func (t *turn) recovered(i int, in *incident, x cgi.Reading, reason string) {
	t.close(in, payload.Event{
		Type: "quality.recovered", Metric: gaugeKey(i), Value: number(x), Reason: reason,
		Limit: t.limitOf(i), CallID: t.callID(),
	})
}

// limitOf is the limit below which a reading is good: the fair one, or the poor
// one when the profile has no other.
func (t *turn) limitOf(i int) *float64 {
	l := t.dev.Limits.limits[i/metrics/2][i%metrics]
	if l.Fair.Known {
		return number(l.Fair)
	}
	return number(l.Poor)
}

// closeQuality closes all open incidents because the call ends.
func (t *turn) closeQuality(reason string) {
	for i := range gauges {
		if m, ok := t.d.Quality[i]; ok && m.Open != nil {
			t.recovered(i, m.Open, cgi.Reading{}, reason)
		}
	}
	t.d.Quality = nil
}
