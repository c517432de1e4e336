package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// manager is the Windows service manager as a test sees it.
type manager struct {
	controls chan control
	told     []string
	notes    []string
	reloads  int
}

func (m *manager) supervise(ctx context.Context, work Work) error {
	s := supervisor{work: work, reload: func() { m.reloads++ }, log: m,
		running:  func() { m.told = append(m.told, "running") },
		stopping: func(count uint32) { m.told = append(m.told, fmt.Sprint("stopping ", count)) }}
	return s.run(ctx, m.controls)
}

// The Event Log.
func (m *manager) Info(v ...any) error    { return m.note("info", v) }
func (m *manager) Warning(v ...any) error { return m.note("warning", v) }
func (m *manager) Error(v ...any) error   { return m.note("error", v) }

func (m *manager) note(level string, v []any) error {
	m.notes = append(m.notes, level+": "+fmt.Sprint(v...))
	return nil
}

func TestRunningIsReportedBeforeStartUpIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		begin := time.Now()
		running := time.Duration(-1)
		s := supervisor{log: m, running: func() { running = time.Since(begin) },
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
		told     []string
		last     string
	}{
		"orderly":         {time.Second / 2, nil, time.Second / 2, []string{"running", "stopping 1"}, "info: stopped"},
		"with an error":   {time.Second / 2, errors.New("boom"), time.Second / 2, []string{"running", "stopping 1"}, "warning: stopped with an error: boom"},
		"work that hangs": {time.Hour, nil, StopPatience, []string{"running", "stopping 1", "stopping 2", "stopping 3"}, "warning: did not stop within 3s and was ended; accepted records are on disk"},
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
				if took != c.took || !slices.Equal(m.told[:min(len(m.told), len(c.told))], c.told) || m.notes[len(m.notes)-1] != c.last {
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
		if !errors.Is(err, boom) || !slices.Equal(m.notes, []string{"info: started", "error: failed: data folder is gone"}) {
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

func TestReloadIsOptional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		go func() { m.controls <- controlReload; m.controls <- controlStop }()
		s := supervisor{work: untilStopped, log: m, running: func() {}, stopping: func(uint32) {}}
		if err := s.run(t.Context(), m.controls); err != nil {
			t.Error(err)
		}
	})
}

func TestEndOfTheContextIsAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{controls: make(chan control)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := m.supervise(ctx, func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			time.Sleep(time.Second / 2)
			return errors.New("boom")
		})
		if err != nil || !slices.Equal(m.told, []string{"running", "stopping 1"}) {
			t.Errorf("got %v, told %v", err, m.told)
		}
	})
}
