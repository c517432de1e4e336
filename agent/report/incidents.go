package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// incident is an opening event that waits for its closing one.
type incident struct {
	ID      string `json:"id"`
	SinceMs int64  `json:"since_ms"`
	Code    string `json:"code,omitempty"` // of the problem
	// Muted: the opening event was held back, so the closing one is too.
	Muted bool `json:"muted,omitzero"`
}

// Event rates: so many incidents of a type in an hour; further ones are counted and held
// back, opening and closing event alike.
const (
	maxQualityHour  = 30
	maxEndpointHour = 12
	maxAgentHour    = 60
	rateWindow      = time.Hour
)

// rate counts events of one type.
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
		SinceMs: since, Code: ev.Code,
	}
	ok, held := t.d.allow(ev.Type, limit, t.at)
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

// stuckAfter is how long an endpoint may answer without its status, because it is busy,
// upgrading or in trouble.
const stuckAfter = 2 * time.Minute

// endpoint follows whether the endpoint answers and lets the agent in. Each of its
// incidents is closed by its own endpoint.online: offline by any answer, refused and
// stuck by a status.
func (t *turn) endpoint() {
	kind, failed := t.failure()
	unreachable := failed && kind == cgi.KindUnreachable
	if unreachable {
		if t.d.Fails++; t.d.Fails == 1 {
			t.d.FailMs = t.at
		}
		if t.d.Fails >= offlineAfter && t.d.Offline == nil {
			t.d.Offline = t.open(t.problem("endpoint.offline", "endpoint_unreachable", t.d.FailMs), maxEndpointHour, t.d.FailMs)
		}
		t.d.StuckMs = 0
		return
	}
	t.d.Fails, t.d.FailMs = 0, 0
	if t.d.Offline != nil {
		t.online(t.d.Offline, "answers")
		t.d.Offline = nil
	}
	if !failed {
		t.d.StuckMs = 0
		for _, in := range []**incident{&t.d.Refused, &t.d.Stuck} {
			if *in != nil {
				t.online(*in, "accepted")
				*in = nil
			}
		}
		t.clockOff()
		return
	}
	if kind == cgi.KindRefused {
		t.d.StuckMs = 0
		if t.d.Refused == nil {
			t.d.Refused = t.open(t.problem("endpoint.refused", "endpoint_refused", t.at), maxEndpointHour, t.at)
		}
		return
	}
	if t.d.StuckMs == 0 || t.d.StuckMs > t.at {
		t.d.StuckMs = t.at
	}
	if t.d.Stuck == nil && t.at-t.d.StuckMs > stuckAfter.Milliseconds() {
		typ, code := "endpoint.busy", "endpoint_"+kind.String()
		if kind != cgi.KindBusy && kind != cgi.KindUpgrading {
			typ, code = "endpoint.error", "endpoint_error"
		}
		t.d.Stuck = t.open(t.problem(typ, code, t.d.StuckMs), maxEndpointHour, t.d.StuckMs)
	}
}

// problem is the opening event of an endpoint's incident: critical in a call.
func (t *turn) problem(kind, code string, since int64) payload.Event {
	ev := payload.Event{Type: kind, Code: code, Severity: "warning", Reason: errWord(t.p.Err), Text: t.endpointText(code, since)}
	if t.d.Call != nil {
		ev.Severity, ev.CallID = "critical", t.callID()
	}
	return ev
}

// online closes an incident of the endpoint.
func (t *turn) online(in *incident, reason string) {
	t.close(in, payload.Event{
		Type: "endpoint.online", Code: cmp.Or(in.Code, "endpoint_online"), Reason: reason, Text: t.onlineText(in, reason),
	})
}

// The endpoint's clock is off when it differs by more than clockOff in clockPolls polls in
// a row, and right again within clockRight. The vendor's header has whole seconds.
const (
	clockOff   = time.Minute
	clockRight = 30 * time.Second
	clockPolls = 3
)

