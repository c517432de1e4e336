package config

import (
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// placeholder is {{column}}.
var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z][A-Za-z0-9_-]*)\s*\}\}`)

// hole is a text value of a template that has placeholders.
type hole struct {
	text     string // decoded, with placeholders
	from, to int    // the value in the template
	// key is where the whole line begins when the text is one placeholder and
	// nothing else on a line of its own, else -1: an empty cell then comments
	// the line out, so that the default holds.
	key int
}

// template is a config whose texts may hold {{column}}.
type template struct {
	path  string
	data  []byte
	holes []hole
	// inlined are the lines with a password that is no environment variable.
	inlined []int
}

// parseTemplate finds the holes. Outside of texts in quotes there are none: a
// cell always becomes a text and never TOML.
func parseTemplate(path string, data []byte) (template, Errors) {
	data = []byte(strings.TrimPrefix(string(data), "\xef\xbb\xbf"))
	t := template{path: path, data: data}
	if _, errs := parseTOML(path, data); len(errs) > 0 {
		return t, errs
	}
	var p unstable.Parser
	p.Reset(data)
	lines := &parser{lines: lineStarts(data)}
	for p.NextExpression() {
		e := p.Expression()
		t.walk(lines, e, e.Kind == unstable.KeyValue)
	}
	return t, nil
}

func (t *template) walk(lines *parser, n *unstable.Node, top bool) {
	switch n.Kind {
	case unstable.String:
		t.add(n, -1)
	case unstable.KeyValue:
		v := n.Value()
		if isPassword(n) && onlyVariable.FindString(string(v.Data)) == "" {
			t.inlined = append(t.inlined, lines.lineAt(int(v.Raw.Offset)))
		}
		if top && v.Kind == unstable.String {
			t.add(v, int(n.Raw.Offset))
			return
		}
		t.walk(lines, v, false)
	case unstable.Array, unstable.InlineTable:
		for it := n.Children(); it.Next(); {
			t.walk(lines, it.Node(), false)
		}
	}
}

var onlyVariable = regexp.MustCompile(`^\$\{[^{}]*\}$`)

func (t *template) add(v *unstable.Node, key int) {
	text := string(v.Data)
	if !strings.Contains(text, "{{") {
		return
	}
	from, to := int(v.Raw.Offset), int(v.Raw.Offset+v.Raw.Length)
	if placeholder.FindString(text) != text || strings.Contains(string(t.data[from:to]), "\n") {
		key = -1
	}
	t.holes = append(t.holes, hole{text, from, to, key})
}

// check wants every placeholder to be a column.
func (t *template) check(r rooms) (used map[string]bool, errs Errors) {
	used = map[string]bool{}
	lines := &parser{lines: lineStarts(t.data)}
	for _, h := range t.holes {
		if strings.Contains(placeholder.ReplaceAllString(h.text, ""), "{{") {
			errs = append(errs, &Error{Place: Place{File: t.path, Line: lines.lineAt(h.from)},
				Problem: "{{ begins a placeholder that is not well formed", Allowed: "{{column}}"})
		}
		for _, m := range placeholder.FindAllStringSubmatch(h.text, -1) {
			used[m[1]] = true
			if hasColumn(r, m[1]) {
				continue
			}
			hint := didYouMean(m[1], r.columns)
			if hint == "" {
				hint = "its columns are " + strings.Join(r.columns, ", ")
			}
			errs = append(errs, &Error{Place: Place{File: t.path, Line: lines.lineAt(h.from)},
				Problem: "{{" + m[1] + "}} is no column of " + r.path, Hint: hint})
		}
	}
	return used, errs
}

func hasColumn(r rooms, name string) bool {
	for _, c := range r.columns {
		if c == name {
			return true
		}
	}
	return false
}

// fill puts a room's cells in. The lines stay where they are.
func (t *template) fill(cells map[string]string) []byte {
	var b []byte
	at := 0
	for _, h := range t.holes {
		text := placeholder.ReplaceAllStringFunc(h.text, func(m string) string {
			cell := cells[placeholder.FindStringSubmatch(m)[1]]
			return strings.ReplaceAll(cell, "${", "$${")
		})
		if text == "" && h.key >= 0 {
			b = append(append(b, t.data[at:h.key]...), "# "...)
			b = append(append(b, t.data[h.key:h.from]...), `""`...)
		} else {
			b = append(append(b, t.data[at:h.from]...), tomlQuote(text)...)
		}
		at = h.to
	}
	return append(b, t.data[at:]...)
}
