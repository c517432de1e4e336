// Package stricttest reads the replies of four systems as their documents write them, and
// nothing else: every key of a reply must be there, every other key is an error, and
// every value is checked for its type and range. The clients were written from the
// documents alone, so that a reply that they accept is a reply that a client of that
// system accepts. The one addition is `_meta` in the outermost object, where roomcall
// says what is exact, approximate or absent.
package stricttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"time"
)

// maxErrors bounds what one reply reports.
const maxErrors = 20

// object is a JSON object with its keys in order.
type object struct {
	keys   []string
	values map[string]any
}

// reader walks one reply and collects what is wrong with it.
type reader struct{ errs []error }

func (r *reader) fail(path, format string, args ...any) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
	}
}

// open reads one JSON value, rejects what follows it and keys that come twice.
func open(doc []byte) (*reader, any) {
	r := &reader{}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	v, err := decode(d)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			err = nil
		} else if err == nil {
			err = errors.New("something follows the document")
		}
	}
	if err != nil {
		r.fail("$", "no JSON document: %v", err)
	}
	return r, v
}

func decode(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := object{values: map[string]any{}}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := k.(string)
			if _, twice := o.values[key]; twice {
				return nil, fmt.Errorf("key %q comes twice", key)
			}
			o.keys = append(o.keys, key)
			if o.values[key], err = decode(d); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decode(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

// object wants exactly the keys; `_meta` is allowed in the outermost one.
func (r *reader) object(path string, v any, keys ...string) object {
	o, ok := v.(object)
	if !ok {
		r.fail(path, "%v is not an object", v)
		return object{values: map[string]any{}}
	}
	known := map[string]bool{"_meta": path == "$"}
	for _, k := range keys {
		known[k] = true
		if _, there := o.values[k]; !there {
			r.fail(path, "key %q is missing", k)
		}
	}
	for _, k := range o.keys {
		if !known[k] {
			r.fail(path, "key %q is not in the document", k)
		}
	}
	return o
}

func (r *reader) list(path string, v any) []any {
	l, ok := v.([]any)
	if !ok {
		r.fail(path, "%v is not an array", v)
	}
	return l
}

func (r *reader) text(path string, v any) string {
	s, ok := v.(string)
	if !ok {
		r.fail(path, "%v is not a string", v)
	}
	return s
}

func (r *reader) flag(path string, v any) bool {
	b, ok := v.(bool)
	if !ok {
		r.fail(path, "%v is not a boolean", v)
	}
	return b
}

// number wants a finite JSON number in [low, high].
func (r *reader) number(path string, v any, low, high float64) float64 {
	n, ok := v.(json.Number)
	if !ok {
		r.fail(path, "%v is not a number", v)
		return 0
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) || f < low || f > high {
		r.fail(path, "%v is not within %v and %v", n, low, high)
	}
	return f
}

// integer wants a number without a fraction in [low, high].
func (r *reader) integer(path string, v any, low, high int64) int64 {
	n, ok := v.(json.Number)
	if !ok {
		r.fail(path, "%v is not a number", v)
		return 0
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i < low || i > high {
		r.fail(path, "%v is not an integer within %d and %d", n, low, high)
	}
	return i
}

// The oldest and the newest second that a reply may name: a time outside is a mistake in
// its unit.
const firstSecond, lastSecond = 1_000_000_000, 4_102_444_800

func (r *reader) second(path string, v any) int64 {
	return r.integer(path, v, firstSecond, lastSecond)
}

func (r *reader) match(path string, v any, re *regexp.Regexp) []string {
	s := r.text(path, v)
	m := re.FindStringSubmatch(s)
	if m == nil {
		r.fail(path, "%q does not match %s", s, re)
	}
	return m
}

func (r *reader) time(path string, v any) time.Time {
	s := r.text(path, v)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		r.fail(path, "%q is not RFC 3339", s)
	}
	return t
}

func (r *reader) err() error { return errors.Join(r.errs...) }
