package service

import (
	"context"
	"fmt"
	"time"
)

// control is a request of the Windows service manager.
type control int

const (
	controlStop control = iota // stop or shutdown
	controlReload
)

// phase is what the Windows service manager is told.
type phase int

const (
	phaseRunning phase = iota
	phaseStopping
)

// supervisor runs the work under the rules of the Windows service manager:
// running is reported at once, for a slow start-up reads as a failed one there,
// and a stop is over within StopPatience.
type supervisor struct {
	work   Work
	reload func()
	// report tells the service manager the phase. It is called again every
	// second while stopping, with a rising count, as a sign of life.
	report func(p phase, count uint32)
	// note writes to the Event Log.
	note func(level level, text string)
}

type level int

const (
	levelInfo level = iota
	levelWarning
	levelError
)

// run returns the error that the work ended with by itself. After a stop
// request it returns nil in any case: a failed stop must not start the recovery.
func (s *supervisor) run(ctx context.Context, controls <-chan control) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.work(ctx, func() {}) }()
	s.report(phaseRunning, 0)
	s.note(levelInfo, "started")
	for {
		select {
		case err := <-done:
			return s.ended(err)
		case <-ctx.Done():
			s.stop(done)
			return nil
		case c := <-controls:
			if c == controlStop {
				cancel()
				continue
			}
			if s.reload != nil {
				s.reload()
			}
		}
	}
}

func (s *supervisor) ended(err error) error {
	if err != nil {
		s.note(levelError, "failed: "+err.Error())
		return err
	}
	s.note(levelInfo, "ended")
	return nil
}

// stop waits for the work, and not longer than StopPatience.
func (s *supervisor) stop(done <-chan error) {
	limit := time.NewTimer(StopPatience)
	defer limit.Stop()
	sign := time.NewTicker(time.Second)
	defer sign.Stop()
	for count := uint32(1); ; count++ {
		s.report(phaseStopping, count)
		select {
		case err := <-done:
			if err != nil {
				s.note(levelWarning, "stopped with an error: "+err.Error())
				return
			}
			s.note(levelInfo, "stopped")
			return
		case <-limit.C:
			s.note(levelWarning, fmt.Sprintf("did not stop within %s and is ended; what was accepted is on disk", StopPatience))
			return
		case <-sign.C:
		}
	}
}
