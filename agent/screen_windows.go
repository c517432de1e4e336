package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// screenOf asks the console for the size of its window.
func screenOf(f *os.File) screen {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info); err != nil {
		return screen{}
	}
	w := info.Window
	return screen{int(w.Right-w.Left) + 1, int(w.Bottom-w.Top) + 1}
}
