//go:build !linux

package publish

import "syscall"

// setUserTimeout has no counterpart here; the ack deadline does its work.
func setUserTimeout(_, _ string, _ syscall.RawConn) error { return nil }
