package config

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is a way to write a value: what is allowed, and what it means.
type kind interface {
	// allowed says for errors and documents what may be written.
	allowed() string
	// read turns what TOML holds, with variables replaced, into the type of the
	// key's field. A text that is not allowed is returned beside the complaint.
	read(v any) (any, *complaint)
}

// complaint is what is wrong with a value; nil = nothing.
type complaint struct {
	problem, hint string
	allowed       string // "" = what the kind allows
	hide          bool   // the value may hold a secret
}

// text is a text in quotes.
type text struct {
	form  string                            // what is allowed, "" = any text
	check func(string) (string, *complaint) // returns the text in its usual form; nil = as it is
}

func (k text) allowed() string { return cmp.Or(k.form, "text in quotes") }

func (k text) read(v any) (any, *complaint) {
	s, ok := v.(string)
	switch {
	case !ok:
		return nil, &complaint{allowed: "text in quotes"}
	case k.check == nil:
		return s, nil
	}
	clean, c := k.check(s)
	if c != nil {
		return s, c
	}
	return clean, nil
}

// matching makes a check of a condition.
func matching(good func(string) bool) func(string) (string, *complaint) {
	return func(s string) (string, *complaint) {
		if !good(s) {
			return "", &complaint{}
		}
		return s, nil
	}
}

// oneOf is a text out of a fixed set.
type oneOf []string

func (k oneOf) allowed() string { return strings.Join(k, ", ") }

func (k oneOf) read(v any) (any, *complaint) {
	s, ok := v.(string)
	switch {
	case !ok:
		return nil, &complaint{allowed: "text in quotes"}
	case !slices.Contains(k, s):
		return s, &complaint{hint: didYouMean(s, k)}
	}
	return s, nil
}

// file is the name of a file or folder; a relative one counts from the folder
// of the config file.
type file struct {
	form  string
	check func(path string) *complaint // of the absolute path; nil = it need not be there
	empty bool                         // "" is allowed
}

func (k file) allowed() string { return k.form }

func (k file) read(v any) (any, *complaint) {
	s, ok := v.(string)
	switch {
	case !ok:
		return nil, &complaint{allowed: k.form + ", in quotes"}
	case s == "" && !k.empty:
		return s, &complaint{}
	}
	return s, nil
}

// secret is a text that nothing shows.
type secret struct{}

func (secret) allowed() string { return "text in quotes" }

func (secret) read(v any) (any, *complaint) {
	s, ok := v.(string)
	if !ok {
		return nil, &complaint{problem: "found " + kindName(v) + " (not shown)", hide: true}
	}
	return Secret{s}, nil
}

// list is a list of texts.
type list struct {
	item     kind
	form     string // what is allowed of the whole
	most     int
	brackets bool // one text alone, without brackets, is not allowed
	some     bool // [] is not allowed
	once     bool // no text twice
}

func (k list) allowed() string { return k.item.allowed() }

// read reads one element.
func (k list) read(v any) (any, *complaint) {
	s, c := k.item.read(v)
	if s == nil && !k.brackets {
		c.allowed = k.form
	}
	return s, c
}

type boolean struct{}

func (boolean) allowed() string { return "true or false, without quotes" }

func (boolean) read(v any) (any, *complaint) {
	b, ok := v.(bool)
	if !ok {
		return nil, &complaint{}
	}
	return b, nil
}

// whole is an integer.
type whole struct{ low, high int }

func (k whole) allowed() string {
	return fmt.Sprintf("a whole number from %d to %d, without quotes", k.low, k.high)
}

func (k whole) read(v any) (any, *complaint) {
	n, ok := v.(int64)
	if !ok || n < int64(k.low) || n > int64(k.high) {
		return nil, &complaint{}
	}
	return int(n), nil
}

// number is a number with or without a fraction, from 0.
type number struct{ high float64 }

func (k number) allowed() string { return fmt.Sprintf("a number from 0 to %g, without quotes", k.high) }

