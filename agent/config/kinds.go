package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is a way to write a value.
type kind struct {
	// form is what is allowed, for errors and documents.
	form string
	// read turns what TOML holds, with variables replaced, into the type of the
	// key's field. A text that is not allowed comes back beside the error. The
	// error needs neither place nor what was found; Allowed "" = the form.
	read func(v any) (any, *Error)

	isSecret bool
	isFile   bool                     // relative names count from the folder of the config file
	check    func(path string) *Error // of the absolute name of the file
	list     *list                    // the key holds a list of such values
}

// list is what is wanted of a list of texts.
type list struct {
	form     string // what is allowed of the whole
	most     int
	brackets bool // a text alone is not allowed
	some     bool // [] is not allowed
	once     bool // no text twice
}

func (k kind) listOf(l list) kind {
	k.list = &l
	return k
}

const inQuotes = "text in quotes"

// text is a text in quotes. The check may return it in another form; nil = any
// text.
func text(form string, check func(string) (string, *Error)) kind {
	return kind{form: form, read: func(v any) (any, *Error) {
		s, ok := v.(string)
		switch {
		case !ok:
			return nil, &Error{Allowed: inQuotes}
		case check == nil:
			return s, nil
		}
		clean, e := check(s)
		if e != nil {
			return s, e
		}
		return clean, nil
	}}
}

// is makes a check of a condition.
func is(good func(string) bool) func(string) (string, *Error) {
	return func(s string) (string, *Error) {
		if !good(s) {
			return s, &Error{}
		}
		return s, nil
	}
}

// oneOf is a text out of a fixed set.
func oneOf(values ...string) kind {
	return text(strings.Join(values, ", "), func(s string) (string, *Error) {
		if !slices.Contains(values, s) {
			return s, &Error{Hint: didYouMean(s, values)}
		}
		return s, nil
	})
}

// file makes a text the name of a file or a folder; nil = it need not be there.
func (k kind) file(check func(path string) *Error) kind {
	k.isFile, k.check = true, check
	return k
}

// secret is a text that nothing shows.
var secret = kind{form: inQuotes, isSecret: true, read: func(v any) (any, *Error) {
	if s, ok := v.(string); ok {
		return Secret{text: s}, nil
	}
	return nil, &Error{Problem: "found " + kindName(v) + " (not shown)", hide: true}
}}

var boolean = kind{form: "true or false, without quotes", read: func(v any) (any, *Error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	return nil, &Error{}
}}

func whole(low, high int) kind {
	form := fmt.Sprintf("a whole number from %d to %d, without quotes", low, high)
	return kind{form: form, read: func(v any) (any, *Error) {
		if n, ok := v.(int64); ok && n >= int64(low) && n <= int64(high) {
			return int(n), nil
		}
		return nil, &Error{}
	}}
}

// number is a number from 0, with or without a fraction.
func number(high float64) kind {
	return kind{form: fmt.Sprintf("a number from 0 to %g, without quotes", high), read: func(v any) (any, *Error) {
		x, ok := v.(float64)
		if n, isInt := v.(int64); isInt {
			x, ok = float64(n), true
		}
		if ok && x >= 0 && x <= high { // NaN is neither
			return x, nil
		}
		return nil, &Error{}
	}}
}

// duration is a Go duration.
func duration(low, high time.Duration) kind {
	form := fmt.Sprintf("a duration from %q to %q", durationText(low), durationText(high))
	return kind{form: form, read: func(v any) (any, *Error) {
		text, ok := v.(string)
		if n, isInt := v.(int64); isInt {
			return nil, &Error{Hint: fmt.Sprintf("did you mean \"%ds\"?", n)}
		}
		d, err := time.ParseDuration(text)
		switch {
		case ok && err != nil:
			return nil, &Error{Hint: durationHint(text)}
		case !ok || d < low || d > high:
			return nil, &Error{}
		}
		return d, nil
	}}
}

// orZero allows "0s" below the range of a duration.
func orZero(k kind) kind {
	inRange := k.read
	k.form += ` or "0s"`
	k.read = func(v any) (any, *Error) {
		if text, ok := v.(string); ok {
			if d, err := time.ParseDuration(text); err == nil && d == 0 {
				return d, nil
			}
		}
		return inRange(v)
	}
	return k
}

var daysOrPlain = regexp.MustCompile(`^(\d{1,6}) ?(d|days?|sec|seconds?|min|minutes?|hours?|)$`)

// durationHint proposes the Go form of a plain number and of the commonest
// other units.
func durationHint(text string) string {
	m := daysOrPlain.FindStringSubmatch(text)
	if m == nil {
		return `units are "ms", "s", "m" and "h"`
	}
	n, unit := m[1], "s"
	switch {
	case strings.HasPrefix(m[2], "d"):
		days, _ := strconv.Atoi(n) // six digits at most
		n, unit = strconv.Itoa(days*24), "h"
	case strings.HasPrefix(m[2], "m"), strings.HasPrefix(m[2], "h"):
		unit = m[2][:1]
	}
	return fmt.Sprintf("did you mean %q?", n+unit)
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
func size(low, high int64) kind {
	form := fmt.Sprintf("a size from %q to %q", sizeText(low), sizeText(high))
	return kind{form: form, read: func(v any) (any, *Error) {
		n, ok := v.(int64)
		hint := ""
		if text, isText := v.(string); isText {
			n, ok, hint = parseSize(text)
		}
		if !ok || n < low || n > high {
			return nil, &Error{Hint: hint}
		}
		return n, nil
	}}
}

var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}, {"", 1},
}

var sizePattern = regexp.MustCompile(`^([\d_]+) ?([A-Za-z]*)$`)

// parseSize reads "256MiB", or returns a hint how to write it. Units are KiB, MiB, GiB,
// TiB (powers of 1024), kB, KB, MB, GB, TB (powers of 1000) and B; a number
// alone is bytes.
func parseSize(text string) (n int64, ok bool, hint string) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, false, "units are KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000); no fractions"
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(m[1], "_", ""), 10, 64)
	for _, u := range units {
		if u.name == m[2] {
			return n * u.bytes, err == nil && n <= math.MaxInt64/u.bytes, ""
		}
	}
	for _, u := range units[:4] {
		if strings.EqualFold(u.name[:1], m[2][:1]) {
			hint = fmt.Sprintf("did you mean %q?", m[1]+u.name)
		}
	}
	return 0, false, hint
}

func sizeText(n int64) string {
	for _, u := range units[:4] {
		if n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}
