//go:build !linux && !windows

package web

// thisProcess is not known on systems that are only for development.
func thisProcess() (p process) { return p }
