package host

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// BootID is the system's id of this boot; "" = not known.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// MachineID is the id of this installation (machine-id(5)); "" = not known. Where
// /etc cannot be written, systemd makes another one at each boot, in memory.
func MachineID() string {
	const file = "/etc/machine-id"
	b, err := os.ReadFile(file)
	if err != nil || slices.Contains(inMemory, fileSystem(file)) {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// FileID is what a copy of a file does not share with it: its number in the file system
// and, where the file system keeps it, when it was made there; "" = not known.
func FileID(path string) string {
	if slices.Contains(numbersAnew, fileSystem(path)) {
		return ""
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return ""
	}
	id := strconv.FormatUint(st.Ino, 10)
	if st.Mask&unix.STATX_BTIME != 0 {
		id += fmt.Sprintf(".%d.%d", st.Btime.Sec, st.Btime.Nsec)
	}
	return id
}

// Kinds of file systems, see statfs(2).
var (
	inMemory = []int64{unix.TMPFS_MAGIC, unix.RAMFS_MAGIC}
	// numbersAnew may give a file another number after each mount.
	numbersAnew = []int64{unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC,
		unix.CIFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.V9FS_MAGIC}
)

// fileSystem is the kind of the file system that holds a file; 0 = not known.
func fileSystem(path string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return 0
	}
	return int64(uint32(st.Type))
}

// uptime is CLOCK_BOOTTIME; 0 = not known.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// ClockSynchronized asks the kernel whether a time service keeps the clock right;
// known is false when the kernel does not tell.
func ClockSynchronized() (synchronized, known bool) {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return false, false
	}
	return state != unix.TIME_ERROR, true
}

// LockHolder is the process that holds the lock on a file, 0 = not known. The
// kernel lists each lock with its process and file (proc(5), /proc/locks).
func LockHolder(path string) int {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0
	}
	list, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	return holderIn(string(list), file)
}

// holderIn finds the process that holds a lock on a file (MAJOR:MINOR:INODE) in a list
// of lines such as "1: FLOCK  ADVISORY  WRITE 1865 fe:00:10414378 0 EOF". A
// process that waits for a lock has an arrow before its kind.
func holderIn(list, file string) int {
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

// writesToJournal reports whether w is the stream that JOURNAL_STREAM names as
// "device:inode" (systemd.exec(5)). A process inherits the variable also when
// its errors go elsewhere.
func writesToJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
