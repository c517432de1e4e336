package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits is a table [limits.NAME].
type Limits struct {
	// Base is the built-in profile whose limits hold where the table has none;
	// "" = what the table does not name is not graded.
	Base string
	// Values are the table's numbers by key: "video_loss_pct_poor" and the
	// like in percent, milliseconds or frames a second, and "enter", "of",
	// "leave" in samples.
	Values map[string]float64
}

// maxSamples bounds the window of samples that opens or closes an incident.
const maxSamples = 16

// maxProfiles bounds the tables.
const maxProfiles = 100

// number reads one number of the table into values.
func (s *section) number(values map[string]float64, key string, low, high float64, whole bool) {
	f := s.get(key)
	if f == nil {
		return
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(f.val.text, "_", ""), 64)
	ok := f.val.kind == kindInt || f.val.kind == kindFloat && !whole
	if !ok || err != nil || !(x >= low && x <= high) {
		what := "a number"
		if whole {
			what = "a whole number"
		}
		s.fail(f, key, f.val, allowed("%s from %g to %g, without quotes", what, low, high))
		return
	}
	values[key] = x
	s.record(key, strconv.FormatFloat(x, 'f', -1, 64), f)
}

// metricRanges are the metrics with their highest limit. Audio has no fps.
var metricRanges = []struct {
	key  string
	high float64
}{{"loss_pct", 100}, {"delay_ms", 60000}, {"jitter_ms", 60000}, {"fps", 1000}}

func (s *section) limitsValues() Limits {
	v := Limits{Values: map[string]float64{}}
	if s.table.get("base") != nil {
		v.Base = s.oneOf("base", "", builtinLimits...)
	}
	s.known = append(s.known, "base")
	for _, medium := range []string{"audio", "video", "aux"} {
		for _, m := range metricRanges {
			if medium != "audio" || m.key != "fps" {
				s.pair(v.Values, medium+"_"+m.key, m.high, m.key == "fps")
			}
		}
	}
	for _, key := range []string{"enter", "of", "leave"} {
		s.number(v.Values, key, 1, maxSamples, true)
	}
	enter, of := v.Values["enter"], v.Values["of"]
	if enter > 0 && of > 0 && enter > of {
		s.fail(s.table.get("enter"), "enter", s.table.get("enter").val, allowed("not above of (%g)", of))
	}
	return v
}

// pair reads the fair and the poor limit of one metric; less says that a lower
// value is worse.
func (s *section) pair(values map[string]float64, key string, high float64, less bool) {
	s.number(values, key+"_fair", 0, high, false)
	s.number(values, key+"_poor", 0, high, false)
	fair, hasFair := values[key+"_fair"]
	poor, hasPoor := values[key+"_poor"]
	if !hasFair || !hasPoor || fair == poor || (fair > poor) == less {
		return
	}
	word := "above"
	if less {
		word = "below"
	}
	f := s.table.get(key + "_fair")
	s.fail(f, key+"_fair", f.val, allowed("not %s %s_poor (%g)", word, key, poor))
}

// limits reads every [limits.NAME] table.
func (l *loader) limits(root *node) map[string]Limits {
	f := root.get("limits")
	if f == nil {
		return nil
	}
	if f.val.kind != kindTable {
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line, Key: "limits"},
			Found: f.val.describe(), Allowed: "tables [limits.NAME]"})
		return nil
	}
	out := map[string]Limits{}
	for i, t := range f.val.fields {
		if i == maxProfiles {
			l.errs = append(l.errs, &Error{Place: Place{File: t.file, Line: t.line, Key: "limits"},
				Found: fmt.Sprintf("%d tables", len(f.val.fields)), Allowed: fmt.Sprintf("at most %d", maxProfiles)})
			break
		}
		out[t.name] = l.limitsTable(t)
	}
	return out
}

func (l *loader) limitsTable(t *field) Limits {
	place := Place{File: t.file, Line: t.line, Key: "limits." + shorten(t.name)}
	l.profiles[t.name] = place
	fail := func(c *complaint) {
		l.errs = append(l.errs, &Error{Place: place,
			Problem: c.problem, Allowed: c.allowed, Hint: c.hint})
	}
	if t.val.kind != kindTable {
		fail(&complaint{problem: "limits need a name: [limits.NAME]", allowed: "tables [limits.NAME]"})
		return Limits{}
	}
	if c := checkID(t.name); c != nil {
		fail(c)
	} else if slices.Contains(builtinLimits, t.name) {
		fail(&complaint{problem: "the profile " + t.name + " is built in", allowed: "any other name"})
	}
	s := &section{l: l, table: t.val, file: t.file, header: "[limits." + t.name + "]", prefix: "limits." + t.name}
	v := s.limitsValues()
	s.finish()
	if len(t.val.fields) == 0 {
		fail(&complaint{problem: "the table is empty", allowed: "at least one limit, such as audio_loss_pct_poor = 10"})
	}
	return v
}

// checkLimits wants every endpoint's profile to exist, and tells of tables
// that nobody uses.
func (l *loader) checkLimits(c *Config, sections []*section) {
	names := slices.Clone(builtinLimits)
	used := map[string]bool{}
	for name := range c.Limits {
		names = append(names, name)
	}
	slices.Sort(names[len(builtinLimits):])
	for i, s := range sections {
		want := c.Endpoints[i].Limits
		used[want] = true
		if slices.Contains(names, want) || s.unresolved(want) {
			continue
		}
		hint := didYouMean(want, names)
		if hint == "" {
			hint = "or add a table [limits.NAME]"
		}
		if f := s.table.get("limits"); f != nil && f.val.kind == kindText {
			s.fail(f, "limits", f.val, &complaint{allowed: strings.Join(names, ", "), hint: hint})
		}
	}
	for _, name := range names[len(builtinLimits):] {
		if !used[name] {
			l.warnings = append(l.warnings, Warning{l.profiles[name],
				fmt.Sprintf("no endpoint uses this profile; use it with limits = %q", name)})
		}
	}
}
