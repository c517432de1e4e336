package report

import (
	"io"
	"slices"
	"time"

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

// NoMetrics asks for a document without series.
const NoMetrics = view.NoMetrics

// ViewParts lists the parts of another system's interface, the default first.
func ViewParts(name string) []string { return view.Parts(name) }

// maxPoints bounds the samples that a minute keeps for views, one a second and call;
// maxMinuteCalls its calls.
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
	switch n := len(m.Points); {
	case !t.r.wants("agora") && !t.r.wants("trtc"):
	case n > 0 && m.Points[n-1].TsMs/1000 == p.TsMs/1000 && m.Points[n-1].Call == i: // the shapes have one value a second
		m.Points = append(slices.Clip(m.Points[:n-1]), p)
	case n < maxPoints:
		m.Points = append(slices.Clip(m.Points), p)
	}
	if t.r.wants("zoom") {
		m.CallSums = slices.Clone(m.CallSums)
		for len(m.CallSums) < len(m.Calls) {
			m.CallSums = append(m.CallSums, payload.MinuteSums{})
		}
		m.CallSums[i] = m.CallSums[i].Add(&t.sample.Media)
	}
	if t.d.Volc != nil {
		t.d.Volc.Five.Add(&p)
		t.d.Volc.Day.Add(&p)
	}
}

// viewCall is the open call as the views need it.
func (t *turn) viewCall(c *callState) view.Call {
	v := view.Call{
		ID: t.callID(), ClientID: t.r.set.ClientID, Device: t.dev.Name, Room: t.dev.Room,
		Model: payload.Clip(t.p.Status.Model), StartMs: c.StartMs, EndMs: c.MarkMs,
	}
	for _, g := range []int{payload.AudioSend, payload.VideoSend, payload.AuxSend} {
		v.Sends = v.Sends || c.Media[g] != nil
	}
	return v
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

// minuteViews writes the views of a finished minute that had a call: one part of one
// call a document, as a strict reader of that part wants it.
func (t *turn) minuteViews(m *minuteState) {
	f := &view.Facts{Calls: m.Calls, Points: m.Points}
	end := m.StartMs + minuteMs
	for i := range m.Calls {
		one := f.OfCall(i)
		if i < len(m.CallSums) && m.CallSums[i].Any() {
			one.Minutes = []view.Minute{{StartMs: m.StartMs, Media: m.CallSums[i].Summaries()}}
			t.emitView("zoom", view.Document("zoom", one, view.Options{Part: "live"}), end)
		}
		if t.r.wants("agora") {
			t.emitView("agora", view.Document("agora", one, view.Options{Part: "details"}), end)
		}
		if t.r.wants("trtc") {
			t.emitView("trtc", view.Document("trtc", one, view.Options{}), end)
		}
	}
	if len(m.Calls) == 0 || !t.r.wants("agora") {
		return
	}
	for _, part := range []string{"lists", "scale", "diagnosis"} {
		doc := view.Document("agora", f, view.Options{Part: part})
		if d, rows := doc.(*view.AgoraData[view.AgoraDiagnosisRow]); rows && len(d.Data) == 0 {
			continue // no row, no message
		}
		t.emitView("agora", doc, end)
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
	zone := t.r.viewZone()
	for _, b := range []struct {
		granularity string
		bucket      *view.Bucket
	}{{"5min", &t.d.Volc.Five}, {"1d", &t.d.Volc.Day}} {
		start := view.StartOf(at, b.granularity, zone)
		if start == b.bucket.StartMs {
			continue
		}
		if !b.bucket.Empty() {
			end := view.EndOf(b.bucket.StartMs, b.granularity, zone)
			t.emitView("volc", view.VolcDocument(*b.bucket, b.granularity, zone), end)
		}
		*b.bucket = view.Bucket{StartMs: start}
	}
}

func (r *Reporter) viewZone() *time.Location {
	if r.set.ViewZone == nil {
		return time.UTC
	}
	return r.set.ViewZone
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
