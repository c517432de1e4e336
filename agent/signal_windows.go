package main

import "os"

// notifyReload does nothing: Windows has no SIGHUP, the service manager's
// "parameters changed" takes its place.
func notifyReload(chan<- os.Signal) (stop func()) { return func() {} }
