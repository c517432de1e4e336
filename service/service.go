// Package service runs the agent under systemd and the Windows service manager
// and installs it there.
//
// Promise: the service manager is told the truth. Ready means that start-up is
// done, the watchdog is fed only while the work really moves, a stop is over
// within StopPatience, and a failure is seen as a failure, so that recovery
// acts. An install that fails leaves things as they were.
package service

import (
	"context"
	"fmt"
	"log/slog"
)

// Run does the work under whatever started this process: systemd (readiness,
// status line, watchdog, stopping), the Windows service manager (control codes,
// Event Log) or a terminal, where it only calls work. It returns what work
// returned. Signals are the caller's: it ends ctx.
func Run(ctx context.Context, o Options, work Work) error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Alive == nil {
		o.Alive = func() error { return nil }
	}
	return run(ctx, o, work)
}

// NewManager returns the service manager of this system, or ErrNoManager. To
// control a service, Config.Name is enough; Install needs the rest.
func NewManager(c Config) (Manager, error) {
	if !serviceName.MatchString(c.Name) {
		return nil, fmt.Errorf("service name %q: 1 to 31 of a-z, 0-9 and -, starting with a letter", c.Name)
	}
	return newManager(c)
}
