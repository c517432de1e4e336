package payload

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// Dialect is the JSON Schema version of the documents.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

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
		k, err := json.Marshal(p.Key)
		if err != nil {
			return nil, err
		}
		var v bytes.Buffer
		e := json.NewEncoder(&v)
		e.SetEscapeHTML(false)
		if err := e.Encode(p.Value); err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(bytes.TrimRight(v.Bytes(), "\n"))
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
// allowed; they are texts and numbers too, for the object stays flat.
func FlatSchema(kind string) Object {
	var props Object
	var required []string
	walk(planOf(reflect.TypeOf(New(kind)).Elem()).fields, func(f *field) {
		props = append(props, Pair{f.key, f.schema(kind)})
		if !f.optional {
			required = append(required, f.key)
		}
	})
	return append(SchemaHead(kind, titles[kind]),
		Pair{"type", "object"}, Pair{"properties", props}, Pair{"required", required},
		Pair{"additionalProperties", Object{{"anyOf", []Object{{{"type", "string"}}, {{"type", "number"}}}}}})
}

// SchemaHead begins a schema document.
func SchemaHead(kind, title string) Object {
	return Object{
		{"$schema", Dialect},
		{"$id", "urn:roomcall:" + kind + ":" + SchemaVersion},
		{"title", SchemaName(kind)},
		{"description", title},
	}
}

// schema describes one key.
func (f *field) schema(kind string) Object {
	if f.key == "schema" {
		return Object{{"const", SchemaName(kind)}, {"description", f.tag.Get("doc")}}
	}
	var o Object
	switch {
	case f.tag.Get("type") == "flag":
		o = Object{{"type", "integer"}, {"enum", []int{0, 1}}}
	case f.kind == text:
		o = Object{{"type", "string"}}
	case f.kind == reading && f.tag.Get("type") == "":
		o = Object{{"type", "number"}}
	default:
		o = Object{{"type", "integer"}}
	}
	if words := f.tag.Get("enum"); words != "" {
		o = append(o, Pair{"enum", strings.Split(words, "|")})
	}
	o = o.number(f.tag.Get("min"), "minimum").number(f.tag.Get("max"), "maximum")
	return append(o, Pair{"description", f.tag.Get("doc")})
}

func (o Object) number(text, key string) Object {
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return append(o, Pair{key, x})
	}
	return o
}

// StructSchema describes a struct with json and doc tags, for the payloads that
// are not flat (birth and views).
func StructSchema(t reflect.Type) Object {
	switch t.Kind() {
	case reflect.Pointer:
		return StructSchema(t.Elem())
	case reflect.Struct:
		var props Object
		required := []string{}
		addFields(t, &props, &required)
		return Object{{"type", "object"}, {"properties", props}, {"required", required}}
	case reflect.Map:
		return Object{{"type", "object"}, {"additionalProperties", StructSchema(t.Elem())}}
	case reflect.Slice:
		return Object{{"type", "array"}, {"items", StructSchema(t.Elem())}}
	case reflect.Array:
		return Object{{"type", "array"}, {"items", StructSchema(t.Elem())}, {"minItems", t.Len()}, {"maxItems", t.Len()}}
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

func addFields(t reflect.Type, props *Object, required *[]string) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Anonymous && name == "" {
			addFields(sf.Type, props, required)
			continue
		}
		s := StructSchema(sf.Type)
		if doc := sf.Tag.Get("doc"); doc != "" {
			s = append(s, Pair{"description", doc})
		}
		*props = append(*props, Pair{name, s})
		if opts == "" {
			*required = append(*required, name)
		}
	}
}

// HeadSchema gives the properties and the required keys of every head.
func HeadSchema(kind string) (props Object, required []string) {
	walk(planOf(reflect.TypeFor[ViewHead]()).fields, func(f *field) {
		props = append(props, Pair{f.key, f.schema(kind)})
		if !f.optional {
			required = append(required, f.key)
		}
	})
	return props, required
}