// clockOff follows whether the endpoint's clock shows the time of this machine.
func (t *turn) clockOff() {
	ahead := t.p.Status.ClockAhead
	if !ahead.Known {
		return
	}
	off := time.Duration(math.Abs(ahead.Value) * float64(time.Second))
	switch {
	case off > clockOff && t.d.ClockOff == nil:
		if t.d.ClockPolls++; t.d.ClockPolls < clockPolls {
			return
		}
		t.d.ClockPolls = 0
		t.d.ClockAhead = ahead.Value
		t.d.ClockOff = t.open(payload.Event{
			Type: "endpoint.clock_off", Code: "endpoint_clock_off", Severity: "warning", Value: number(ahead), Text: t.clockText(ahead.Value),
		}, maxEndpointHour, t.at)
	case off > clockOff:
		t.d.ClockAhead = ahead.Value
	case t.d.ClockOff != nil && off <= clockRight:
		t.online(t.d.ClockOff, "clock_right")
		t.d.ClockOff, t.d.ClockAhead = nil, 0
	default:
		t.d.ClockPolls = 0
	}
}

// maxWindow is the longest window of a quality incident, in samples.
const maxWindow = 16

// changedEvery is the least time between two events about a poor call that goes on.
const changedEvery = time.Minute

// metricState follows one gauge that is, or lately was, poor.
type metricState struct {
	Poor    uint32 `json:"poor,omitzero"` // the last samples, newest in bit 0
	Good    int    `json:"good,omitzero"` // good samples in a row
	SinceMs int64  `json:"since_ms,omitzero"`
	// Beyond: it is part of the device's incident, and Value is its newest poor reading.
	Beyond bool        `json:"beyond,omitzero"`
	Value  cgi.Reading `json:"value,omitzero"`
	// Open is the incident that each metric had of its own in older programs, see
	// mergeIncidents.
	Open *incident `json:"open,omitempty"`
}

// poorCall is the incident of a poor call, one a device at a time.
type poorCall struct {
	incident
	Scope   string `json:"scope,omitempty"`
	Streams int    `json:"streams,omitzero"` // received video streams, when the call was poor last
	Bad     int    `json:"bad,omitzero"`     // those of them that were poor
	// What its newest event said, and when.
	ToldMs     int64   `json:"told_ms,omitzero"`
	Told       string  `json:"told,omitempty"`
	ToldExcess float64 `json:"told_excess,omitzero"`
	Metric     int     `json:"metric,omitzero"` // the gauge
}

// quality follows each gauge: it becomes part of the device's incident when Enter of its
// last Of samples are poor, and leaves it after Leave good ones in a row. The incident
// opens with the first and closes with the last. A sample without the reading counts
// neither way.
func (t *turn) quality(v *verdict, media *payload.GroupMedia) {
	t.mergeIncidents()
	left, last := -1, cgi.Reading{} // a gauge that leaves now, with its reading
	for i, g := range v.gauges {
		m, known := t.d.Quality[i]
		if g == gradeUnknown || !known && g != gradePoor {
			continue
		}
		x := readingOf(&media[i/metrics], i%metrics)
		was := m.Beyond
		m.next(g, x, t.at, &t.dev.Limits)
		if was && !m.Beyond && (left < 0 || i == t.d.Poor.Metric) {
			left, last = i, x
		}
		if m == (metricState{}) {
			delete(t.d.Quality, i)
			continue
		}
		if t.d.Quality == nil {
			t.d.Quality = map[int]metricState{}
		}
		t.d.Quality[i] = m
	}
	t.followPoor(v, left, last)
}

// next moves one gauge on by one sample; it becomes empty when there is nothing more to
// remember.
func (m *metricState) next(g grade, x cgi.Reading, at int64, p *Profile) {
	m.Poor = m.Poor << 1 & (1<<p.Of - 1)
	if g == gradePoor {
		if m.Poor == 0 && !m.Beyond {
			m.SinceMs = at
		}
		m.Poor |= 1
		m.Value = x
	}
	m.Good++
	if g != gradeGood {
		m.Good = 0
	}
	switch {
	case !m.Beyond && bits.OnesCount32(m.Poor) >= p.Enter:
		m.Beyond = true
	case m.Beyond && m.Good >= p.Leave, !m.Beyond && m.Poor == 0:
		*m = metricState{}
	}
}

