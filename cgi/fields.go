package cgi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fastjson"
)

// field is one line of a vendor's table: a key, how its value is read, and where
// the value goes.
type field struct {
	key   string // in the vendor's spelling
	read  reader // nil: the key is known and of no use here
	to    any
	exact bool // only this spelling

	got   verdict // what the first value with this key was
	again bool    // the key came twice
}

func row(key string, read reader, to any) field { return field{key: key, read: read, to: to} }

// reader reads a value into what to points at, and leaves the zero value there
// when it is absent or cannot be read. What to has to point at is the reader's
// matter; a test tries every row.
type reader func(v value, to any) verdict

// table is a list of fields.
type table struct {
	endings []string // what stands behind the key in a reply: "videoRate", "Send"
	stream  *Stream  // that the fields make, nil = none
	fields  [maxFields]field
}

// maxFields is the number of rows of the longest table.
const maxFields = 9

var noEnding = []string{""}

// find looks a key up without regard to case: the spelling is irregular and
// drifts between firmware versions.
func (t *table) find(key []byte) *field {
	for _, ending := range t.endings {
		at := len(key) - len(ending)
		if at < 0 || ending != "" && !strings.EqualFold(string(key[at:]), ending) {
			continue
		}
		for i := range t.fields {
			f := &t.fields[i]
			if f.key == "" || len(f.key) != at {
				continue
			}
			if string(key[:at]) == f.key || !f.exact && strings.EqualFold(string(key[:at]), f.key) {
				return f
			}
		}
	}
	return nil
}

// anyRead: the reply had one of the keys.
func (t *table) anyRead() bool {
	return slices.ContainsFunc(t.fields[:], func(f field) bool { return f.got != unseen })
}

// value is one JSON value and where in the reply it stands.
type value struct {
	*decoder
	json  *fastjson.Value
	level int // of JSON inside strings

	parent []byte // key of the object or list that holds it, "" = data
	index  int    // in that list, -1 = not in a list
	key    []byte
}

// place names the value for people: parent[index].key.
func (v value) place() string {
	s := string(v.parent)
	if v.index >= 0 {
		s += fmt.Sprintf("[%d]", v.index)
	}
	if s != "" && len(v.key) > 0 {
		s += "."
	}
	return s + string(v.key)
}

// hidden stands for a text that is personal data.
const hidden = "(hidden)"

// noteUnread reports a value that cannot be read, or has an unknown key. The
// text of a name is personal data and stays hidden.
func (v value) noteUnread() {
	text := hidden
	if !strings.Contains(strings.ToLower(string(v.key)), "name") {
		if b, ok := v.scalar(v.json); ok {
			text = string(b[:min(len(b), 4*maxQuirkText)])
		} else {
			text = v.json.Type().String()
		}
	}
	v.quirks.add(v.place(), text)
}

// nothing is what a field reads whose key came twice.
var nothing = fastjson.MustParse("null")

// readObject reads the object in v by tables; other gets what has a key that is
// in none of them. A key that comes twice is reported and says nothing, for
// nobody can know which of the two is meant.
func (v value) readObject(other func(value), tables ...*table) {
	v.json.GetObject().Visit(func(key []byte, one *fastjson.Value) {
		item := v
		item.key, item.json = key, one
		var f *field
		for _, t := range tables {
			if f = t.find(key); f != nil {
				break
			}
		}
		switch {
		case f == nil:
			other(item)
		case f.read == nil:
			f.got = absent
		case f.got != unseen:
			f.again = true
			v.quirks.add(item.place(), "twice")
			item.json = nothing
			f.read(item, f.to)
		default:
			if f.got = f.read(item, f.to); f.got == unreadable {
				item.noteUnread()
			}
		}
	})
	for _, t := range tables {
		t.settle()
	}
}

// unwrapped follows strings that hold JSON; not ok: there is nothing in them, or
// it cannot be read, which is reported.
func (v value) unwrapped() (value, bool) {
	in, level, err := v.unwrap(v.json, v.level)
	if err != nil {
		v.quirks.add(v.place(), err.Error())
	}
	v.json, v.level = in, level
	return v, in != nil
}

// settle decides whether the stream is active, see Stream.Active. Without a rate,
// zeros are placeholders: the vendor sends 0 frames, 0 lost packets and "0ms" for
// a stream that is not there.
func (t *table) settle() {
	s := t.stream
	if s == nil {
		return
	}
	moving := slices.ContainsFunc(s.readings(), func(r *Reading) bool { return r.Value > 0 })
	rateSaid := slices.ContainsFunc(t.fields[:], func(f field) bool {
		return f.to == &s.BitrateKbps && (f.got == known || f.got == unreadable)
	})
	s.Active = moving || rateSaid && (s.Codec != "" || s.Height > 0)
	if !s.Active {
		*s = Stream{}
	} else if !rateSaid {
		for _, r := range s.readings() {
			if r.Value == 0 {
				*r = Reading{}
			}
		}
	}
}
