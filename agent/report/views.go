package report

import (
	"io"
	"slices"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
)

// Views lists the other systems' shapes.
func Views() []string { return view.Names() }

// ConvertOptions are the choices of Convert.
type ConvertOptions = view.Options

// Convert reads published or exported records, one JSON object a line, any
// kinds, in any order, duplicates allowed, and writes one JSON document in the
// shape of another system's reply ("zoom", "agora", "volc", "trtc"), plus _meta.
// When lines cannot be read, it returns the document of the others and an error.
func Convert(to string, in io.Reader, o ConvertOptions) ([]byte, error) {
	return view.Convert(to, in, o)
}

// maxPoints bounds the samples that a minute keeps for views; maxMinuteCalls its
// calls.
const (
	maxPoints      = 120
	maxMinuteCalls = 8
)

// volcState has the open buckets of the volc view.
type volcState struct {
	Five view.Bucket `json:"five"`
	Day  view.Bucket `json:"day"`
}

func (r *Reporter) wants(name string) bool { return slices.Contains(r.views, name) }

// addToViews keeps what the views need of this sample.
func (t *turn) addToViews(m *minuteState) {
	if len(t.r.views) == 0 {
		return
	}
	for _, c := range t.ended {
		m.call(c)
	}
	if t.sample.CallID == "" {
		return
	}
	c := t.viewCall(t.d.Call)
	i := m.call(c)
	if i < 0 {
		return
	}
	t.sample.TsMs = t.at
	m.Calls[i].See(&t.sample)
	p := view.NewPoint(&t.sample, i)
	if (t.r.wants("agora") || t.r.wants("trtc")) && len(m.Points) < maxPoints {
		m.Points = append(slices.Clip(m.Points), p)
	}
	if t.d.Volc != nil {
		t.d.Volc.Five.Add(&p)
		t.d.Volc.Day.Add(&p)
	}
}

// viewCall is the open call as the views need it.
func (t *turn) viewCall(c *callState) view.Call {
	return view.Call{
		ID: t.callID(), ClientID: t.r.set.ClientID, Device: t.dev.Name, Room: t.dev.Room,
		Model: payload.Clip(t.p.Status.Model), StartMs: c.StartMs, EndMs: c.MarkMs,
	}
}

// call finds a call in the minute, or puts it there; -1 = no more room.
func (m *minuteState) call(c view.Call) int {
	i := slices.IndexFunc(m.Calls, func(x view.Call) bool { return x.ID == c.ID })
	switch {
	case i < 0 && len(m.Calls) >= maxMinuteCalls:
		return -1
	case i < 0:
		m.Calls = append(slices.Clip(m.Calls), c)
		return len(m.Calls) - 1
	}
	m.Calls = slices.Clone(m.Calls)
	was := m.Calls[i]
	c.Sends = c.Sends || was.Sends
	if c.Model == "" {
		c.Model = was.Model
	}
	m.Calls[i] = c
	return i
}

// minuteViews writes the views of a finished minute that had a call.
func (t *turn) minuteViews(m *minuteState, p *payload.Minute) {
	if len(m.Calls) == 0 {
		return
	}
	f := &view.Facts{Calls: m.Calls, Points: m.Points, Minutes: []payload.Minute{*p}}
	for _, name := range t.r.views {
		if name == "volc" || name == "zoom" && p.CallID == "" {
			continue
		}
		doc, _ := view.Document(name, f, view.Options{})
		t.emitView(name, doc, m.StartMs+minuteMs)
	}
}

// rollVolc writes the buckets of the volc view that are over at a time, and
// opens new ones.
func (t *turn) rollVolc(at int64) {
	if !t.r.wants("volc") {
		return
	}
	if t.d.Volc == nil {
		t.d.Volc = &volcState{}
	}
	for _, b := range []struct {
		granularity string
		bucket      *view.Bucket
	}{{"5min", &t.d.Volc.Five}, {"1d", &t.d.Volc.Day}} {
		start := view.StartOf(at, b.granularity)
		if start == b.bucket.StartMs {
			continue
		}
		if !b.bucket.Empty() {
			end := b.bucket.StartMs + view.Granularities[b.granularity].Milliseconds()
			t.emitView("volc", view.VolcDocument(*b.bucket, b.granularity), end)
		}
		*b.bucket = view.Bucket{StartMs: start}
	}
}

// emitView writes one view: the keys of every payload, then those of the other
// system's reply.
func (t *turn) emitView(name string, doc any, tsMs int64) {
	kind := "view/" + name
	head := t.head(kind, tsMs)
	b, err := payload.JSON(head)
	if err != nil { // plain structs always encode
		return
	}
	body, err := payload.JSON(doc)
	if err != nil {
		return
	}
	b = append(append(b[:len(b)-1], ','), body[1:]...)
	t.put(kind, &head, b)
}
