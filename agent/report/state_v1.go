package report

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"roomcall/agent/report/payload"
)

// stateV1 is the state of version 1. Its sums of readings were packed: a
// histogram was the base64 text of varint pairs, and a minute's last readings
// were a list.
type stateV1 struct {
	stateData
	Call *struct {
		callState
		Media [payload.Groups]map[string]statV1 `json:"media"`
	} `json:"call"`
	Minute *struct {
		minuteState
		Media [payload.Groups]map[string]json.RawMessage `json:"media"`
	} `json:"minute"`
}

// unmarshalV1 reads a state of version 1.
func unmarshalV1(b []byte) (stateData, error) {
	var old stateV1
	if err := json.Unmarshal(b, &old); err != nil {
		return stateData{}, err
	}
	d := old.stateData
	if c := old.Call; c != nil {
		d.Call = &c.callState
		for g, sums := range c.Media {
			d.Call.Media[g] = map[string]payload.Stat{}
			for short, s := range sums {
				d.Call.Media[g][short] = payload.Stat(s)
			}
		}
	}
	if m := old.Minute; m != nil {
		d.Minute = &m.minuteState
		for g, parts := range m.Media {
			if err := addMinuteV1(&d.Minute.Media, g, parts); err != nil {
				return stateData{}, err
			}
		}
	}
	return d, nil
}

func addMinuteV1(to *payload.MinuteSums, group int, parts map[string]json.RawMessage) error {
	if len(parts) == 0 {
		return nil
	}
	to.Sums[group], to.Last[group] = map[string]payload.Stat{}, map[string]float64{}
	for short, part := range parts {
		if short != "last" {
			var s statV1
			if err := json.Unmarshal(part, &s); err != nil {
				return err
			}
			to.Sums[group][short] = payload.Stat(s)
			continue
		}
		var last []*float64
		if err := json.Unmarshal(part, &last); err != nil {
			return err
		}
		names := [...]string{"b", "j", "d", "f", "w", "h"}
		if len(last) != len(names) {
			return fmt.Errorf("%d last readings", len(last))
		}
		for i, x := range last {
			if x != nil {
				to.Last[group][names[i]] = *x
			}
		}
	}
	return nil
}

// statV1 is a list of n, sum, max, min and, where there is a histogram, its text.
type statV1 payload.Stat

func (s *statV1) UnmarshalJSON(b []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	var text string
	if len(list) == 5 {
		if err := json.Unmarshal(list[4], &text); err != nil {
			return err
		}
		list = list[:4]
	}
	numbers, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(numbers, (*payload.Stat)(s)); err != nil {
		return err
	}
	packed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("a histogram: %w", err)
	}
	return s.unpack(packed)
}

// unpack reads pairs of the distance to the bucket before and a count. The
// bucket of 0 was 0; that of 0.01, now 1, was 18.
func (s *statV1) unpack(b []byte) error {
	bucket := uint64(0)
	for len(b) > 0 {
		distance, n := binary.Uvarint(b)
		count, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || len(s.Hist.Counts) > 0 && distance == 0 || distance > 255 || count > 1<<32-1 {
			return fmt.Errorf("a histogram that cannot be read")
		}
		b = b[n+m:]
		bucket += distance
		if bucket > 255 || bucket > 0 && bucket < 18 {
			return fmt.Errorf("a histogram with bucket %d", bucket)
		}
		at := 0
		if bucket > 0 {
			at = int(bucket) - 17
		}
		if len(s.Hist.Counts) == 0 {
			s.Hist.First = at
		}
		for len(s.Hist.Counts) < at-s.Hist.First {
			s.Hist.Counts = append(s.Hist.Counts, 0)
		}
		s.Hist.Counts = append(s.Hist.Counts, uint32(count))
	}
	return nil
}
