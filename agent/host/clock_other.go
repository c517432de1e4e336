//go:build !linux

package host

// ClockSynchronized: this system does not say whether its clock is kept.
func ClockSynchronized() (synchronized, known bool) { return false, false }
