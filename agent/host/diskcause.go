package host

import (
	"errors"
	"io/fs"
	"runtime"
	"syscall"
)

// What Windows says for EROFS, EIO and ENOSPC.
const (
	windowsWriteProtect = syscall.Errno(19)
	windowsDiskError    = syscall.Errno(1117)
	windowsDiskFull     = syscall.Errno(112)
)

// DiskCause tells why a disk accepts nothing: "full", "read_only", "io_error",
// "not_writable", or "failed" for all else.
func DiskCause(err error) string {
	is := func(errno, windows syscall.Errno) bool {
		return errors.Is(err, errno) || runtime.GOOS == "windows" && errors.Is(err, windows)
	}
	switch {
	case is(syscall.ENOSPC, windowsDiskFull), errors.Is(err, syscall.EDQUOT):
		return "full"
	case is(syscall.EROFS, windowsWriteProtect):
		return "read_only"
	case is(syscall.EIO, windowsDiskError):
		return "io_error"
	case errors.Is(err, fs.ErrPermission):
		return "not_writable"
	}
	return "failed"
}
