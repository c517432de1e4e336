package payload

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"roomcall/cgi"
)

// kind is how a field is written.
type kind uint8

const (
	text kind = iota
	integer
	unsigned
	reading
	embedded
	groups
)

// field is one field of a payload struct, ready to be written.
type field struct {
	index    int
	kind     kind
	key      string
	optional bool
	tag      reflect.StructTag
	sub      [][]field // embedded: one; groups: one for each media group
}

// plan is a payload struct, ready to be written.
type plan struct {
	fields []field
	size   int // bytes that hold a payload as a rule
}

var plans sync.Map // reflect.Type -> *plan

// planOf reads the tags of a payload struct once.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{fields: makePlan(t, Group{}), size: 128}
	walk(p.fields, func(f *field) { p.size += len(f.key) + 10 })
	plans.Store(t, p)
	return p
}

func makePlan(t reflect.Type, g Group) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		f := field{index: i, tag: sf.Tag}
		switch {
		case sf.Anonymous:
			f.kind, f.sub = embedded, [][]field{makePlan(sf.Type, g)}
		case sf.Tag.Get("group") != "":
			f.kind = groups
			for _, name := range GroupNames {
				f.sub = append(f.sub, makePlan(sf.Type.Elem(), name))
			}
		case sf.Tag.Get("key") == "" || !hasMedia(sf.Tag, g):
			continue
		default:
			f.plain(sf, g)
		}
		out = append(out, f)
	}
	return out
}

func hasMedia(tag reflect.StructTag, g Group) bool {
	only := strings.Fields(tag.Get("for"))
	return len(only) == 0 || slices.Contains(only, g.Media)
}

func (f *field) plain(sf reflect.StructField, g Group) {
	f.key = sf.Tag.Get("key")
	if g.Name != "" {
		f.key = g.Name + "_" + f.key
	}
	switch sf.Type {
	case reflect.TypeFor[cgi.Reading]():
		f.kind, f.optional = reading, true
	case reflect.TypeFor[int64]():
		f.kind = integer
	case reflect.TypeFor[uint64]():
		f.kind = unsigned
	default:
		f.kind, f.optional = text, sf.Tag.Get("opt") != ""
	}
}

// walk calls fn for every key of the payload struct t, in order.
func walk(fields []field, fn func(f *field)) {
	for i := range fields {
		f := &fields[i]
		if len(f.sub) == 0 {
			fn(f)
		}
		for _, s := range f.sub {
			walk(s, fn)
		}
	}
}

// Keys lists the keys of a flat kind in their order, nil for any other word.
func Keys(kind string) []string {
	p := New(kind)
	if p == nil {
		return nil
	}
	var keys []string
	walk(planOf(reflect.TypeOf(p).Elem()).fields, func(f *field) { keys = append(keys, f.key) })
	return keys
}
