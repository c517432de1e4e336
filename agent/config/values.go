package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// span is the allowed range of a duration; zero allows 0 below it.
type span struct {
	min, max time.Duration
	zero     bool
}

func (r span) text() string {
	s := fmt.Sprintf("a duration from %q to %q", durationText(r.min), durationText(r.max))
	if r.zero {
		s += ` or "0s"`
	}
	return s
}

// duration reads a Go duration within the span.
func (s *section) duration(key string, def time.Duration, r span) time.Duration {
	f := s.get(key)
	v := def
	if text, ok := s.value(f, key, r.text()); ok && !s.unresolved(text) {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			s.fail(f, key, f.val, &complaint{allowed: r.text(), hint: durationHint(text)})
		case r.zero && d == 0, d >= r.min && d <= r.max:
			v = d
		default:
			s.fail(f, key, f.val, &complaint{allowed: r.text()})
		}
	}
	s.record(key, tomlText(durationText(v)), f)
	return v
}

var daysOrPlain = regexp.MustCompile(`^(\d{1,6}) ?(d|days?|sec|seconds?|min|minutes?|hours?|)$`)

// durationHint proposes the Go form of a plain number and of the commonest
// other units.
func durationHint(text string) string {
	m := daysOrPlain.FindStringSubmatch(text)
	if m == nil {
		return `units are "ms", "s", "m" and "h"`
	}
	unit := "s"
	switch {
	case strings.HasPrefix(m[2], "d"):
		n, _ := strconv.Atoi(m[1]) // six digits at most
		m[1], unit = strconv.Itoa(n*24), "h"
	case strings.HasPrefix(m[2], "min"):
		unit = "m"
	case strings.HasPrefix(m[2], "h"):
		unit = "h"
	}
	return fmt.Sprintf("did you mean %q?", m[1]+unit)
}

// durationText is the shortest Go form: "2m", not "2m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
}

var sizePattern = regexp.MustCompile(`^(\d+) ?([A-Za-z]*)$`)

// parseSize reads "256MiB". Units are KiB, MiB, GiB, TiB (powers of 1024), kB,
// KB, MB, GB, TB (powers of 1000) and B; a plain number is bytes.
func parseSize(text string) (int64, bool) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, false
	}
	if m[2] == "" {
		return n, true
	}
	for _, u := range units {
		if u.name == m[2] {
			return n * u.bytes, n <= math.MaxInt64/u.bytes
		}
	}
	return 0, false
}

func sizeText(n int64) string {
	for _, u := range units[:4] {
		if n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

func sizeHint(text string) string {
	if strings.HasPrefix(text, "-") {
		return ""
	}
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return "units are KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000); no fractions"
	}
	for _, u := range units[:4] {
		if strings.EqualFold(u.name[:1], m[2][:min(1, len(m[2]))]) && u.name != m[2] {
			return fmt.Sprintf("did you mean %q?", m[1]+u.name)
		}
	}
	return ""
}

// size reads a number of bytes as text with a unit, or as an integer.
func (s *section) size(key string, def, low, high int64) int64 {
	f := s.get(key)
	v := def
	wanted := fmt.Sprintf("a size from %q to %q", sizeText(low), sizeText(high))
	text, ok := "", false
	if f != nil && f.val.kind == kindInt {
		text, ok = f.val.text, true
	} else {
		text, ok = s.value(f, key, wanted)
	}
	if ok && !s.unresolved(text) {
		n, good := parseSize(strings.ReplaceAll(text, "_", ""))
		switch {
		case !good:
			s.fail(f, key, f.val, &complaint{allowed: wanted, hint: sizeHint(text)})
		case n < low || n > high:
			s.fail(f, key, f.val, &complaint{allowed: wanted})
		default:
			v = n
		}
	}
	s.record(key, tomlText(sizeText(v)), f)
	return v
}

// integer reads a whole number within the range.
func (s *section) integer(key string, def, low, high int) int {
	f := s.get(key)
	v := def
	if f != nil {
		n, err := strconv.Atoi(strings.ReplaceAll(f.val.text, "_", ""))
		if f.val.kind != kindInt || err != nil || n < low || n > high {
			s.fail(f, key, f.val, allowed("a whole number from %d to %d, without quotes", low, high))
		} else {
			v = n
		}
	}
	s.record(key, strconv.Itoa(v), f)
	return v
}