// beyond lists the gauges of the open incident, the worst first.
func (t *turn) beyond() []int {
	var list []int
	for i := range gauges {
		if t.d.Quality[i].Beyond {
			list = append(list, i)
		}
	}
	return worstFirst(list, t.excess)
}

func (t *turn) excess(gauge int) float64 { return t.dev.Limits.excess(gauge, t.d.Quality[gauge].Value) }

// followPoor opens, changes or closes the device's incident; left is the gauge that has
// just left it, with its reading.
func (t *turn) followPoor(v *verdict, left int, last cgi.Reading) {
	list := t.beyond()
	switch {
	case len(list) == 0 && t.d.Poor == nil:
		return
	case len(list) == 0:
		t.recovered(left, last, "")
		return
	case t.d.Poor == nil:
		t.d.Poor = &poorCall{}
	}
	in := t.d.Poor
	if v.grade == gradePoor {
		in.Streams, in.Bad = v.streams, v.bad
	}
	in.Scope = scopeOf(list, in.Streams, in.Bad)
	slices.Sort(list)
	told := in.Scope + " " + join(list, gaugeKey)
	list = t.beyond()
	worst := t.excess(list[0])
	ev := payload.Event{
		Type: "quality.degraded", Code: "endpoint_poor_call", Severity: "warning", CallID: t.callID(), Scope: in.Scope,
		Metric: gaugeKey(list[0]), Metrics: join(list, gaugeKey), Value: number(t.d.Quality[list[0]].Value),
		Limit: number(t.dev.Limits.limits[list[0]/metrics/2][list[0]%metrics].Poor),
	}
	switch {
	case in.ID == "":
		since := t.at
		for _, i := range list {
			since = min(since, t.d.Quality[i].SinceMs)
		}
		in.SinceMs = since
		ev.Text = t.poorText()
		in.incident = *t.open(ev, maxQualityHour, since)
	case in.Muted || worst == 0 || t.at-in.ToldMs < changedEvery.Milliseconds() && t.at >= in.ToldMs:
		return
	case told == in.Told && worst < 2*in.ToldExcess && worst > in.ToldExcess/2:
		return
	default:
		ev.Type, ev.IncidentID, ev.SinceMs, ev.Text = "quality.changed", in.ID, in.SinceMs, t.poorText()
		t.event(ev)
	}
	in.ToldMs, in.Told, in.ToldExcess, in.Metric = t.at, told, worst, list[0]
}

// recovered closes the incident of the call; x is the reading of the gauge.
func (t *turn) recovered(gauge int, x cgi.Reading, reason string) {
	in := t.d.Poor
	t.close(&in.incident, payload.Event{
		Type: "quality.recovered", Code: "endpoint_poor_call", Metric: gaugeKey(gauge), Value: number(x), Reason: reason,
		Limit: t.limitOf(gauge), CallID: t.callID(), Text: t.recoveredText(reason),
	})
	t.d.Poor = nil
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

// closeQuality closes the open incident because the call ends.
func (t *turn) closeQuality(reason string) {
	t.mergeIncidents()
	if t.d.Poor != nil {
		t.recovered(t.d.Poor.Metric, cgi.Reading{}, reason)
	}
	t.d.Quality = nil
}

// mergeIncidents makes one incident of those that each metric had of its own, in a state
// that an older program wrote: the eldest goes on, the others are closed.
func (t *turn) mergeIncidents() {
	eldest := -1
	for i := range gauges {
		if m := t.d.Quality[i]; m.Open != nil && (eldest < 0 || m.Open.SinceMs < t.d.Quality[eldest].Open.SinceMs) {
			eldest = i
		}
	}
	if eldest < 0 {
		return
	}
	goesOn := &poorCall{incident: *t.d.Quality[eldest].Open, Metric: eldest}
	for i := range gauges {
		m := t.d.Quality[i]
		if m.Open == nil {
			continue
		}
		if i != eldest {
			t.d.Poor = &poorCall{incident: *m.Open}
			t.recovered(i, cgi.Reading{}, "merged")
		}
		m.Beyond, m.Open = true, nil
		t.d.Quality[i] = m
	}
	t.d.Poor = goesOn
}
