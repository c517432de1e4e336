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
	"log/slog"
	"time"
)

// StopPatience is the longest time between a stop request and the end of the
// process under Windows. At a shutdown Windows kills services after about 5 s.
const StopPatience = 3 * time.Second

// Options of Run. Only Name is required.
type Options struct {
	// Name of the service, "roomcall".
	Name string
	// Alive says whether the work moves: nil feeds the watchdog. An error names
	// what stands still. It must return at once. nil = always alive.
	Alive func() error
	// StatusLine is one line for `systemctl status`, asked at every beat.
	StatusLine func() string
	// Reload is called when the Windows service manager sends "parameters
	// changed"; under systemd a reload is SIGHUP, which the caller handles.
	Reload func()
	// AsService takes the Windows service manager for granted where the
	// detection does not see it, as under wine.
	AsService bool
	// Logger; nil = none.
	Logger *slog.Logger
}

// Work is what the service does. It calls ready once, when start-up is done,
// and returns soon after ctx ends: nil for an orderly end, an error for a
// failure from which the service manager shall recover.
type Work func(ctx context.Context, ready func()) error

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
