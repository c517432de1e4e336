package host

import (
	"os"

	"golang.org/x/sys/windows"
)

// ScreenOf asks the console for the size of its window.
func ScreenOf(f *os.File) Screen {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info); err != nil {
		return Screen{}
	}
	w := info.Window
	return Screen{int(w.Right-w.Left) + 1, int(w.Bottom-w.Top) + 1}
}
