package report

import "time"

// Filter chooses records by device and time. The zero value chooses all.
type Filter struct {
	Device string    // "" = all devices
	Since  time.Time // records of this time or later; zero = no bound
	Until  time.Time // records before this time; zero = no bound
}

// Match reports whether a record of a device and time is chosen.
func (f Filter) Match(device string, at time.Time) bool {
	return (f.Device == "" || f.Device == device) &&
		(f.Since.IsZero() || !at.Before(f.Since)) &&
		(f.Until.IsZero() || at.Before(f.Until))
}
