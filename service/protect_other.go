//go:build !windows

package service

// Protect keeps others out of the folder of a config file on Windows, where the mode of
// a file does not. Elsewhere it does nothing.
func Protect(name, configFile string) error { return nil }

// Elevated reports, on Windows, whether this process has an administrator's rights and
// uses them. Elsewhere it is true.
func Elevated() bool { return true }
