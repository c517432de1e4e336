package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// storeHolder is the process that has the store in dir open, 0 = not known. The
// kernel lists each lock with its process and file (proc(5), /proc/locks).
func storeHolder(dir string) int {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "LOCK"), &st); err != nil {
		return 0
	}
	list, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	return lockHolder(string(list), file)
}

// lockHolder finds the process of a lock on a file (MAJOR:MINOR:INODE) in a list
// of lines such as "1: FLOCK  ADVISORY  WRITE 1865 fe:00:10414378 0 EOF". A
// process that waits for a lock has an arrow before its kind.
func lockHolder(list, file string) int {
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[5] != file {
			continue
		}
		var pid int
		if _, err := fmt.Sscan(f[4], &pid); err == nil && pid > 0 { // not: in another container
			return pid
		}
	}
	return 0
}
