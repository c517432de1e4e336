//go:build !windows

package buffer

import (
	"errors"
	"os"
	"syscall"
)

var fullErrnos = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}

// lockFile locks an open file, or fails at once with ErrLocked.
func lockFile(f *os.File, exclusive bool) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return ErrLocked
		}
		return err
	}
}

// passingErrnos are errors that may be gone in a moment.
var passingErrnos = []syscall.Errno{syscall.EIO, syscall.EINTR, syscall.EAGAIN, syscall.EBUSY, syscall.EMFILE,
	syscall.ENFILE, syscall.ENOMEM, syscall.ENXIO, syscall.ENODEV, syscall.ETIMEDOUT, syscall.ESTALE}
