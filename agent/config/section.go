package config

import (
	"fmt"
	"slices"
	"strings"
)

// section reads the keys of one table and remembers which names it knows.
type section struct {
	l      *loader
	table  *node // nil when the table is not there
	file   string
	header string // as in the file: "[mqtt]", "[[endpoint]]"
	prefix string // of a full key: "mqtt", "endpoint[1]", "limits.strict"
	device string
	known  []string
}

// complaint is what a check has against a value; nil = nothing.
type complaint struct {
	problem, allowed, hint string
	hide                   bool // the value may hold a secret
}

func allowed(format string, args ...any) *complaint {
	return &complaint{allowed: fmt.Sprintf(format, args...)}
}

func (s *section) place(f *field, key string) Place {
	p := Place{File: s.file, Key: s.prefix + "." + key, Device: s.device}
	if s.table != nil {
		p.File, p.Line = s.table.file, s.table.line
	}
	if f != nil {
		p.File, p.Line = f.file, f.line
	}
	return p
}

// get gives the key's field, nil when it is not there, and learns the name.
func (s *section) get(key string) *field {
	s.known = append(s.known, key)
	return s.table.get(key)
}

func (s *section) fail(f *field, key string, n *node, c *complaint) {
	e := &Error{Place: s.place(f, key), Problem: c.problem, Allowed: c.allowed, Hint: c.hint}
	if n != nil {
		e.File, e.Line = n.file, n.line
		if !c.hide {
			e.Found = n.describe()
		}
	}
	s.l.errs = append(s.l.errs, e)
}

func (s *section) warn(key, format string, args ...any) {
	w := Warning{s.place(s.table.get(key), key), fmt.Sprintf(format, args...)}
	s.l.warnings = append(s.l.warnings, w)
}

// missing reports a required key that is not there.
func (s *section) missing(key, wanted string) {
	if s.l.broken {
		return
	}
	s.fail(nil, key, nil, &complaint{problem: "missing; it is required", allowed: wanted})
}

// value gives the text of a field with ${NAME} replaced; ok = false when it is
// not there, is no text or cannot be resolved.
func (s *section) value(f *field, key string, wanted string) (v string, ok bool) {
	if f == nil {
		return "", false
	}
	return s.text1(f, key, f.val, wanted)
}

func (s *section) text1(f *field, key string, n *node, wanted string) (string, bool) {
	if n.kind != kindText {
		s.fail(f, key, n, &complaint{allowed: wanted, hint: quoteHint(n, wanted)})
		return "", false
	}
	v, c := s.l.expand(n.text)
	if c != nil {
		s.fail(f, key, n, c)
		return "", false
	}
	return v, true
}

func quoteHint(n *node, wanted string) string {
	if strings.HasPrefix(wanted, "a duration") && n.kind == kindInt {
		return fmt.Sprintf("did you mean \"%ss\"?", shorten(n.text))
	}
	return ""
}

// text reads a text key. The check sees the value with variables replaced.
func (s *section) text(key, def string, check func(string) *complaint) string {
	f := s.get(key)
	v, ok := s.value(f, key, "text in quotes")
	if !ok {
		s.record(key, tomlText(def), f)
		return def
	}
	if !s.unresolved(v) && check != nil {
		if c := check(v); c != nil {
			s.fail(f, key, f.val, c)
		}
	}
	s.record(key, tomlText(v), f)
	return v
}

// required reads a text key that must be there.
func (s *section) required(key, wanted string, check func(string) *complaint) string {
	v := s.text(key, "", check)
	if s.table.get(key) == nil {
		s.missing(key, wanted)
	}
	return v
}

// oneOf reads a key with a fixed set of values.
func (s *section) oneOf(key, def string, values ...string) string {
	return s.text(key, def, inSet(values))
}

func inSet(values []string) func(string) *complaint {
	return func(v string) *complaint {
		if slices.Contains(values, v) {
			return nil
		}
		return &complaint{allowed: strings.Join(values, ", "), hint: didYouMean(v, values)}
	}
}

// boolean reads true or false.
func (s *section) boolean(key string, def bool) bool {
	f := s.get(key)
	v := def
	if f != nil && f.val.kind != kindBool {
		s.fail(f, key, f.val, allowed("true or false, without quotes"))
	} else if f != nil {
		v = f.val.text == "true"
	}
	s.record(key, fmt.Sprint(v), f)
	return v
}

// list reads one text or a list of texts. Each is checked and replaced by what
// clean gives. A list that is there but empty is an error when it is needed.
func (s *section) list(key, wanted string, most int, clean func(string) (string, *complaint)) []string {
	f := s.get(key)
	var out []string
	if f != nil {
		items := f.val.oneOrMany()
		if len(items) > most {
			s.fail(f, key, nil, &complaint{problem: fmt.Sprintf("found %d values", len(items)), allowed: fmt.Sprintf("at most %d", most)})
			items = items[:most]
		}
		for _, n := range items {
			if v, ok := s.item(f, key, n, wanted, clean); ok {
				out = append(out, v)
			}
		}
	}
	s.record(key, tomlList(out), f)
	return out
}

func (s *section) item(f *field, key string, n *node, wanted string, clean func(string) (string, *complaint)) (string, bool) {
	v, ok := s.text1(f, key, n, wanted)
	if !ok || s.unresolved(v) {
		return v, ok
	}
	v, c := clean(v)
	if c != nil {
		s.fail(f, key, n, c)
		return "", false
	}
	return v, true
}

// words reads a list whose elements are of a fixed set, each at most once.
func (s *section) words(key string, def []string, values ...string) []string {
	if s.table.get(key) == nil {
		s.get(key)
		s.record(key, tomlList(def), nil)
		return def
	}
	if f := s.table.get(key); f.val.kind != kindArray {
		s.get(key)
		s.fail(f, key, f.val, allowed(`a list in brackets such as ["%s"]`, values[0]))
		return def
	}
	check, seen := inSet(values), map[string]bool{}
	return s.list(key, "text in quotes", 100, func(v string) (string, *complaint) {
		if seen[v] {
			return v, &complaint{problem: "stands here twice", allowed: "each value once"}
		}
		seen[v] = true
		return v, check(v)
	})
}

// finish reports the keys of the table that nobody asked for.
func (s *section) finish() {
	if s.table == nil {
		return
	}
	for _, f := range s.table.fields {
		if !slices.Contains(s.known, f.name) {
			s.unknown(f)
		}
	}
}

func (s *section) unknown(f *field) {
	hint := homeOf(f.name)
	if hint == "" {
		hint = didYouMean(f.name, s.known)
	}
	if hint == "" {
		hint = "known keys are " + strings.Join(s.known, ", ")
	}
	e := &Error{Place: s.place(f, shorten(f.name)), Problem: "unknown key", Hint: hint}
	s.l.errs = append(s.l.errs, e)
}
