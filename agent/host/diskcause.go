package host

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
)

// What Windows says for EROFS, EIO and ENOSPC.
const (
	windowsWriteProtect = syscall.Errno(19)
	windowsDiskError    = syscall.Errno(1117)
	windowsDiskFull     = syscall.Errno(112)
)

// DiskCause tells why a disk accepts nothing: "full", "read_only", "io_error",
// "not_writable", "missing" (the folder is gone), or "failed" for all else. The store's library turns some errors
// into text, so the text counts too.
func DiskCause(err error) string {
	is := func(errno, windows syscall.Errno) bool {
		if runtime.GOOS == "windows" {
			errno = windows
		}
		return errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error())
	}
	switch {
	case is(syscall.ENOSPC, windowsDiskFull), is(syscall.EDQUOT, windowsDiskFull):
		return "full"
	case is(syscall.EROFS, windowsWriteProtect):
		return "read_only"
	case is(syscall.EIO, windowsDiskError):
		return "io_error"
	case errors.Is(err, fs.ErrPermission):
		return "not_writable"
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	}
	return "failed"
}
