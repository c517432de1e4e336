//go:build !windows

package config

// systemProgramData: only Windows has such a folder.
func systemProgramData() string { return "" }
