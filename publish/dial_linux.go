package publish

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setUserTimeout lets the kernel end a connection whose data stays
// unacknowledged for 20 s (tcp(7), TCP_USER_TIMEOUT).
func setUserTimeout(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// A kernel without it still has our own ack deadline.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 20_000)
	})
}
