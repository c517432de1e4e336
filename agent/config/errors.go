package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Place is where in the configuration something is.
type Place struct {
	File string // as opened
	Line int    // from 1, 0 = the whole file
	Key  string // full path: "mqtt.broker", "endpoint[2].url" (counted from 1), "" = the file
	// Device is the endpoint's device name, "" when not known or not an endpoint.
	Device string
}

// String returns the place as it begins an error line:
// `agent.toml:12: [mqtt] broker`.
func (p Place) String() string {
	s := p.File
	if p.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, p.Line)
	}
	table, key, inTable := strings.Cut(p.Key, ".")
	if table == "limits" {
		name, rest, ok := strings.Cut(key, ".")
		table, key, inTable = table+"."+name, rest, ok
	}
	switch {
	case p.Key == "":
		return s
	case p.Device != "":
		return s + ": " + p.Key + " (" + p.Device + ")"
	case inTable && !strings.HasPrefix(table, "endpoint["):
		return s + ": [" + table + "] " + key
	}
	return s + ": " + p.Key
}

// Error is one problem of a configuration. It never holds a secret.
type Error struct {
	Place
	Problem string // what is wrong, "" when Found and Allowed are enough
	Found   string // what was there, as written and shortened; "" = not shown
	Allowed string // what is allowed
	Hint    string // such as `did you mean "broker"?`
	Err     error  // the cause, for errors.Is; may be nil

	hide bool // what was found may hold a secret
}

// Error returns one line of text for the operator.
func (e *Error) Error() string {
	var parts []string
	for _, p := range []struct{ label, text string }{{"", e.Problem}, {"found ", e.Found}, {"allowed: ", e.Allowed}, {"", e.Hint}} {
		if p.text != "" {
			parts = append(parts, p.label+p.text)
		}
	}
	return oneLine(e.Place.String() + ": " + strings.Join(parts, "; "))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors is every problem of a configuration, in the order of files and lines.
type Errors []*Error

// Error returns one problem a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap shows the problems to errors.Is and errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// maxErrors bounds what one Load reports.
const maxErrors = 500

// bound cuts a list that is too long and adds how much it cut.
func (es Errors) bound(most int) Errors {
	if len(es) <= most {
		return es
	}
	more := &Error{Place: Place{File: es[most].File}, Problem: fmt.Sprintf("and %d more problems", len(es)-most)}
	return append(es[:most:most], more)
}

// sortBy puts the problems into the order of the files that were read, then
// lines; problems without a line come last in their file.
func (es Errors) sortBy(files []string) {
	rank := func(e *Error) (int, int) {
		line := e.Line
		if line == 0 {
			line = 1 << 30
		}
		return slices.Index(files, e.File), line
	}
	slices.SortStableFunc(es, func(a, b *Error) int {
		fa, la := rank(a)
		fb, lb := rank(b)
		return cmp.Or(cmp.Compare(fa, fb), cmp.Compare(la, lb))
	})
}

// Warning is something that works but should be known.
type Warning struct {
	Place
	Text string
}

// String returns one line of text for the operator.
func (w Warning) String() string { return oneLine(w.Place.String() + ": " + w.Text) }

// didYouMean returns a hint when one of the names is close to what was found.
func didYouMean(found string, names []string) string {
	if best := closest(found, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// closest returns the name that is meant: the only one with the smallest edit
// distance, within a third of the length of what was found (at least one
// edit), or the only one that begins what was found or is begun by it. "" when
// there is none.
func closest(found string, names []string) string {
	if len(found) == 0 || len(found) > 64 {
		return ""
	}
	folded := strings.ToLower(strings.ReplaceAll(found, "-", "_"))
	best, bestDistance, ties := "", max(1, len(found)/3)+1, 0
	for _, n := range names {
		d := distance(folded, strings.ReplaceAll(n, "-", "_"))
		switch {
		case d < bestDistance:
			best, bestDistance, ties = n, d, 1
		case d == bestDistance:
			ties++
		}
	}
	if best != "" && ties == 1 {
		return best
	}
	return onlyPrefix(folded, names)
}

func onlyPrefix(found string, names []string) string {
	best := ""
	for _, n := range names {
		if min(len(n), len(found)) < 3 || !strings.HasPrefix(found, n) && !strings.HasPrefix(n, found) {
			continue
		}
		if best != "" {
			return ""
		}
		best = n
	}
	return best
}

// distance is the edit distance with insert, delete, replace and the swap of
// two neighbours (optimal string alignment), in bytes.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
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

// describe is what was found, shortened. It is never called on a secret.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case []any, map[string]any:
		return kindName(v)
	case float64:
		text := strings.ToLower(strconv.FormatFloat(v, 'g', -1, 64))
		if !strings.ContainsAny(text, ".en") { // nor nan, inf
			text += ".0"
		}
		return text + " (" + kindName(v) + ")"
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

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
