//go:build unix

package host

import (
	"os"
	"os/signal"
	"syscall"
)

// NotifyReload sends SIGHUP to ch until the returned function is called.
func NotifyReload(ch chan<- os.Signal) (stop func()) {
	signal.Notify(ch, syscall.SIGHUP)
	return func() { signal.Stop(ch) }
}
