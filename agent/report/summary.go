package report

import (
	"slices"
	"strconv"
	"strings"

	"roomcall/agent/report/payload"
	"roomcall/agent/report/view"
	"roomcall/cgi"
)

// stat sums the readings of one metric; P95 is kept for calls only.
type stat struct {
	N             int64
	Sum, Max, Min float64
	P95           sketch
}

func (s *stat) add(x cgi.Reading) {
	if !x.Known {
		return
	}
	if s.N == 0 {
		s.Max, s.Min = x.Value, x.Value
	}
	s.N++
	s.Sum = round(s.Sum+x.Value, 6) // 0.1 + 0.2 is 0.3, also in fewer bytes
	s.Max, s.Min = max(s.Max, x.Value), min(s.Min, x.Value)
}

// addP95 adds to the sketch too.
func (s *stat) addP95(x cgi.Reading) {
	s.add(x)
	if x.Known {
		s.P95 = s.P95.add(x.Value)
	}
}

// avg is the mean over the samples, 3 decimals.
func (s *stat) avg() cgi.Reading {
	if s.N == 0 {
		return cgi.Reading{}
	}
	return cgi.Known(round(s.Sum/float64(s.N), 3))
}

func (s *stat) max() cgi.Reading { return cgi.Reading{Value: s.Max, Known: s.N > 0} }
func (s *stat) min() cgi.Reading { return cgi.Reading{Value: s.Min, Known: s.N > 0} }

// p95 is the 95th percentile within sketchError, and within what was seen.
func (s *stat) p95() cgi.Reading {
	if s.N == 0 {
		return cgi.Reading{}
	}
	return cgi.Known(round(min(max(s.P95.quantile(0.95), s.Min), s.Max), 3))
}

// callMedia is one group of the open call.
type callMedia struct {
	Bitrate stat `json:"b,omitzero"`
	Loss    stat `json:"l,omitzero"`
	Jitter  stat `json:"j,omitzero"`
	Delay   stat `json:"d,omitzero"`
	FPS     stat `json:"f,omitzero"`
	MOS     stat `json:"m,omitzero"`
}

func (c *callMedia) add(m *payload.Media) {
	c.Bitrate.add(m.BitrateKbps)
	c.Loss.addP95(m.LossPct)
	c.Jitter.addP95(m.JitterMs)
	c.Delay.addP95(m.DelayMs)
	c.FPS.add(m.FPS)
	c.MOS.add(m.MOSEst)
}

func (c *callMedia) payload() payload.CallMedia {
	m := payload.CallMedia{
		BitrateAvg: c.Bitrate.avg(),
		LossAvg:    c.Loss.avg(), LossMax: c.Loss.max(), LossP95: c.Loss.p95(),
		JitterAvg: c.Jitter.avg(), JitterMax: c.Jitter.max(), JitterP95: c.Jitter.p95(),
		DelayAvg: c.Delay.avg(), DelayMax: c.Delay.max(), DelayP95: c.Delay.p95(),
		FPSMin: c.FPS.min(), MOSEstAvg: c.MOS.avg(), MOSEstMin: c.MOS.min(),
	}
	m.Active = m != payload.CallMedia{}
	return m
}

// Shares that decide over a whole call.
const (
	gradeShare   = 0.05 // a grade that holds this share of the graded time is the call's
	coveredShare = 0.5  // good needs this share of the duration graded
)

// seconds turns milliseconds into seconds without rounding.
func seconds(ms int64) cgi.Reading { return cgi.Known(float64(ms) / 1000) }

// summary makes the payload of the finished call, without its head.
func (c *callState) summary() payload.Call {
	g := c.grade()
	p := payload.Call{
		CallID: c.ID, StartMs: c.StartMs, StartSource: c.Source, EndMs: c.MarkMs,
		DurationS: seconds(c.MarkMs - c.StartMs), Samples: c.Samples,
		CoveragePct: c.coverage(),
		SecondsGood: seconds(c.GradeMs[gradeGood]), SecondsFair: seconds(c.GradeMs[gradeFair]),
		SecondsPoor: seconds(c.GradeMs[gradePoor]), SecondsUnknown: seconds(c.GradeMs[gradeUnknown]),
		Grade: g.String(), GradeCode: int64(g),
	}
	if g >= gradeFair {
		p.Cause, p.CauseIDs = c.cause(g)
		if c.FarEnd+c.OwnSide > 0 {
			p.CauseScope = "own_access"
			if c.FarEnd > c.OwnSide {
				p.CauseScope = "far_end"
			}
		}
	}
	for i := range c.Media {
		p.Media[i] = c.Media[i].payload()
	}
	return p
}

// coverage is the share of the duration that samples stand for.
func (c *callState) coverage() cgi.Reading {
	d := c.MarkMs - c.StartMs
	if d <= 0 {
		return cgi.Known(100)
	}
	return cgi.Known(round(100*float64(c.CoveredMs)/float64(d), 2))
}

// grade is the worst grade that holds at least 5 % of the graded time; good
// needs half of the duration graded.
func (c *callState) grade() grade {
	known := c.GradeMs[gradeGood] + c.GradeMs[gradeFair] + c.GradeMs[gradePoor]
	switch {
	case known == 0:
		return gradeUnknown
	case float64(c.GradeMs[gradePoor]) >= gradeShare*float64(known):
		return gradePoor
	case float64(c.GradeMs[gradePoor]+c.GradeMs[gradeFair]) >= gradeShare*float64(known):
		return gradeFair
	case float64(known) < coveredShare*float64(known+c.GradeMs[gradeUnknown]):
		return gradeUnknown
	default:
		return gradeGood
	}
}

// maxCauses is the number of cause ids, as in Agora's cause_tags.
const maxCauses = 3

// cause ranks the gauges by the samples in which they were at the call's grade
// or worse.
func (c *callState) cause(g grade) (word, ids string) {
	count := c.Poor
	if g == gradeFair {
		for i := range count {
			count[i] += c.Fair[i]
		}
	}
	var order []int
	for i := range count {
		if count[i] > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(count[b]) - int(count[a]) })
	if len(order) == 0 {
		return "", ""
	}
	var list []string
	for _, i := range order {
		if id := view.FactorID(gaugeWord(i)); id != 0 && len(list) < maxCauses {
			list = append(list, strconv.Itoa(id))
		}
	}
	return gaugeWord(order[0]), strings.Join(list, ",")
}
