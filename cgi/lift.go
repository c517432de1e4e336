package cgi

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// lift takes the text out of the data string of a reply: rest is the reply
// with "" in its place, inner the unescaped text. It is a short cut for the
// form that endpoints send, {"success":1,"data":"{ \"a\":1}"}: most of a
// general parser's time would go into that one string, in which one byte in
// seven is an escape. A reply that is not plainly of this form (data that may
// be nested or not the last string, an escape other than \") is refused and
// goes the general way. Both buffers are reused.
func lift(raw, restBuf, innerBuf []byte) (rest, inner []byte, ok bool) {
	start := dataString(raw)
	if start < 0 {
		return restBuf, innerBuf, false
	}
	end := start + bytes.LastIndexByte(raw[start:], '"')
	if end < start {
		return restBuf, innerBuf, false
	}
	inner = slices.Grow(innerBuf[:0], end-start)[:end-start]
	n, ok := unescapeQuotes(inner, raw[start:end])
	if !ok {
		return restBuf, inner, false
	}
	rest = append(append(restBuf[:0], raw[:start]...), raw[end:]...)
	return rest, inner[:n], true
}

// unescapeQuotes copies src without its backslashes to dst, which is as long.
// It is false unless each backslash is followed by a quote and each quote
// follows a backslash. It goes from backslash to backslash by eight bytes at
// most, and no branch depends on the data: such branches are as often guessed
// wrong as right here and would take twice the time.
func unescapeQuotes(dst, src []byte) (n int, ok bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i, pairs, wrong := 0, 0, byte(0)
	for i+8 < len(src) {
		word := binary.LittleEndian.Uint64(src[i:])
		binary.LittleEndian.PutUint64(dst[n:], word)
		x := word ^ ones*'\\'                                // a backslash is a zero byte,
		plain := bits.TrailingZeros64((x-ones)&^x&highs) / 8 // 8 = there is none
		skip := 1 - plain/8
		n += plain
		i += plain + skip
		pairs += skip
		wrong |= (src[i] ^ '"') * byte(skip)
	}
	for ; i < len(src); i++ {
		if src[i] == '\\' {
			if i++; i == len(src) || src[i] != '"' {
				return 0, false
			}
			pairs++
		}
		dst[n] = src[i]
		n++
	}
	return n, wrong == 0 && pairs == bytes.Count(src, []byte{'"'})
}

// dataString gives the place behind the opening quote of the data string, or
// -1. A quoted data before a colon is a key wherever it stands in valid JSON,
// for a quote inside a string is escaped; one brace and no bracket before it
// make it a key of the outer object.
func dataString(raw []byte) int {
	key := []byte(`"data"`)
	at := bytes.Index(raw, key)
	if at < 0 || bytes.Count(raw[:at], []byte{'{'}) != 1 || bytes.IndexByte(raw[:at], '[') >= 0 {
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
