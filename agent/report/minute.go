package report

import (
	"time"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
)

const minuteMs = 60_000

// minuteOf is the start of the UTC minute.
func minuteOf(ms int64) int64 { return ms - ((ms%minuteMs)+minuteMs)%minuteMs }

// minuteState is the open minute.
type minuteState struct {
	StartMs   int64              `json:"start_ms"`
	Samples   int64              `json:"samples"`
	OK        int64              `json:"ok,omitzero"`
	CoveredMs int64              `json:"covered_ms,omitzero"`
	CallID    string             `json:"call_id,omitempty"`
	Media     payload.MinuteSums `json:"media"`
	// Calls, Points and CallSums (by call) are kept for views only.
	Calls    []view.Call          `json:"calls,omitempty"`
	Points   []view.Point         `json:"points,omitempty"`
	CallSums []payload.MinuteSums `json:"call_sums,omitempty"`
}

// addToMinute counts the sample into its minute. An answered poll covers one
// poll interval.
func (t *turn) addToMinute() {
	m := t.d.Minute
	if m == nil {
		m = &minuteState{StartMs: minuteOf(t.at)}
		t.d.Minute = m
	}
	m.Samples++
	t.addToViews(m)
	if t.p.Err != nil {
		return
	}
	m.OK++
	m.CoveredMs += t.interval().Milliseconds()
	if t.sample.CallID != "" {
		m.CallID = t.sample.CallID
	}
	m.Media = m.Media.Add(&t.sample.Media)
}

// closeMinute writes the open minute's record. Its time is the minute's end.
func (t *turn) closeMinute() {
	m := t.d.Minute
	t.d.Minute = nil
	p := m.payload()
	if t.r.kinds["minute"] {
		t.write("minute", m.StartMs+minuteMs, &p)
	}
	t.minuteViews(m)
}

func (m *minuteState) payload() payload.Minute {
	return payload.Minute{
		MinuteMs: m.StartMs, Samples: m.Samples, SamplesOK: m.OK, CallID: m.CallID,
		CoveragePct: payload.Round(min(100*float64(m.CoveredMs)/minuteMs, 100), 2),
		Media:       m.Media.Summaries(),
	}
}

// Tick closes what is over at a time without a poll: the device's open minute
// and the views that go with it. Usually there is nothing to close.
func (r *Reporter) Tick(st State, name string, at time.Time) (State, []Record) {
	dev := r.devices[name]
	if dev == nil || st.d.Minute == nil || at.UnixMilli() < st.d.Minute.StartMs+minuteMs {
		return st, nil
	}
	next := st.clone()
	t := &turn{r: r, dev: dev, d: &next.d}
	t.closeMinute()
	t.rollVolc(at.UnixMilli())
	return next, t.out.Records
}
