package main

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Patience of the watchdog with each loop, far beyond what a slow disk, endpoint
// or broker makes them wait.
const (
	recorderPatience = 45 * time.Second
	pollPatience     = 2 * time.Minute
	drainPatience    = 4 * time.Minute
)

// beat is the last sign of life of a loop.
type beat struct{ at atomic.Int64 }

func (b *beat) now() { b.at.Store(time.Now().UnixNano()) }

// silent tells how long the loop has given no sign; 0 before its first.
func (b *beat) silent() time.Duration {
	at := b.at.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at))
}

// alive tells whether the loops move; an error names the one that stands still.
// It returns at once.
func (a *agent) alive() error {
	if s := a.recorder.beat.silent(); s > recorderPatience {
		return fmt.Errorf("the recorder gave no sign for %s", s.Round(time.Second))
	}
	if s := a.drainer.beat.silent(); s > drainPatience {
		return fmt.Errorf("the drain gave no sign for %s", s.Round(time.Second))
	}
	for _, p := range a.pollers {
		due := p.stats.nextPoll()
		if late := time.Since(due); !due.IsZero() && late > max(p.timeout, p.inCall, p.idle)+pollPatience {
			return fmt.Errorf("the poll of %s is %s late", p.device, late.Round(time.Second))
		}
	}
	return nil
}

// statusLine is one line for the service manager.
func (a *agent) statusLine() string {
	well := 0
	for _, p := range a.pollers {
		if p.stats.snapshot(nil).Err == "" {
			well++
		}
	}
	return fmt.Sprintf("%d of %d endpoints answer, broker %s, %d records wait",
		well, len(a.pollers), a.client.Status().State, a.queue.Info().Waiting)
}
