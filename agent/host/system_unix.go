//go:build unix

package host

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// DiskFree is the number of bytes that this process may still write below dir.
func DiskFree(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// NotifyReload sends SIGHUP to ch until the returned function is called.
func NotifyReload(ch chan<- os.Signal) (stop func()) {
	signal.Notify(ch, syscall.SIGHUP)
	return func() { signal.Stop(ch) }
}

// ScreenOf asks the terminal for its size.
func ScreenOf(f *os.File) Screen {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return Screen{}
	}
	return Screen{int(size.Col), int(size.Row)}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

func followEscapes(*os.File) bool { return true }

// OwnAsFolder gives a file to the owner of its folder, when this process may: root
// writes for the user that the service runs as.
func OwnAsFolder(file string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("find the owner of the folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(file, int(st.Uid), int(st.Gid))
}

// uiLanguage is told by the environment alone.
func uiLanguage() string { return "" }
