package report

import (
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

// verdict is the grade of a sample with what it rests on.
type verdict struct {
	grade  grade
	gauges [gauges]grade // unknown: not said, or no limit
}

// judge grades the active groups. A group is good only when its loss is known
// (if loss has a limit); a group that cannot be judged makes the whole unknown,
// unless another one is fair or poor. Groups that the profile has no limits for do not count.
func (p *Profile) judge(media *payload.GroupMedia) verdict {
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
	return v
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

// reasons lists what is fair or poor, the poor ones first.
func (v *verdict) reasons() string {
	var words []string
	for level := gradePoor; level >= gradeFair; level-- {
		for i, g := range v.gauges {
			if g == level {
				words = append(words, gaugeWord(i))
			}
		}
	}
	return strings.Join(words, ",")
}
