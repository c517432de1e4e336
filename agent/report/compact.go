package report

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// The state is written with every poll, so its numbers are marshalled as lists
// without names.

// MarshalJSON writes n, sum, max, min and, where there is a sketch, its text.
func (s stat) MarshalJSON() ([]byte, error) {
	b := strconv.AppendInt(append(make([]byte, 0, 64+3*len(s.P95)), '['), s.N, 10)
	for _, x := range [...]float64{s.Sum, s.Max, s.Min} {
		b = payload.AppendNumber(append(b, ','), x)
	}
	if len(s.P95) > 0 {
		b = append(b, `,"`...)
		b = append(base64.RawStdEncoding.AppendEncode(b, s.P95.pack()), '"')
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses all else.
func (s *stat) UnmarshalJSON(b []byte) error {
	var text string
	parts := []any{&s.N, &s.Sum, &s.Max, &s.Min, &text}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("a sum of readings: %w", err)
	}
	if len(list) < 4 || len(list) > len(parts) {
		return fmt.Errorf("a sum of readings with %d parts", len(list))
	}
	for i := range list {
		if err := json.Unmarshal(list[i], parts[i]); err != nil {
			return fmt.Errorf("a sum of readings: %w", err)
		}
	}
	if s.N < 0 {
		return fmt.Errorf("a sum of %d readings", s.N)
	}
	packed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("a sketch: %w", err)
	}
	s.P95, err = unpackSketch(packed)
	return err
}

// pack writes for each bucket its distance to the one before and its count.
func (s sketch) pack() []byte {
	b := make([]byte, 0, 2*len(s))
	last := uint32(0)
	for i := 0; i+1 < len(s); i += 2 {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(s[i]-last)), uint64(s[i+1]))
		last = s[i]
	}
	return b
}

// unpackSketch reads what pack wrote and refuses what is no sketch.
func unpackSketch(b []byte) (sketch, error) {
	var s sketch
	var bucket uint64
	for len(b) > 0 {
		x, n := binary.Uvarint(b)
		if n <= 0 || x > math.MaxUint32 {
			return nil, fmt.Errorf("a sketch with a number that cannot be read")
		}
		b = b[n:]
		if len(s)%2 == 0 {
			bucket = min(bucket+x, math.MaxUint32)
			x = bucket
		}
		s = append(s, uint32(x))
	}
	return s, s.check()
}

// lastMedia has the last readings of a group in a minute.
type lastMedia struct {
	Bitrate, Jitter, Delay, FPS, Width, Height cgi.Reading
}

func (m *lastMedia) list() [6]*cgi.Reading {
	return [...]*cgi.Reading{&m.Bitrate, &m.Jitter, &m.Delay, &m.FPS, &m.Width, &m.Height}
}

// MarshalJSON writes the readings in their order, null = absent.
func (m *lastMedia) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 64), '[')
	for i, x := range m.list() {
		if i > 0 {
			b = append(b, ',')
		}
		if x.Known {
			b = payload.AppendNumber(b, x.Value)
		} else {
			b = append(b, "null"...)
		}
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses all else.
func (m *lastMedia) UnmarshalJSON(b []byte) error {
	var list []*float64
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("last readings: %w", err)
	}
	to := m.list()
	if len(list) != len(to) {
		return fmt.Errorf("%d last readings", len(list))
	}
	for i, x := range list {
		if *to[i] = (cgi.Reading{}); x != nil {
			*to[i] = cgi.Known(*x)
		}
	}
	return nil
}
