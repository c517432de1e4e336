package publish

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setSocketOptions lets the kernel end a connection whose data stays
// unacknowledged for 20 s (tcp(7), TCP_USER_TIMEOUT), and take no more than
// 32 KiB that it cannot send yet: else a megabyte would count as written while
// it waits in the kernel for a slow link, and the ack deadline would be unfair.
func setSocketOptions(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// A kernel without them still has our own deadlines.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 20_000)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 32<<10)
	})
}
