//go:build !linux

package host

import (
	"io"
)

// ClockSynchronized is not known here: the system does not tell.
func ClockSynchronized() (synchronized, known bool) { return false, false }

// LockHolder is not known here: the system does not tell.
func LockHolder(string) int { return 0 }

// writesToJournal is false here: only Linux has systemd.
func writesToJournal(io.Writer, string) bool { return false }
