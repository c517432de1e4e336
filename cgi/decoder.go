package cgi

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"

	"github.com/valyala/fastjson"
)

// Bounds of a reply.
const (
	maxReply     = 1 << 20 // bytes
	maxLevels    = 5       // JSON texts inside each other, the reply itself included
	maxNesting   = 32      // objects and arrays inside each other, in one JSON text
	maxCommas    = 16384   // values in one JSON text
	maxKeptReply = 1 << 16 // a decoder that saw more is not kept for the next reply
)

// The causes of a reply that is no JSON. The JSON library's own text is not
// used: it quotes the reply, which may hold a session id.
var (
	errNotJSON  = errors.New("the reply is no JSON")
	errNesting  = errors.New("the reply is nested too deep")
	errTooMany  = errors.New("the reply holds too many values")
	errLarge    = errors.New("the reply is larger than 1 MiB")
	errEmpty    = errors.New("the reply is empty")
	errNoObject = errors.New("the reply is no JSON object")
)

// decoder holds one parser for each level of JSON inside JSON. Values of a
// level live until the next text of the same level is parsed; so whatever is
// kept is copied, and a level is done before the next text of it starts.
type decoder struct {
	parsers [maxLevels]fastjson.Parser
	number  []byte
	rest    []byte // buffers of lift
	inner   []byte
	odd     oddityList
	recent  [8]internedText
	oldest  int // place in recent to use next, modulo its length
}

// internedText is a text as it came and made clean.
type internedText struct{ raw, clean string }

var decoders = sync.Pool{New: func() any { return new(decoder) }}

func newDecoder() *decoder { return decoders.Get().(*decoder) }

// release gives the decoder back. One that had to grow is left to the garbage
// collector, so that one huge reply does not stay in memory.
func (d *decoder) release(replySize int) {
	d.odd = oddityList{}
	if replySize <= maxKeptReply {
		decoders.Put(d)
	}
}

// trim takes off blanks, byte order marks and NULs at both ends.
func trim(b []byte) []byte {
	for {
		for len(b) > 0 && isBlank(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		for len(b) > 0 && isBlank(b[0]) {
			b = b[1:]
		}
		switch {
		case len(b) < len(mark):
			return b
		case b[0] == mark[0] && bytes.HasPrefix(b, mark):
			b = b[len(mark):]
		case b[len(b)-1] == mark[2] && bytes.HasSuffix(b, mark):
			b = b[:len(b)-len(mark)]
		default:
			return b
		}
	}
}

// mark is the byte order mark in UTF-8.
var mark = []byte("\ufeff")

func isBlank(c byte) bool { return c <= ' ' && (c == ' ' || c == 0 || '\t' <= c && c <= '\r') }

// parse reads one JSON text on a level. An empty text gives nil.
func (d *decoder) parse(text []byte, level int) (*fastjson.Value, error) {
	if text = trim(text); len(text) == 0 {
		return nil, nil
	}
	if level >= maxLevels || tooNested(text) {
		return nil, errNesting
	}
	if len(text) > maxCommas && bytes.Count(text, []byte{','}) > maxCommas {
		return nil, errTooMany
	}
	if len(text) > maxKeptReply && !json.Valid(text) {
		return nil, errNotJSON // the parser would copy the rest of the text into its error, once a level
	}
	v, err := d.parsers[level].ParseBytes(text)
	if err != nil {
		return nil, errNotJSON
	}
	return v, nil
}

// tooNested is asked before the parser, whose own bound is 300 and whose error
// text grows with the depth.
func tooNested(text []byte) bool {
	if bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) <= maxNesting {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// unwrapText parses a text and goes on as unwrap does.
func (d *decoder) unwrapText(text []byte, level int) (*fastjson.Value, int, error) {
	v, err := d.parse(text, level)
	if err != nil {
		return nil, level, err
	}
	return d.unwrap(v, level)
}

// unwrap follows strings that hold JSON. It gives the first value that is no
// string, and its level; nil for null and for an empty string.
func (d *decoder) unwrap(v *fastjson.Value, level int) (*fastjson.Value, int, error) {
	for v != nil && v.Type() == fastjson.TypeString {
		level++
		var err error
		if v, err = d.parse(v.GetStringBytes(), level); err != nil {
			return nil, level, err
		}
	}
	if v == nil || v.Type() == fastjson.TypeNull {
		return nil, level, nil
	}
	return v, level, nil
}

// bare is a key without the blank that lift may have left at its end.
func bare(key []byte) []byte {
	if n := len(key); n > 0 && key[n-1] == ' ' {
		return key[:n-1]
	}
	return key
}

// scalar gives the text of a string or number, without blanks at the ends.
// null is an empty text; an object, an array or a boolean is none.
func (d *decoder) scalar(v *fastjson.Value) (text []byte, ok bool) {
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return trim(b), true
	case fastjson.TypeNumber:
		d.number = v.MarshalTo(d.number[:0])
		return d.number, true
	case fastjson.TypeNull:
		return nil, true
	}
	return nil, false
}

// describe is the value as an oddity shows it.
func (d *decoder) describe(v *fastjson.Value) string {
	if text, ok := d.scalar(v); ok {
		return string(text[:min(len(text), 4*maxOddityText)])
	}
	return v.Type().String()
}
