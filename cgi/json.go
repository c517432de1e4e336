package cgi

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/valyala/fastjson"
)

// Bounds of a reply.
const (
	maxReply   = 1 << 20 // bytes
	maxLevels  = 5       // JSON texts inside each other, the reply itself included
	maxNesting = 32      // objects and arrays inside each other, in one JSON text
	maxCommas  = 16384   // values in one JSON text
	largeText  = 1 << 16 // bytes; larger texts must be strictly valid JSON and are not repaired
)

// The causes of a reply that is not JSON. The JSON library's own text is not
// used: it quotes the reply, which may hold a session id.
var (
	errNotJSON  = errors.New("the reply is no JSON")
	errNesting  = errors.New("the reply is nested too deep")
	errTooMany  = errors.New("the reply holds too many values")
	errLarge    = errors.New("the reply is larger than 1 MiB")
	errEmpty    = errors.New("the reply is empty")
	errNoObject = errors.New("the reply is no JSON object")
)

// decoder reads one reply. Strings in it may hold JSON, and strings in that
// again; each level of these has a parser. Values of a level live until the next
// text of the same level is parsed, so whatever is kept is copied, and a text is
// done with before the next one of its level starts.
type decoder struct {
	parsers [maxLevels]*fastjson.Parser
	number  []byte // the number that scalar returned last
	quirks  quirks
	invalid bool // a text was read that is not valid JSON

	repair   repair // nil = read what is there
	repaired bool   // it changed something

	errID, errCode int64 // what the endpoint said beside a success
}

var parsers fastjson.ParserPool

// release returns the parsers to their pool. No value of the reply may be used afterwards.
func (d *decoder) release() {
	for _, p := range d.parsers {
		if p != nil {
			parsers.Put(p)
		}
	}
}

// trim removes blanks, byte order marks and NULs at both ends.
func trim(b []byte) []byte {
	if n := len(b); n > 0 && isVisible(b[0]) && isVisible(b[n-1]) {
		return b
	}
	return bytes.Trim(b, " \t\n\v\f\r\x00\ufeff")
}

func isVisible(c byte) bool { return ' ' < c && c <= '~' }

// parse reads one JSON text of a level. An empty text is nil.
func (d *decoder) parse(text []byte, level int) (*fastjson.Value, error) {
	if text = trim(text); d.repair != nil && len(text) <= largeText {
		fixed := d.repair(text)
		d.repaired = d.repaired || !bytes.Equal(fixed, text)
		text = fixed
	}
	switch {
	case len(text) == 0:
		return nil, nil
	case level >= maxLevels || tooNested(text):
		return nil, errNesting
	case bytes.Count(text, []byte{','}) > maxCommas:
		return nil, errTooMany
	}
	if !json.Valid(text) { // the parser reads bad escapes and control characters as if they were well
		if d.invalid = true; len(text) > largeText {
			return nil, errNotJSON // it would copy the rest of the text into its error, once a level
		}
	}
	if d.parsers[level] == nil {
		d.parsers[level] = parsers.Get()
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

// unwrap follows strings that hold JSON. It returns the first value that is not
// a string, and its level; nil for null and for an empty string.
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

// scalar returns the text of a string or number, without blanks at the ends.
// null is an empty text; an object, an array or a boolean has none.
func (d *decoder) scalar(v *fastjson.Value) (text []byte, ok bool) {
	switch v.Type() {
	case fastjson.TypeString:
		return trim(v.GetStringBytes()), true
	case fastjson.TypeNumber:
		d.number = v.MarshalTo(d.number[:0])
		return d.number, true
	case fastjson.TypeNull:
		return nil, true
	}
	return nil, false
}
