//go:build !windows

package service

import (
	"context"
	"os"

	"github.com/coreos/go-systemd/v22/daemon"
)

// run speaks sd_notify when systemd started the process, and does only the work
// otherwise.
func run(ctx context.Context, o Options, work Work) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return work(ctx, func() {})
	}
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		o.Logger.Warn("systemd's watchdog is not fed: it gave no readable period", "error", err)
	}
	n := &notifier{o: o, watchdog: period, send: func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}}
	return n.run(ctx, work)
}
