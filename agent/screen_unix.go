//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// screenOf asks the terminal for its size.
func screenOf(f *os.File) screen {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return screen{}
	}
	return screen{int(size.Col), int(size.Row)}
}
