package main

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// segments asks the kernel how many TCP segments a connection has sent and received,
// and how many bytes they carried; see tcp(7), TCP_INFO.
func segments(c net.Conn) (packets, bytes int64) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, 0
	}
	_ = raw.Control(func(fd uintptr) { // a closed one counts nothing
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			packets = int64(info.Segs_out) + int64(info.Segs_in)
			bytes = int64(info.Bytes_acked) + int64(info.Bytes_received)
		}
	})
	return packets, bytes
}
