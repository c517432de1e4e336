package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place says where in the configuration something is.
type Place struct {
	File string // as opened
	Line int    // from 1, 0 = the whole file
	Key  string // full path: "mqtt.broker", "endpoint[2].url" (counted from 1), "" = the file
	// Device is the endpoint's device name, "" when not known or not an endpoint.
	Device string
}

// String gives the place as it opens an error line:
// `agent.toml:12: [mqtt] broker`.
func (p Place) String() string {
	s := p.File
	if p.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, p.Line)
	}
	if p.Key == "" {
		return s
	}
	return s + ": " + p.keyText()
}

func (p Place) keyText() string {
	if strings.HasPrefix(p.Key, "endpoint[") {
		if p.Device == "" {
			return p.Key
		}
		return p.Key + " (" + p.Device + ")"
	}
	for _, table := range []string{"agent", "mqtt", "buffer", "publish"} {
		if rest, ok := strings.CutPrefix(p.Key, table+"."); ok {
			return "[" + table + "] " + rest
		}
	}
	if rest, ok := strings.CutPrefix(p.Key, "limits."); ok {
		if table, key, ok := strings.Cut(rest, "."); ok {
			return "[limits." + table + "] " + key
		}
	}
	return p.Key
}

// Error is one problem of a configuration. It never holds a secret.
type Error struct {
	Place
	Problem string // what is wrong, "" when Found and Allowed say it all
	Found   string // what was there, as written and shortened; "" = not shown
	Allowed string // what is allowed
	Hint    string // such as `did you mean "broker"?`
	Err     error  // the cause, for errors.Is; may be nil
}

// Error gives one line of text for the operator.
func (e *Error) Error() string {
	var parts []string
	if e.Problem != "" {
		parts = append(parts, e.Problem)
	}
	if e.Found != "" {
		parts = append(parts, "found "+e.Found)
	}
	if e.Allowed != "" {
		parts = append(parts, "allowed: "+e.Allowed)
	}
	if e.Hint != "" {
		parts = append(parts, e.Hint)
	}
	return oneLine(e.Place.String() + ": " + strings.Join(parts, "; "))
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors is every problem of a configuration, in the order of files and lines.
type Errors []*Error

// Error gives one problem a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems to errors.Is and errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// maxErrors bounds what one Load reports.
const maxErrors = 500

// bound cuts a list that is too long and says how much it cut.
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

// String gives one line of text for the operator.
func (w Warning) String() string { return oneLine(w.Place.String() + ": " + w.Text) }

// didYouMean gives a hint when one of the names is close to what was found.
func didYouMean(found string, names []string) string {
	if best := closest(found, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// closest gives the name that is meant: the only one with the smallest edit
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
