//go:build !linux

package main

// clockSynchronized: this system does not say whether its clock is kept.
func clockSynchronized() (synchronized, known bool) { return false, false }
