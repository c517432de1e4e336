//go:build !linux

package publish

import "syscall"

// setSocketOptions has no counterpart here; the ack deadline does its work.
func setSocketOptions(_, _ string, _ syscall.RawConn) error { return nil }
