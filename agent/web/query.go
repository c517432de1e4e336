package web

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxQuery bounds a query string, in bytes.
const maxQuery = 512

const queryHint = "times are RFC 3339 (2026-01-31T12:00:00Z), an age such as 10m, or a record's ts_ms"

var deviceName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// parseQuery reads the allowed parameters of raw. An unknown or repeated
// parameter is an error, so that a typing error never widens an answer.
func parseQuery(raw string, now time.Time, allowed ...string) (Filter, error) {
	var f Filter
	if len(raw) > maxQuery {
		return f, fmt.Errorf("the query is longer than %d bytes", maxQuery)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return f, errors.New("the query cannot be read")
	}
	for key, v := range values {
		if !slices.Contains(allowed, key) {
			return f, fmt.Errorf("unknown parameter %q; allowed: %s", key, strings.Join(allowed, ", "))
		}
		if len(v) != 1 {
			return f, fmt.Errorf("parameter %s is given %d times", key, len(v))
		}
		if err := f.set(key, v[0], now); err != nil {
			return f, fmt.Errorf("parameter %s: %w", key, err)
		}
	}
	return f, nil
}

func (f *Filter) set(key, v string, now time.Time) (err error) {
	if v == "" {
		return nil
	}
	switch key {
	case "device":
		if !deviceName.MatchString(v) {
			return errors.New("a device name has 1 to 63 of a-z, 0-9 and -")
		}
		f.Device = v
	case "since":
		f.Since, err = ParseTime(v, now)
	case "until":
		f.Until, err = ParseTime(v, now)
	case "delivered":
		if v != "0" && v != "1" {
			return errors.New("0 or 1 is allowed")
		}
		f.Delivered = v == "1"
	}
	return err
}

// msDigits is how long a Unix time in milliseconds is, from 2001 to 2286. A
// number of another length is refused: it could be seconds.
const msDigits = 13

// ParseTime reads an RFC 3339 time, an age before now such as "90s", or Unix
// milliseconds as in a record's ts_ms.
func ParseTime(v string, now time.Time) (time.Time, error) {
	if ms, err := strconv.ParseUint(v, 10, 63); err == nil && len(v) == msDigits {
		return time.UnixMilli(int64(ms)).UTC(), nil
	}
	if age, err := time.ParseDuration(v); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	// A plus sign in a query that was not escaped arrives as a space.
	t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(v, " ", "+"))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time", v)
	}
	return t, nil
}
