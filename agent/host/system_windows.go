package host

import (
	"os"

	"golang.org/x/sys/windows"
)

// DiskFree is the number of bytes that this process may still write below dir.
func DiskFree(dir string) (int64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(path, &free, nil, nil)
	return int64(free), err
}

// NotifyReload does nothing: Windows has no SIGHUP, the service manager's
// "parameters changed" takes its place.
func NotifyReload(chan<- os.Signal) (stop func()) { return func() {} }

// ScreenOf asks the console for the size of its window.
func ScreenOf(f *os.File) Screen {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info); err != nil {
		return Screen{}
	}
	w := info.Window
	return Screen{int(w.Right-w.Left) + 1, int(w.Bottom-w.Top) + 1}
}
