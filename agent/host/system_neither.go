//go:build !linux && !windows

package host

import "time"

// BootID is not known here.
func BootID() string { return "" }

// uptime is not known here.
func uptime() time.Duration { return 0 }

// MachineID is not known here.
func MachineID() string { return "" }

// FileID is not known here.
func FileID(string) string { return "" }
