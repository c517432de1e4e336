package run

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Patience of the watchdog with each loop, far beyond what a slow disk, endpoint
// or broker makes them wait.
const (
	recorderPatience = 45 * time.Second
	pollPatience     = 2 * time.Minute
	drainPatience    = 4 * time.Minute
)

// Alive tells whether the loops move; an error names the one that stands still, and
// leaves a mark for the next start. It returns at once.
func (a *Agent) Alive() error {
	err := a.standsStill()
	a.markTrip(err)
	return err
}

func (a *Agent) standsStill() error {
	if s := a.recorder.Heartbeat.Silent(); s > recorderPatience {
		return fmt.Errorf("the recorder gave no sign for %s", s.Round(time.Second))
	}
	if s := a.drainer.Heartbeat.Silent(); s > drainPatience {
		return fmt.Errorf("the drain gave no sign for %s", s.Round(time.Second))
	}
	for _, p := range a.pollers {
		if late := p.Overdue(); late > pollPatience {
			return fmt.Errorf("the poll of %s is %s late", p.Device, late.Round(time.Second))
		}
	}
	return nil
}

// StatusLine is one line for the service manager.
func (a *Agent) StatusLine() string {
	well := 0
	for _, p := range a.pollers {
		if p.Stats().Err == "" {
			well++
		}
	}
	return fmt.Sprintf("%d of %d endpoints answer, broker %s, %d records wait",
		well, len(a.pollers), a.client.Status().State, a.queue.Info().Waiting)
}

// markTrip leaves a mark while the loops stand still, and takes it away when
// they move again. Without the mark a trip looks like a crash.
func (a *Agent) markTrip(err error) {
	mark := filepath.Join(a.cfg.Agent.DataDir, watchdogFile)
	switch {
	case err != nil && !a.tripped.Swap(true):
		_ = os.WriteFile(mark, []byte(err.Error()+"\n"), 0o600)
	case err == nil && a.tripped.Swap(false):
		_ = os.Remove(mark)
	}
}
