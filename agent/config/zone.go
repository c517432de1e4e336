package config

import (
	"fmt"
	"time"
	_ "time/tzdata" // names of time zones on systems without them, Windows among them
)

// ParseZone reads a time zone: "UTC", a fixed offset such as "+08:00", or a name of
// the IANA database such as "Asia/Shanghai".
func ParseZone(text string) (*time.Location, error) {
	if at, err := time.Parse("-07:00", text); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(text, offset), nil
	}
	if text == "" || text == "Local" {
		return nil, fmt.Errorf("unknown time zone %q", text)
	}
	zone, err := time.LoadLocation(text)
	if err != nil {
		return nil, fmt.Errorf("unknown time zone %q", text)
	}
	return zone, nil
}

func isZone(text string) bool {
	_, err := ParseZone(text)
	return err == nil
}
