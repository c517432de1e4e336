package payload

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"
)

// dialect is the JSON Schema version of the documents.
const dialect = "https://json-schema.org/draft/2020-12/schema"

// Object is a JSON object that keeps the order of its keys.
type Object []Pair

// Pair is one key of an Object.
type Pair struct {
	Key   string
	Value any
}

// MarshalJSON writes the keys in their order.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := JSON(p.Key)
		if err != nil {
			return nil, err
		}
		v, err := JSON(p.Value)
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// titles are the kinds in words.
var titles = map[string]string{
	"sample": "What one poll of an endpoint told.",
	"stream": "One active media stream in one poll.",
	"event":  "Something that happened.",
	"call":   "Summary of a finished call.",
	"minute": "One UTC minute that has a poll.",
}

// FlatSchema is the JSON Schema of a flat kind: every key with its type, unit
// and range. Keys may be added within the major version, so unknown ones are
// allowed; they are texts and numbers too because the object stays flat.
func FlatSchema(kind string) Object {
	r := New(kind)
	props, required := Properties(reflect.TypeOf(r).Elem(), kind)
	_, columns := r.media()
	for i := range columns {
		props = append(props, Pair{columns[i].key, columns[i].schema(kind)})
	}
	schema := append(SchemaHead(kind, titles[kind]),
		Pair{"type", "object"}, Pair{"properties", props}, Pair{"required", required},
		Pair{"additionalProperties", Object{{"anyOf", []Object{{{"type", "string"}}, {{"type", "number"}}}}}})
	if kind == "sample" {
		schema = append(schema, Pair{"allOf", []Object{
			when("poll_ok", 0, "err", "endpoint_state"),
			when("in_call", 1, "call_id"),
		}})
	}
	return schema
}

// when requires keys where another key has a value. Strict readers want the type and
// the names of the keys once more.
func when(key string, value int, required ...string) Object {
	var names Object
	for _, name := range required {
		names = append(names, Pair{name, Object{}})
	}
	return Object{
		{"if", Object{{"type", "object"}, {"properties", Object{{key, Object{{"const", value}}}}}, {"required", []string{key}}}},
		{"then", Object{{"type", "object"}, {"properties", names}, {"required", required}}},
	}
}

// SchemaHead begins a schema document.
func SchemaHead(kind, title string) Object {
	return Object{
		{"$schema", dialect},
		{"$id", "urn:roomcall:" + kind + ":" + SchemaVersion},
		{"title", SchemaName(kind)},
		{"description", title},
	}
}

// schema describes the key of a measure or of one of its statistics.
func (c *column) schema(kind string) Object {
	row := &measureTable[c.measure]
	o := Object{{"type", row.typ}}
	switch row.typ {
	case "string":
	case "flag":
		o = Object{{"type", "integer"}, {"enum", []int{0, 1}}}
	default:
		o = append(o, Pair{"minimum", row.min})
		if row.max != 0 {
			o = append(o, Pair{"maximum", row.max})
		}
	}
	return append(o, Pair{"description", c.describe(kind)})
}

// describe says what the key means; of a sample also how several streams make
// one value.
func (c *column) describe(kind string) string {
	row := &measureTable[c.measure]
	text := row.doc
	switch {
	case c.doc != "":
		text = c.doc
	case kind == "sample" && row.rule == sum:
		text += "; the sum of the streams"
	case kind == "sample" && row.rule == highest:
		text += "; the worst stream"
	case kind == "sample" && row.rule == first:
		text += "; of stream 0"
	}
	return text + "."
}

// Properties describes the fields of a struct by their tags; kind is the value
// of the key schema, "" = any. Embedded structs are part of the object.
func Properties(t reflect.Type, kind string) (props Object, required []string) {
	required = []string{}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("json"), ",")
		switch {
		case name == "-":
			continue
		case sf.Anonymous && name == "":
			p, r := Properties(sf.Type, kind)
			props, required = append(props, p...), append(required, r...)
			continue
		case name == "schema" && kind != "":
			props = append(props, Pair{name, Object{{"const", SchemaName(kind)}, {"description", sf.Tag.Get("doc")}}})
		default:
			props = append(props, Pair{name, fieldSchema(sf)})
		}
		if opts == "" {
			required = append(required, name)
		}
	}
	return props, required
}

func fieldSchema(sf reflect.StructField) Object {
	o := TypeSchema(sf.Type)
	if words := sf.Tag.Get("enum"); words != "" {
		list := []any{}
		for _, w := range strings.Split(words, "|") {
			if n, err := strconv.Atoi(w); err == nil {
				list = append(list, n)
			} else {
				list = append(list, w)
			}
		}
		o = append(o, Pair{"enum", list})
	}
	for _, name := range []string{"format", "pattern"} {
		if text := sf.Tag.Get(name); text != "" {
			o = append(o, Pair{name, text})
		}
	}
	for _, bound := range []Pair{{"min", "minimum"}, {"max", "maximum"}} {
		if x, err := strconv.ParseFloat(sf.Tag.Get(bound.Key), 64); err == nil {
			o = append(o, Pair{bound.Value.(string), x})
		}
	}
	if doc := sf.Tag.Get("doc"); doc != "" {
		o = append(o, Pair{"description", doc})
	}
	return o
}

// TypeSchema describes a Go type as encoding/json writes it.
func TypeSchema(t reflect.Type) Object {
	switch t.Kind() {
	case reflect.Pointer:
		return TypeSchema(t.Elem())
	case reflect.Struct:
		props, required := Properties(t, "")
		o := Object{{"type", "object"}, {"properties", props}, {"required", required}}
		if name := t.Name(); !strings.Contains(name, "[") && name != "" {
			o = append(Object{{"title", name}}, o...)
		}
		return o
	case reflect.Map:
		return Object{{"type", "object"}, {"additionalProperties", TypeSchema(t.Elem())}}
	case reflect.Slice:
		return Object{{"type", "array"}, {"items", TypeSchema(t.Elem())}}
	case reflect.Array:
		return Object{{"type", "array"}, {"items", TypeSchema(t.Elem())}, {"minItems", t.Len()}, {"maxItems", t.Len()}}
	case reflect.String:
		return Object{{"type", "string"}}
	case reflect.Bool:
		return Object{{"type", "boolean"}}
	case reflect.Float64:
		return Object{{"type", "number"}}
	default:
		return Object{{"type", "integer"}}
	}
}
