package config

import (
	"fmt"
	"slices"
)

// kind is what a TOML value is.
type kind int

const (
	kindText kind = iota
	kindInt
	kindFloat
	kindBool
	kindTime
	kindArray
	kindTable
)

// String names the kind for an operator.
func (k kind) String() string {
	return [...]string{"text", "an integer", "a number with a fraction", "true/false", "a date or time", "a list", "a table"}[k]
}

// node is a TOML value with its place.
type node struct {
	kind   kind
	file   string
	line   int
	text   string  // text decoded; other scalars as written
	items  []*node // of an array
	fields []*field
	byName map[string]*field
	// header: the table was opened by its own [NAME] line; tables: the array
	// was made by [[NAME]] lines.
	header, tables bool
}

// field is a key with its value; the place is that of the key.
type field struct {
	name string
	file string
	line int
	val  *node
}

func (n *node) get(name string) *field {
	if n == nil {
		return nil
	}
	return n.byName[name]
}

// set adds the field, in the place of one of the same name.
func (n *node) set(f *field) {
	if n.byName == nil {
		n.byName = map[string]*field{}
	}
	if old := n.byName[f.name]; old != nil {
		n.fields[slices.Index(n.fields, old)] = f
	} else {
		n.fields = append(n.fields, f)
	}
	n.byName[f.name] = f
}

func (n *node) drop(name string) {
	n.fields = slices.DeleteFunc(n.fields, func(f *field) bool { return f.name == name })
	delete(n.byName, name)
}

// oneOrMany gives the elements of a list, or the value itself as the only one.
func (n *node) oneOrMany() []*node {
	if n.kind == kindArray {
		return n.items
	}
	return []*node{n}
}

// describe says what was found, as written and shortened. It is never called
// on a secret.
func (n *node) describe() string {
	switch n.kind {
	case kindText:
		return quote(n.text)
	case kindInt, kindFloat, kindBool, kindTime:
		return fmt.Sprintf("%s (%s)", shorten(n.text), n.kind)
	default:
		return n.kind.String()
	}
}

func quote(s string) string {
	s, cut := cutRunes(s)
	if cut {
		return fmt.Sprintf("%q...", s)
	}
	return fmt.Sprintf("%q", s)
}

func shorten(s string) string {
	s, cut := cutRunes(s)
	if cut {
		return s + "..."
	}
	return s
}

// cutRunes bounds what of a value an error shows.
func cutRunes(s string) (string, bool) {
	const most = 60
	n := 0
	for i := range s {
		if n == most {
			return s[:i], true
		}
		n++
	}
	return s, false
}
