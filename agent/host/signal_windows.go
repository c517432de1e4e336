package host

import "os"

// NotifyReload does nothing: Windows has no SIGHUP, the service manager's
// "parameters changed" takes its place.
func NotifyReload(chan<- os.Signal) (stop func()) { return func() {} }
