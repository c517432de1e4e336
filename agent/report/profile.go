package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// The metrics that can have limits, in the order of reasons.
const (
	metricLoss = iota
	metricDelay
	metricJitter
	metricFPS
	metrics
)

var (
	metricWords = [metrics]string{"loss", "delay", "jitter", "fps"}
	metricOf    = [metrics]int{payload.Loss, payload.Delay, payload.Jitter, payload.FPS}
)

// metricKey is a metric's key in a stream record, for example "loss_pct".
func metricKey(metric int) string { return payload.MeasureKey(metricOf[metric]) }

// limit has the two bounds of a metric. A frame rate is beyond them below, all
// else above.
type limit struct{ Fair, Poor cgi.Reading }

// Profile is a set of limits that grades calls. Make one with Profiles,
// ProfileByName or NewProfile.
type Profile struct {
	Name, Version string
	// Note says whose limits these are.
	Note string
	// A value equal to a limit is beyond it, unless the limit is strict.
	strictFair, strictPoor bool
	// limits by medium (audio, video, aux) and metric.
	limits [3][metrics]limit
	// An incident opens when Enter of the last Of samples are poor, and closes
	// after Leave good samples in a row.
	Enter, Of, Leave int
}

// profile makes a profile with the usual incidents; limits are those of audio,
// video and aux.
func profile(name, note string, limits [3][metrics]limit) Profile {
	return Profile{Name: name, Version: "1", Note: note, limits: limits, Enter: 3, Of: 4, Leave: 3}
}

func beyondTwo(fair, poor float64) limit { return limit{cgi.Known(fair), cgi.Known(poor)} }
func beyondOne(poor float64) limit       { return limit{Poor: cgi.Known(poor)} }

// Profiles are the built-in profiles.
func Profiles() []Profile {
	huawei := profile("huawei", "poor: published by Huawei Cloud Meeting (web control, red); fair: roomcall's own, not published by Huawei",
		[3][metrics]limit{
			{metricLoss: beyondTwo(5, 10), metricDelay: beyondTwo(150, 250), metricJitter: beyondTwo(30, 50)},
			{metricLoss: beyondTwo(1, 3), metricDelay: beyondTwo(150, 250), metricJitter: beyondTwo(30, 50)},
			{metricLoss: beyondTwo(1, 3), metricDelay: beyondTwo(150, 250), metricJitter: beyondTwo(30, 50)},
		})
	teams := profile("teams", "poor: published by Microsoft (stream classification); no fair limits; delay there is round trip, video loss after error correction",
		[3][metrics]limit{
			{metricLoss: beyondOne(10), metricDelay: beyondOne(500), metricJitter: beyondOne(30)},
			{metricLoss: beyondOne(15), metricDelay: beyondOne(500), metricJitter: beyondOne(30), metricFPS: beyondOne(7)},
			{metricLoss: beyondOne(15), metricDelay: beyondOne(500), metricJitter: beyondOne(30), metricFPS: beyondOne(2)},
		})
	teams.strictPoor = true
	polycom := profile("polycom", "published by Polycom (network quality icon): loss of video only; other media are not graded",
		[3][metrics]limit{{}, {metricLoss: beyondTwo(1, 5)}, {metricLoss: beyondTwo(1, 5)}})
	polycom.strictPoor = true
	same := [metrics]limit{metricLoss: beyondTwo(1, 5), metricDelay: beyondTwo(250, 450), metricJitter: beyondTwo(100, 200)}
	vidyo := profile("vidyo", "published by Vidyo (guideline); delay there is round trip", [3][metrics]limit{same, same, same})
	vidyo.strictFair, vidyo.strictPoor = true, true
	return []Profile{huawei, teams, polycom, vidyo}
}

// ProfileByName finds a built-in profile.
func ProfileByName(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// NewProfile makes the profile of a [limits.NAME] table: base is the built-in
// profile to start from ("" starts with no limits), values the table's numbers by
// the keys of LimitKeys. Percent from 0 to 100, milliseconds and frames a second
// from 0; fair must not be beyond poor.
func NewProfile(name, base string, values map[string]float64) (Profile, error) {
	p := profile(name, "configured", [3][metrics]limit{})
	if base != "" {
		b, ok := ProfileByName(base)
		if !ok {
			return Profile{}, fmt.Errorf("limits %s: unknown base %q", name, base)
		}
		p = b
		p.Name, p.Note = name, "configured, based on "+base+" "+b.Version
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := p.set(key, values[key]); err != nil {
			return Profile{}, fmt.Errorf("limits %s: %s = %v: %w", name, key, values[key], err)
		}
	}
	return p, p.check()
}

func (p *Profile) set(key string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || v > 1e6 || strings.Contains(key, "_pct_") && v > 100 {
		return fmt.Errorf("out of range")
	}
	switch key {
	case "enter", "of", "leave":
		if v != math.Trunc(v) || v < 1 || v > maxWindow {
			return fmt.Errorf("must be a whole number from 1 to %d", maxWindow)
		}
		*map[string]*int{"enter": &p.Enter, "of": &p.Of, "leave": &p.Leave}[key] = int(v)
		return nil
	}
	b := p.bounds()[key]
	if b == nil {
		return fmt.Errorf("unknown key")
	}
	*b = cgi.Known(v)
	return nil
}

// bounds are the places of the limits by key.
func (p *Profile) bounds() map[string]*cgi.Reading {
	out := map[string]*cgi.Reading{}
	for m := range p.limits {
		for k := range p.limits[m] {
			if m == 0 && k == metricFPS {
				continue
			}
			key := payload.GroupNames[2*m].Media + "_" + metricKey(k)
			out[key+"_fair"] = &p.limits[m][k].Fair
			out[key+"_poor"] = &p.limits[m][k].Poor
		}
	}
	return out
}

// LimitKeys are the keys that a [limits.NAME] table may have beside base.
func LimitKeys() []string {
	var p Profile
	return append(slices.Sorted(maps.Keys(p.bounds())), "enter", "leave", "of")
}

// Values are the limits of the profile by the keys of LimitKeys.
func (p Profile) Values() map[string]float64 {
	out := map[string]float64{"enter": float64(p.Enter), "of": float64(p.Of), "leave": float64(p.Leave)}
	for k, b := range p.bounds() {
		if b.Known {
			out[k] = b.Value
		}
	}
	return out
}

func (p Profile) check() error {
	if p.Enter > p.Of {
		return fmt.Errorf("limits %s: enter = %d must not be above of = %d", p.Name, p.Enter, p.Of)
	}
	for m := range p.limits {
		for k, l := range p.limits[m] {
			if l.Fair.Known && l.Poor.Known && beyond(k, l.Fair.Value, l.Poor.Value, true) {
				return fmt.Errorf("limits %s: %s_%s_fair = %v is beyond _poor = %v",
					p.Name, payload.GroupNames[2*m].Media, metricKey(k), l.Fair.Value, l.Poor.Value)
			}
		}
	}
	return nil
}

// beyond reports whether a value of a metric is on the bad side of a limit.
func beyond(metric int, v, lim float64, strict bool) bool {
	if metric == metricFPS {
		return v < lim
	}
	return v > lim || !strict && v == lim
}
