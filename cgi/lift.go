package cgi

import (
	"bytes"
	"encoding/binary"
)

// lift takes the text out of the data string of a reply: rest is the reply
// with "" in its place, inner the text as JSON. It is a short cut for the form
// that endpoints send, {"success":1,"data":"{ \"a\":1}"}: most of a general
// parser's time would go into that one string, in which one byte in seven is an
// escape. A reply that is not plainly of this form (data that may be nested or
// not the last string, an escape other than \") is refused and goes the general
// way. Both buffers are reused.
//
// In inner each backslash is a blank. So each string has one blank more at its
// end; keys and values are trimmed wherever they are read (bare, scalar).
func lift(raw, restBuf, innerBuf []byte) (rest, inner []byte, ok bool) {
	start := dataString(raw)
	if start < 0 {
		return restBuf, innerBuf, false
	}
	end := start + bytes.LastIndexByte(raw[start:], '"')
	if end < start {
		return restBuf, innerBuf, false
	}
	inner = append(innerBuf[:0], raw[start:end]...)
	if !blankEscapes(inner) {
		return restBuf, inner, false
	}
	rest = append(append(restBuf[:0], raw[:start]...), raw[end:]...)
	return rest, inner, true
}

// blankEscapes writes blanks over the backslashes in b. It is false unless each
// backslash is followed by a quote and each quote follows a backslash. Eight
// bytes are compared at once. It may also be false for "# in a text, which then
// goes the general way (see matches).
func blankEscapes(b []byte) bool {
	var wrong, carry uint64
	for ; len(b) >= 8; b = b[8:] {
		word := binary.LittleEndian.Uint64(b)
		slashes := matches(word, '\\')
		wrong |= matches(word, '"') ^ (slashes<<8 | carry)
		carry = slashes >> 56
		binary.LittleEndian.PutUint64(b, word^slashes*('\\'^' '))
	}
	after := carry != 0
	for i := range b {
		if after != (b[i] == '"') {
			return false
		}
		if after = b[i] == '\\'; after {
			b[i] = ' '
		}
	}
	return wrong == 0 && !after
}

// matches has a 1 in each byte of the word that is c. It may have one too in a
// byte that is c^1 right after a c (the subtraction borrows): "# beside a quote,
// \] beside a backslash, which is no JSON.
func matches(word uint64, c byte) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	x := word ^ ones*uint64(c)
	return (x - ones) &^ x & highs >> 7
}

// dataString gives the place behind the opening quote of the data string, or
// -1. A quoted data before a colon is a key wherever it stands in valid JSON,
// for a quote inside a string is escaped, the first one here too; one brace and no bracket before it
// make it a key of the outer object.
func dataString(raw []byte) int {
	key := []byte(`"data"`)
	at := bytes.Index(raw, key)
	if at < 1 || raw[at-1] == '\\' || bytes.Count(raw[:at], []byte{'{'}) != 1 || bytes.IndexByte(raw[:at], '[') >= 0 {
		return -1
	}
	i := skipBlanks(raw, at+len(key))
	if i == len(raw) || raw[i] != ':' {
		return -1
	}
	i = skipBlanks(raw, i+1)
	if i == len(raw) || raw[i] != '"' {
		return -1
	}
	return i + 1
}

func skipBlanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}
