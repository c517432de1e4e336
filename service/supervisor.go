package service

import (
	"context"
	"fmt"
	"time"
)

// supervisor runs the work under the rules of the Windows service manager:
// running is reported at once, because a slow start-up reads as a failed one
// there, and a stop is over within StopPatience.
type supervisor struct {
	work   Work
	reload func() // nil = nothing to reload
	// running and stopping tell the service manager. stopping is called every
	// second until the end, with a rising count as a sign of life.
	running  func()
	stopping func(count uint32)
	log      eventLog
}

// control is a request of the Windows service manager.
type control int

const (
	controlStop control = iota // stop or shutdown
	controlReload
)

// eventLog is the part of kardianos' logger that is used.
type eventLog interface {
	Info(v ...any) error
	Warning(v ...any) error
	Error(v ...any) error
}

// run returns the error that the work ended with by itself. After a stop
// request it returns nil in any case: a failed stop must not start the recovery.
func (s *supervisor) run(ctx context.Context, controls <-chan control) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.work(ctx, func() {}) }()
	s.running()
	s.log.Info("started")
	for ctx.Err() == nil {
		select {
		case err := <-done:
			if err != nil {
				s.log.Error("failed: " + err.Error())
			} else {
				s.log.Info("ended")
			}
			return err
		case <-ctx.Done():
		case c := <-controls:
			if c == controlStop {
				cancel()
			} else if s.reload != nil {
				s.reload()
			}
		}
	}
	limit := time.NewTimer(StopPatience)
	defer limit.Stop()
	sign := time.NewTicker(time.Second)
	defer sign.Stop()
	for count := uint32(1); ; count++ {
		s.stopping(count)
		select {
		case err := <-done:
			if err != nil {
				s.log.Warning("stopped with an error: " + err.Error())
			} else {
				s.log.Info("stopped")
			}
			return nil
		case <-limit.C:
			s.log.Warning(fmt.Sprintf("did not stop within %s and was ended; accepted records are on disk", StopPatience))
			return nil
		case <-sign.C:
		}
	}
}
