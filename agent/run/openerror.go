package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"roomcall/agent/host"
	"roomcall/buffer"
)

// OpenError says what to do about a store in dir that did not open. The store's
// own errors say what was tried and where.
func OpenError(dir string, err error) error {
	switch {
	case errors.Is(err, buffer.ErrLocked):
		return alreadyRunning(dir)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; give the user that runs roomcall the right to write there, or change [agent] data_dir", err)
	default:
		return err
	}
}

// alreadyRunning names the process that has the store, where the system tells.
func alreadyRunning(dir string) error {
	who := "another roomcall"
	if pid := host.LockHolder(filepath.Join(dir, "LOCK")); pid > 0 {
		who = fmt.Sprintf("process %d", pid)
	}
	return fmt.Errorf("open store %s: already running: %s holds it; stop that one, or give this one a data_dir of its own", dir, who)
}
