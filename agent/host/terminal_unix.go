//go:build unix

package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// ScreenOf asks the terminal for its size.
func ScreenOf(f *os.File) Screen {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return Screen{}
	}
	return Screen{int(size.Col), int(size.Row)}
}
