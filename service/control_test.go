package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// manager is the Windows service manager as a test sees it.
type manager struct {
	controls chan control
	told     []string
	notes    []string
	reloads  int
}

func (m *manager) supervise(ctx context.Context, work Work) error {
	s := supervisor{work: work, reload: func() { m.reloads++ },
		report: func(p phase, n uint32) { m.told = append(m.told, fmt.Sprint(p, n)) },
		note:   func(_ level, text string) { m.notes = append(m.notes, text) }}
	return s.run(ctx, m.controls)
}

func TestRunningIsReportedBeforeStartUpIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		begin := time.Now()
		var running time.Duration
		s := supervisor{note: func(level, string) {}, report: func(phase, uint32) { running = time.Since(begin) },
			work: func(context.Context, func()) error { time.Sleep(time.Minute); return nil }}
		if err := s.run(t.Context(), m.controls); err != nil || running != 0 {
			t.Errorf("running was reported after %s, %v", running, err)
		}
	})
}

func TestStopIsOverWithinThePatience(t *testing.T) {
	for name, c := range map[string]struct {
		stopping time.Duration // what the work takes to end
		err      error
		took     time.Duration
		told     int
		last     string
	}{
		"orderly":         {time.Second / 2, nil, time.Second / 2, 2, "stopped"},
		"with an error":   {time.Second / 2, errors.New("boom"), time.Second / 2, 2, "stopped with an error: boom"},
		"work that hangs": {time.Hour, nil, StopPatience, 4, "did not stop within 3s and is ended; what was accepted is on disk"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &manager{controls: make(chan control)}
				go func() { time.Sleep(time.Minute); m.controls <- controlStop }()
				begin := time.Now()
				err := m.supervise(t.Context(), func(ctx context.Context, _ func()) error {
					<-ctx.Done()
					time.Sleep(c.stopping)
					return c.err
				})
				took := time.Since(begin) - time.Minute
				if err != nil {
					t.Errorf("a requested stop became a failure: %v", err)
				}
				if took != c.took || len(m.told) < c.told || m.notes[len(m.notes)-1] != c.last {
					t.Errorf("took %s, told %v, noted %v", took, m.told, m.notes)
				}
				time.Sleep(2 * time.Hour) // the hanging work's goroutine ends
			})
		})
	}
}

func TestFailureOfTheWorkIsAFailureOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		boom := errors.New("data folder is gone")
		err := m.supervise(t.Context(), func(context.Context, func()) error { return boom })
		if !errors.Is(err, boom) || !slices.Equal(m.notes, []string{"started", "failed: data folder is gone"}) {
			t.Errorf("got %v, noted %q", err, m.notes)
		}
	})
}

func TestParameterChangeReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		go func() { m.controls <- controlReload; m.controls <- controlReload; m.controls <- controlStop }()
		if err := m.supervise(t.Context(), untilStopped); err != nil || m.reloads != 2 {
			t.Errorf("%d reloads, %v", m.reloads, err)
		}
	})
}
