package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Encode writes a record as one flat JSON object: the struct's keys, then those
// of its measures. Equal records have equal bytes.
func Encode(r Record) []byte {
	values, columns := r.media()
	b := bytes.NewBuffer(make([]byte, 0, 512+24*len(columns))) // enough for most
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil { // no field can fail
		return []byte("{}")
	}
	b.Truncate(b.Len() - len("}\n"))
	for i := range columns {
		x := values.get(&columns[i])
		n, ok := x.(float64)
		if x == nil || math.IsNaN(n) || math.IsInf(n, 0) {
			continue
		}
		b.WriteString(`,"` + columns[i].key + `":`)
		if ok {
			b.Write(strconv.AppendFloat(b.AvailableBuffer(), n, 'f', -1, 64))
			continue
		}
		if err := e.Encode(x); err != nil {
			return []byte("{}")
		}
		b.Truncate(b.Len() - len("\n"))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// Decode reads one flat payload into r. Unknown keys are ignored because a
// newer minor version may add some; a known key of the wrong JSON type is an error.
func Decode(line []byte, r Record) error {
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("decode payload: %w", err)
	}
	values, columns := r.media()
	for i := range columns {
		c := &columns[i]
		x, ok := m[c.key]
		if !ok {
			continue
		}
		if err := values.set(c, x); err != nil {
			return fmt.Errorf("decode payload: key %s: %w", c.key, err)
		}
		delete(m, c.key)
	}
	b, err := json.Marshal(m) // whole numbers in one form: others write 3.0 or 3e0
	if err == nil {
		err = json.Unmarshal(b, r)
	}
	if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
		key := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		what := "of the wrong type"
		if strings.HasPrefix(wrong.Value, "number ") {
			what = "out of range"
		}
		return fmt.Errorf("decode payload: key %s: a %s is %s", key, wrong.Value, what)
	}
	if err != nil {
		return fmt.Errorf("decode payload: %w", err)
	}
	return nil
}

// JSON writes any value as JSON on one line, with < and > as they are.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

var replayedMark = []byte(`,"replayed":1}`)

// MarkReplayed adds "replayed":1 to a payload as its last key. A payload that
// has the mark already, or is no JSON object with keys, comes back unchanged. p is
// used up: where it has room for the mark behind its end, the mark is written
// there.
func MarkReplayed(p []byte) []byte {
	if len(p) < 3 || p[0] != '{' || p[len(p)-1] != '}' || bytes.HasSuffix(p, replayedMark) {
		return p
	}
	return append(p[:len(p)-1], replayedMark...)
}

// MarkUnrecorded makes a sample's payload one that no record has: without id and seq,
// and with "recorded":0 and "recorded_id" at its end: its own id with the number last, of
// the newest one that a record has; 0 = none. p is not changed.
func MarkUnrecorded(p []byte, last uint64) []byte {
	out, id := bytes.Clone(p), []byte(nil)
	for _, key := range []string{`"id":`, `"seq":`} { // of the head, which comes first
		if from := bytes.Index(out, []byte(key)); from >= 0 {
			if n := bytes.IndexByte(out[from:], ','); n >= 0 {
				if id == nil {
					id = bytes.Clone(out[from+len(key) : from+n])
				}
				out = append(out[:from], out[from+n+1:]...)
			}
		}
	}
	if len(out) < 3 || out[len(out)-1] != '}' {
		return out
	}
	out = append(out[:len(out)-1], `,"recorded":0`...)
	if dot := bytes.LastIndexByte(id, '.'); last > 0 && dot > 0 {
		out = fmt.Appendf(out, `,"recorded_id":%s%d"`, id[:dot+1], last)
	}
	return append(out, '}')
}
