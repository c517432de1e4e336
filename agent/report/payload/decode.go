package payload

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"

	"roomcall/cgi"
)

// maxExact is the largest whole number that a JSON number holds exactly.
const maxExact = 1 << 53

// Decode reads one flat payload into p, a pointer to a payload struct of this
// package. Unknown keys are ignored, for a newer minor version may add some; a
// known key of the wrong JSON type is an error.
func Decode(line []byte, p any) error {
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("decode payload: %w", err)
	}
	v := reflect.ValueOf(p).Elem()
	_, err := fill(planOf(v.Type()).fields, v, m)
	return err
}

// fill sets the fields that m has and tells whether there was one.
func fill(fields []field, v reflect.Value, m map[string]any) (found bool, err error) {
	for i := range fields {
		f := &fields[i]
		fv := v.Field(f.index)
		switch f.kind {
		case embedded:
			if _, err = fill(f.sub[0], fv, m); err != nil {
				return found, err
			}
		case groups:
			if err = fillGroups(f.sub, fv, m); err != nil {
				return found, err
			}
		default:
			x, ok := m[f.key]
			if !ok {
				continue
			}
			found = true
			if err := set(f, fv, x); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

func fillGroups(sub [][]field, v reflect.Value, m map[string]any) error {
	for i := range sub {
		g := v.Index(i)
		active, err := fill(sub[i], g, m)
		if err != nil {
			return err
		}
		g.Field(0).SetBool(active)
	}
	return nil
}

func set(f *field, v reflect.Value, x any) error {
	if f.kind == text {
		s, ok := x.(string)
		if !ok {
			return fmt.Errorf("decode payload: key %s: %v is no text", f.key, x)
		}
		v.SetString(s)
		return nil
	}
	n, ok := x.(float64)
	if !ok {
		return fmt.Errorf("decode payload: key %s: %v is no number", f.key, x)
	}
	if (f.kind == integer || f.kind == unsigned) && math.Abs(n) > maxExact {
		return fmt.Errorf("decode payload: key %s: %v is out of range", f.key, x)
	}
	switch f.kind {
	case integer:
		v.SetInt(int64(n))
	case unsigned:
		v.SetUint(uint64(max(n, 0)))
	default:
		v.Set(reflect.ValueOf(cgi.Known(n)))
	}
	return nil
}
