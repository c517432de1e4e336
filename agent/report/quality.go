package report

import (
	"math/bits"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

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
func (t *turn) quality(v *verdict, media *[payload.Groups]payload.Media) {
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
			Type: "quality.degraded", Severity: "warning", Metric: gaugeKey(i), Value: x,
			Limit: cgi.Known(p.limits[i/metrics/2][i%metrics].Poor.Value), CallID: t.d.Call.ID,
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
		Type: "quality.recovered", Metric: gaugeKey(i), Value: x, Reason: reason,
		Limit: t.limitOf(i), CallID: t.d.Call.ID,
	})
}

// limitOf is the limit whose undershooting is good: the fair one, or the poor
// one when the profile has no other.
func (t *turn) limitOf(i int) cgi.Reading {
	l := t.dev.Limits.limits[i/metrics/2][i%metrics]
	if l.Fair.Known {
		return cgi.Known(l.Fair.Value)
	}
	return cgi.Reading{Value: l.Poor.Value, Known: l.Poor.Known}
}

// closeQuality closes all open incidents, for the call ends.
func (t *turn) closeQuality(reason string) {
	for i := range gauges {
		if m, ok := t.d.Quality[i]; ok && m.Open != nil {
			t.recovered(i, m.Open, cgi.Reading{}, reason)
		}
	}
	t.d.Quality = nil
}
