package payload

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// Encode writes a payload as one flat JSON object. p is a pointer to a payload
// struct of this package. Equal payloads give equal bytes.
func Encode(p any) []byte {
	v := reflect.ValueOf(p).Elem()
	plan := planOf(v.Type())
	dst := make([]byte, 0, plan.size)
	dst = append(dst, '{')
	dst = appendFields(dst, plan.fields, v)
	return append(dst, '}')
}

func appendFields(dst []byte, fields []field, v reflect.Value) []byte {
	for i := range fields {
		f := &fields[i]
		fv := v.Field(f.index)
		switch f.kind {
		case embedded:
			dst = appendFields(dst, f.sub[0], fv)
		case groups:
			dst = appendGroups(dst, f.sub, fv)
		default:
			dst = appendField(dst, f, fv)
		}
	}
	return dst
}

// appendGroups writes the active media groups; their structs begin with Active.
func appendGroups(dst []byte, sub [][]field, v reflect.Value) []byte {
	for i := range sub {
		if g := v.Index(i); g.Field(0).Bool() {
			dst = appendFields(dst, sub[i], g)
		}
	}
	return dst
}

func appendField(dst []byte, f *field, v reflect.Value) []byte {
	switch f.kind {
	case integer:
		return strconv.AppendInt(appendKey(dst, f.key), v.Int(), 10)
	case unsigned:
		return strconv.AppendUint(appendKey(dst, f.key), v.Uint(), 10)
	case reading:
		x := v.Field(0).Float()
		if !v.Field(1).Bool() || math.IsNaN(x) || math.IsInf(x, 0) {
			return dst
		}
		return AppendNumber(appendKey(dst, f.key), x)
	default:
		s := v.String()
		if s == "" && f.optional {
			return dst
		}
		return AppendString(appendKey(dst, f.key), s)
	}
}

func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

// AppendNumber writes a finite number in its shortest form: 109.54 stays 109.54.
func AppendNumber(dst []byte, x float64) []byte {
	if a := math.Abs(x); a >= 1e15 || (a > 0 && a < 1e-6) {
		return strconv.AppendFloat(dst, x, 'e', -1, 64)
	}
	if x == 0 {
		x = 0 // no "-0"
	}
	return strconv.AppendFloat(dst, x, 'f', -1, 64)
}

// AppendString writes a JSON string. Bytes that are no UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendEscaped(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always encodes
		return append(dst, '"', '"')
	}
	return append(dst, bytes.TrimRight(b.Bytes(), "\n")...)
}

var replayedMark = []byte(`,"replayed":1}`)

// MarkReplayed gives a payload with "replayed":1 as its last key. A payload that
// has the mark already, or is no JSON object with keys, comes back unchanged. p is
// used up: where it has room for the mark behind its end, the mark is written
// there.
func MarkReplayed(p []byte) []byte {
	if len(p) < 3 || p[0] != '{' || p[len(p)-1] != '}' || bytes.HasSuffix(p, replayedMark) {
		return p
	}
	return append(p[:len(p)-1], replayedMark...)
}