func (k number) read(v any) (any, *complaint) {
	x, ok := v.(float64)
	if n, isInt := v.(int64); isInt {
		x, ok = float64(n), true
	}
	if !ok || !(x >= 0 && x <= k.high) { // NaN is neither
		return nil, &complaint{}
	}
	return x, nil
}

// duration is a Go duration; zero allows 0 below the range.
type duration struct {
	low, high time.Duration
	zero      bool
}

func (k duration) allowed() string {
	s := fmt.Sprintf("a duration from %q to %q", durationText(k.low), durationText(k.high))
	if k.zero {
		s += ` or "0s"`
	}
	return s
}

func (k duration) read(v any) (any, *complaint) {
	switch v := v.(type) {
	case int64:
		return nil, &complaint{hint: fmt.Sprintf("did you mean \"%ds\"?", v)}
	case string:
		d, err := time.ParseDuration(v)
		switch {
		case err != nil:
			return nil, &complaint{hint: durationHint(v)}
		case k.zero && d == 0, d >= k.low && d <= k.high:
			return d, nil
		}
	}
	return nil, &complaint{}
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

// size is a number of bytes, as text with a unit or as an integer.
type size struct{ low, high int64 }

func (k size) allowed() string {
	return fmt.Sprintf("a size from %q to %q", sizeText(k.low), sizeText(k.high))
}

func (k size) read(v any) (any, *complaint) {
	n, ok := v.(int64)
	hint := ""
	if text, isText := v.(string); isText {
		if n, ok = parseSize(text); !ok {
			hint = sizeHint(text)
		}
	}
	if !ok || n < k.low || n > k.high {
		return nil, &complaint{hint: hint}
	}
	return n, nil
}

var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}, {"", 1},
}

var sizePattern = regexp.MustCompile(`^(\d+) ?([A-Za-z]*)$`)

// parseSize reads "256MiB". Units are KiB, MiB, GiB, TiB (powers of 1024), kB,
// KB, MB, GB, TB (powers of 1000) and B; a number alone is bytes.
func parseSize(text string) (int64, bool) {
	m := sizePattern.FindStringSubmatch(strings.ReplaceAll(text, "_", ""))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	for _, u := range units {
		if err == nil && u.name == m[2] {
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
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return "units are KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000); no fractions"
	}
	for _, u := range units[:4] {
		if m[2] != "" && strings.EqualFold(u.name[:1], m[2][:1]) && u.name != m[2] {
			return fmt.Sprintf("did you mean %q?", m[1]+u.name)
		}
	}
	return ""
}

// kindName names what TOML holds for an operator.
func kindName(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case int64:
		return "an integer"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true/false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}

// describe says what was found, shortened. It is never called on a secret.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case []any, map[string]any:
		return kindName(v)
	case float64:
		return fmt.Sprintf("%s (%s)", strings.ToLower(tomlValue(v)), kindName(v))
	default:
		return fmt.Sprintf("%s (%s)", shorten(fmt.Sprint(v)), kindName(v))
	}
}

func quote(s string) string {
	s, cut := cutRunes(s, 60)
	if cut {
		return fmt.Sprintf("%q...", s)
	}
	return fmt.Sprintf("%q", s)
}

func shorten(s string) string {
	s, cut := cutRunes(s, 60)
	if cut {
		return s + "..."
	}
	return s
}

// cutRunes bounds what of a text an error shows.
func cutRunes(s string, most int) (string, bool) {
	n := 0
	for i := range s {
		if n == most {
			return s[:i], true
		}
		n++
	}
	return s, false
}

// tomlValue writes a field's value as TOML.
func tomlValue(v any) string {
	switch v := v.(type) {
	case string:
		return Quote(v)
	case int64:
		return Quote(sizeText(v))
	case time.Duration:
		return Quote(durationText(v))
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case Secret:
		if v.IsSet() {
			return Quote(redacted)
		}
		return `""`
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// Quote writes a text as a TOML value that comes back as it is: no escape and
// no ${NAME} in it has a meaning.
func Quote(s string) string { return quoteTOML(strings.ReplaceAll(s, "${", "$${")) }

// quoteTOML leaves ${NAME} its meaning.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
