package report

import (
	"cmp"
	"slices"
	"strings"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// grade is a verdict; the numbers are the values of grade_code.
type grade int

const (
	gradeUnknown grade = iota
	gradeGood
	gradeFair
	gradePoor
	grades
)

var gradeWords = [grades]string{"unknown", "good", "fair", "poor"}

func (g grade) String() string { return gradeWords[g] }

// gauges counts the metrics of all groups; a gauge is group*metrics + metric.
const gauges = payload.Groups * metrics

// gaugeWord is a gauge as in grade_reasons, for example "video_recv_loss".
func gaugeWord(i int) string {
	return payload.GroupNames[i/metrics].Name + "_" + metricWords[i%metrics]
}

// gaugeKey is a gauge's key in the sample, for example "video_recv_loss_pct".
func gaugeKey(i int) string {
	return payload.GroupNames[i/metrics].Name + "_" + metricKey(i%metrics)
}

// verdict is the grade of a sample with what it rests on. It is the one judge: reasons,
// incidents, and cause and scope of a call all come from it.
type verdict struct {
	grade  grade
	gauges [gauges]grade // unknown: not said, or no limit
	excess [gauges]float64
	// streams are the received video streams, bad those of them that are at the
	// sample's grade over the network.
	streams, bad int
}

// judge grades the active groups. A group is good only when its loss is known
// (if loss has a limit); a group that cannot be judged makes the whole unknown,
// unless another one is fair or poor. Groups that the profile has no limits for do not count.
func (p *Profile) judge(media *payload.GroupMedia, recv []payload.Media) verdict {
	var v verdict
	missing := false
	for g := range media {
		m := &media[g]
		if !m.Active || p.limits[g/2] == [metrics]limit{} {
			continue
		}
		worst := gradeUnknown
		for k := range metrics {
			x := p.level(g/2, k, readingOf(m, k))
			v.gauges[g*metrics+k] = x
			v.excess[g*metrics+k] = p.excess(g*metrics+k, readingOf(m, k))
			worst = max(worst, x)
		}
		noLoss := p.limits[g/2][metricLoss] != limit{} && !m.Values[payload.Loss].Known
		if worst == gradeUnknown || worst == gradeGood && noLoss {
			missing = true
		}
		v.grade = max(v.grade, worst)
	}
	if missing && v.grade <= gradeGood {
		v.grade = gradeUnknown
	}
	for i := range recv {
		if recv[i].Active {
			v.streams++
			if v.grade >= gradeFair && p.network(&recv[i]) >= v.grade {
				v.bad++
			}
		}
	}
	return v
}

// network is the worst grade of a received video stream, its frame rate aside.
func (p *Profile) network(m *payload.Media) (worst grade) {
	for k := range metricFPS {
		worst = max(worst, p.level(videoMedium, k, readingOf(m, k)))
	}
	return worst
}

// videoMedium is video in the limits of a profile.
const videoMedium = payload.VideoRecv / 2

// excess says how far a reading is beyond its limit: 2 = twice, 1 = at it, 0 = not
// known. The limit is the poor one, or the fair one where there is no other.
func (p *Profile) excess(gauge int, x cgi.Reading) float64 {
	l := p.limits[gauge/metrics/2][gauge%metrics]
	at := l.Poor
	if !at.Known {
		at = l.Fair
	}
	if !x.Known || !at.Known {
		return 0
	}
	over, under := x.Value, at.Value
	if gauge%metrics == metricFPS {
		over, under = under, over
	}
	const least = 0.001 // a limit or a frame rate of 0
	return min(max(over, 0)/max(under, least), 1e6)
}

func readingOf(m *payload.Media, metric int) cgi.Reading { return m.Values[metricOf[metric]] }

// level grades one reading; without a reading or a limit it is unknown.
func (p *Profile) level(medium, metric int, x cgi.Reading) grade {
	l := p.limits[medium][metric]
	switch {
	case !x.Known || !l.Fair.Known && !l.Poor.Known:
		return gradeUnknown
	case l.Poor.Known && beyond(metric, x.Value, l.Poor.Value, p.strictPoor):
		return gradePoor
	case l.Fair.Known && beyond(metric, x.Value, l.Fair.Value, p.strictFair):
		return gradeFair
	default:
		return gradeGood
	}
}

// ranked lists the gauges that are at the sample's grade, when that is fair or poor,
// the worst first.
func (v *verdict) ranked() (list []int) {
	if v.grade < gradeFair {
		return nil
	}
	for i, g := range v.gauges {
		if g == v.grade {
			list = append(list, i)
		}
	}
	return worstFirst(list, func(i int) float64 { return v.excess[i] })
}

// worstFirst sorts gauges: loss before delay before jitter before frame rate, because
// that explains most, and of one metric what is further beyond its limit.
func worstFirst(list []int, excess func(gauge int) float64) []int {
	slices.SortStableFunc(list, func(a, b int) int {
		return cmp.Or(cmp.Compare(a%metrics, b%metrics), cmp.Compare(excess(b), excess(a)))
	})
	return list
}

// reasons names the ranked gauges.
func (v *verdict) reasons() string { return join(v.ranked(), gaugeWord) }

// scope says where the trouble of a sample is, "" = there is none.
func (v *verdict) scope() string { return scopeOf(v.ranked(), v.streams, v.bad) }

// scopeOf says where the trouble of some gauges is: uplink, downlink, both, or far_end,
// when only received video is affected, and not all of its streams.
func scopeOf(list []int, streams, bad int) string {
	if len(list) == 0 {
		return ""
	}
	sent, received, video := 0, 0, 0
	for _, i := range list {
		switch {
		case i/metrics%2 == payload.AudioSend%2:
			sent++
		default:
			received++
		}
		if farEnd(i) {
			video++
		}
	}
	switch {
	case video == len(list) && bad > 0 && bad < streams:
		return "far_end"
	case sent > 0 && received > 0:
		return "both"
	case sent > 0:
		return "uplink"
	default:
		return "downlink"
	}
}

// farEnd reports whether single streams can tell that another site is the cause.
func farEnd(gauge int) bool { return gauge/metrics == payload.VideoRecv && gauge%metrics != metricFPS }

func join(list []int, name func(int) string) string {
	words := make([]string, len(list))
	for i, g := range list {
		words[i] = name(g)
	}
	return strings.Join(words, ",")
}
