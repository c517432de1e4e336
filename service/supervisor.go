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
	alarms   func() []Alarm // nil = none
}

// control is a request of the Windows service manager.
type control int

const (
	controlStop control = iota // stop or shutdown
	controlReload
)

// run returns the error that the work ended with by itself. After a stop
// request it returns nil in any case: a failed stop must not start the recovery.
func (s *supervisor) run(ctx context.Context, controls <-chan control) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.work(ctx, func() {}) }()
	s.running()
	s.log.write(eventStarted, levelInfo, "started")
	beat := time.NewTicker(alarmBeat)
	defer beat.Stop()
	wrong := alarms{log: s.log}
	for ctx.Err() == nil {
		select {
		case err := <-done:
			if err != nil {
				s.log.write(eventFailed, levelError, "failed: "+err.Error())
			} else {
				s.log.write(eventEnded, levelInfo, "ended")
			}
			return err
		case <-ctx.Done():
		case <-beat.C:
			if s.alarms != nil {
				wrong.look(s.alarms())
			}
		case c := <-controls:
			if c == controlStop {
				cancel()
			} else if s.reload != nil {
				s.log.write(eventReload, levelInfo, "reads its config again")
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
				s.log.write(eventStoppedIll, levelWarning, "stopped with an error: "+err.Error())
			} else {
				s.log.write(eventStopped, levelInfo, "stopped")
			}
			return nil
		case <-limit.C:
			s.log.write(eventStoppedLate, levelWarning, fmt.Sprintf("did not stop within %s and was ended; accepted records are on disk", StopPatience))
			return nil
		case <-sign.C:
		}
	}
}
