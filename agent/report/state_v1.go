package report

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// upgradeV1 turns a state of version 1 into one of version 2. There, the
// histogram at the end of a call's sum was a packed text, and each group of the
// open minute had its last readings as a list among its sums.
func upgradeV1(b []byte) ([]byte, error) {
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	call, _ := s["call"].(map[string]any)
	media, _ := call["media"].([]any)
	for _, group := range media {
		sums, _ := group.(map[string]any)
		for short, sum := range sums {
			list, _ := sum.([]any)
			if len(list) != 5 {
				continue // without a histogram
			}
			text, _ := list[4].(string)
			counts, err := unpackV1(text)
			if err != nil {
				return nil, err
			}
			sums[short] = append(list[:4], counts...)
		}
	}
	if minute, ok := s["minute"].(map[string]any); ok {
		media, _ := minute["media"].([]any)
		last := make([]any, len(media))
		for g, group := range media {
			sums, _ := group.(map[string]any)
			list, ok := sums["last"].([]any)
			if !ok {
				continue // no stream in this minute
			}
			names := []string{"b", "j", "d", "f", "w", "h"}
			if len(list) != len(names) {
				return nil, fmt.Errorf("%d last readings", len(list))
			}
			readings := map[string]any{}
			for i, x := range list {
				if x != nil {
					readings[names[i]] = x
				}
			}
			last[g] = readings
			delete(sums, "last")
		}
		minute["media"] = map[string]any{"sums": media, "last": last}
	}
	s["v"] = stateVersion
	return json.Marshal(s)
}

// unpackV1 reads base64 of varint pairs: the distance to the bucket before, and
// the count. The bucket of 0 was 0, that of 0.01 was 18; now they are 0 and 1.
func unpackV1(text string) ([]any, error) {
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("a histogram: %w", err)
	}
	var list []any // the first bucket, then the counts of consecutive ones
	bucket, next := uint64(0), uint64(0)
	for len(b) > 0 {
		distance, n := binary.Uvarint(b)
		count, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || distance > 255 {
			return nil, fmt.Errorf("a histogram that cannot be read")
		}
		b = b[n+m:]
		bucket += distance
		at := bucket
		if bucket > 0 {
			at = bucket - 17
		}
		if list == nil {
			list, next = append(list, at), at
		}
		if at < next || at > 255 {
			return nil, fmt.Errorf("a histogram with bucket %d in the wrong place", bucket)
		}
		for ; next < at; next++ {
			list = append(list, 0)
		}
		list, next = append(list, count), at+1
	}
	return list, nil
}
