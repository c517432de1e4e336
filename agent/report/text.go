package report

import (
	"fmt"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// maxSentence bounds the text of an event or of the health message in bytes.
const maxSentence = 1200

// clockTime is a time of the state; 0 = the zero time.
func clockTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// text is an event's text: what the table says of a code, and the next step. hint is
// what an error advises, "" = the table's. since is when it began, 0 = not known.
func (t *turn) text(code, hint string, since int64, facts health.Facts) string {
	l := t.r.set.Lang
	if facts == nil {
		facts = health.Facts{}
	}
	facts["endpoint"] = health.Endpoint{Device: t.dev.Name, Room: t.dev.Room}.RoomName()
	if since != 0 {
		facts["since"], facts["for"] = l.ClockUTC(clockTime(since), t.p.At), l.For(time.Duration(t.at-since)*time.Millisecond)
	}
	if hint == "" {
		hint = l.HintFor(code, facts)
	}
	return payload.ClipTo(l.Sentences(l.What(code, facts), hint), maxSentence)
}

// endpointText is the text of an endpoint that has no status: the error's own advice first.
func (t *turn) endpointText(code string, since int64) string {
	return t.text(code, t.r.set.Lang.Hint(t.p.Err), since, nil)
}

func (t *turn) onlineText(in *incident, reason string) string {
	code := "event_online_" + reason
	return t.text(code, "", in.SinceMs, nil)
}

func (t *turn) clockText(ahead float64) string {
	code := "endpoint_clock_off"
	return t.text(code, "", t.at, health.Facts{"off": t.r.set.Lang.Ahead(ahead)})
}

// poorText says what is wrong with the call.
func (t *turn) poorText() string {
	l := t.r.set.Lang
	call, hint := l.Call(t.poorWords())
	return t.text("endpoint_poor_call", hint, t.d.Poor.SinceMs, health.Facts{"call": call})
}

// poorWords is the open incident as its words need it: this sample, and over it the
// newest poor readings.
func (t *turn) poorWords() health.Call {
	in := t.d.Poor
	c := health.Call{
		Grade: "poor", Reasons: join(t.beyond(), gaugeKey), Scope: in.Scope, Streams: in.Streams, Bad: in.Bad,
		Values: map[string]float64{}, Limits: t.dev.Limits.Values(),
	}
	for i := range gauges {
		if x := readingOf(&t.sample.Media[i/metrics], i%metrics); x.Known {
			c.Values[gaugeKey(i)] = x.Value
		}
	}
	for key, value := range t.poorValues() {
		c.Values[key] = value
	}
	return c
}

// poorValues are the newest poor readings of the open incident by their keys.
func (t *turn) poorValues() map[string]float64 {
	values := map[string]float64{}
	for _, i := range t.beyond() {
		if x := t.d.Quality[i].Value; x.Known {
			values[gaugeKey(i)] = x.Value
		}
	}
	return values
}

func (t *turn) recoveredText(reason string) string {
	code := "event_recovered"
	if reason != "" {
		code += "_" + reason
	}
	return t.text(code, "", t.d.Poor.SinceMs, nil)
}

func (t *turn) startText(start int64) string { return t.text("call_started", "", start, nil) }

func (t *turn) endText(c *payload.Call) string {
	l := t.r.set.Lang
	facts := health.Facts{
		"lasted": l.For(time.Duration(c.EndMs-c.StartMs) * time.Millisecond), "grade": l.Grade(c.Grade), "cause": l.Reason(c.Cause),
	}
	if c.SecondsPoor > 0 {
		facts["poor"] = l.For(time.Duration(c.SecondsPoor * float64(time.Second)))
	}
	return t.text("call_ended", "", 0, facts)
}

// agentTexts are the entries of the table that the texts of the agent's events are made
// of: what happened, and whose next step. "" = what happened has it.
var agentTexts = map[string]struct{ what, code string }{
	"agent.started":        {"event_started", "agent_started"},
	"agent.gap":            {"event_gap", "store_evicted"},
	"agent.missed":         {"event_missed", "store_missed"},
	"agent.quarantined":    {"event_quarantined", "store_quarantined"},
	"agent.store_damaged":  {"event_damaged", "store_damaged_files"},
	"agent.store_reset":    {"event_store_reset", "store_new_epoch"},
	"agent.store_failing":  {"event_store_failing", "store_failed"},
	"agent.store_working":  {"event_store_working", "store_failed"},
	"agent.undelivered":    {"broker_not_delivering", "broker_not_delivering"},
	"agent.same_client_id": {"event_same_client_id", "broker_same_client_id"},
	"agent.clock_step":     {"event_clock_step", "clock_step"},
}

// describe fills code and text of one of the agent's own events.
func (t *turn) describe(ev *AgentEvent, p *payload.Event) {
	l, entry := t.r.set.Lang, agentTexts[ev.Type]
	code := entry.code
	switch {
	case ev.Type == "agent.gap" && ev.Reason == "damaged":
		code = "store_damaged_files"
	case ev.Code != "":
		code = ev.Code
	}
	facts := health.Facts{
		"client_id": t.r.set.ClientID, "version": t.r.set.Version, "device": ev.Device, "kind": ev.Kind, "detail": ev.Detail,
		"reason": l.Why(ev.Reason),
	}
	for name, n := range map[string]uint64{"first": ev.FirstSeq, "last": ev.LastSeq, "count": ev.Count} {
		if n > 0 {
			facts[name] = fmt.Sprint(n)
		}
	}
	if ev.Value.Known {
		facts["jump"] = l.Jump(ev.Value.Value)
	}
	since := int64(0)
	if !ev.Since.IsZero() {
		since = ev.Since.UnixMilli()
	}
	what := entry.what
	if what == "event_store_failing" {
		what = code
	}
	hint := ""
	if severities[ev.Type] != "info" {
		hint = l.HintFor(code, facts)
	}
	p.Code, p.Text = code, t.text(what, hint, since, facts)
}

// AgentText is the text of one of the agent's own events in a language, made anew from
// its record; times are in the zone. What only the agent knew, its version and the
// detail, is not in it.
func AgentText(l health.Lang, record *payload.Event, zone *time.Location) string {
	at := time.UnixMilli(record.TsMs).In(zone)
	t := &turn{
		r: &Reporter{set: Settings{ClientID: record.ClientID, Lang: l}}, dev: &device{Device: Device{Name: AgentDevice}},
		at: record.TsMs, p: &Poll{At: at},
	}
	ev := AgentEvent{
		Type: record.Type, Code: record.Code, Device: record.OfDevice, Kind: record.Kind,
		FirstSeq: record.FirstSeq, LastSeq: record.LastSeq, Count: record.Count, Reason: record.Reason,
	}
	if record.SinceMs != 0 {
		ev.Since = time.UnixMilli(record.SinceMs)
	}
	if record.Value != nil {
		ev.Value = cgi.Known(*record.Value)
	}
	var p payload.Event
	t.describe(&ev, &p)
	return p.Text
}
