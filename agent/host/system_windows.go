package host

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// registryValue reads a value below HKEY_LOCAL_MACHINE; "" = it cannot be read.
func registryValue(path, name string, get func(registry.Key, string) (string, error)) string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return ""
	}
	defer k.Close()
	v, err := get(k, name)
	if err != nil {
		return ""
	}
	return v
}

// MachineID is the id of this installation; "" = not known.
func MachineID() string {
	return registryValue(`SOFTWARE\Microsoft\Cryptography`, "MachineGuid", func(k registry.Key, name string) (string, error) {
		v, _, err := k.GetStringValue(name)
		return v, err
	})
}

// FileID is what a copy of a file does not share with it: its number in the file system
// and when it was made there; "" = not known.
func FileID(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var info windows.ByHandleFileInformation
	if windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info) != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d", uint64(info.FileIndexHigh)<<32|uint64(info.FileIndexLow), info.CreationTime.Nanoseconds())
}

// BootID is the number of this boot, which Windows counts, and the id of the
// installation, because every machine counts from 1; "" = not known.
func BootID() string {
	machine := MachineID()
	boot := registryValue(`SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`, "BootId",
		func(k registry.Key, name string) (string, error) {
			v, _, err := k.GetIntegerValue(name)
			return strconv.FormatUint(v, 10), err
		})
	if machine == "" || boot == "" {
		return ""
	}
	return boot + "/" + machine
}

// uptime is the tick count, which counts sleep and hibernation too.
func uptime() time.Duration { return windows.DurationSinceBoot() }

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

func isTerminal(f *os.File) bool {
	var mode uint32
	return windows.GetConsoleMode(windows.Handle(f.Fd()), &mode) == nil
}

func followEscapes(f *os.File) bool {
	var mode uint32
	console := windows.Handle(f.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return mode&windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING != 0 ||
		windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// OwnAsFolder does nothing: on Windows a file has the rights of its folder.
func OwnAsFolder(string) error { return nil }

// uiLanguage is the language of the user interface, such as "zh-CN"; "" = not known.
func uiLanguage() string {
	list, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0]
}
