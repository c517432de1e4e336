package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	// controlTimeout bounds a start or stop; the service itself needs at most
	// StopPatience.
	controlTimeout = 30 * time.Second
	controlPoll    = 200 * time.Millisecond
)

// scm is the Manager of Windows.
type scm struct{ c Config }

func newManager(c Config) (Manager, error) { return &scm{c}, nil }

// open opens the service with the rights that are needed and no more, so that
// `status` works for everybody.
func (s *scm) open(access uint32) (*mgr.Service, error) {
	h, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, plain(err)
	}
	defer windows.CloseServiceHandle(h)
	name, err := windows.UTF16PtrFromString(s.c.Name)
	if err != nil {
		return nil, err
	}
	sh, err := windows.OpenService(h, name, access)
	if err != nil {
		return nil, plain(err)
	}
	return &mgr.Service{Name: s.c.Name, Handle: sh}, nil
}

// plain turns Windows' codes into the errors of this package.
func plain(err error) error {
	switch {
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return fmt.Errorf("%w: open the terminal with \"Run as administrator\" (%w)", ErrPrivileges, err)
	case errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST), errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE):
		return fmt.Errorf("%w (%w)", ErrNotInstalled, err)
	}
	return err
}

func (s *scm) Status(context.Context) (Status, error) {
	h, err := s.open(windows.SERVICE_QUERY_STATUS | windows.SERVICE_QUERY_CONFIG)
	if errors.Is(err, ErrNotInstalled) {
		return Status{State: NotInstalled}, nil
	}
	if err != nil {
		return Status{State: Unknown}, fmt.Errorf("ask Windows for %s: %w", s.c.Name, err)
	}
	defer h.Close()
	q, err := h.Query()
	if err != nil {
		return Status{State: Unknown}, fmt.Errorf("ask Windows for %s: %w", s.c.Name, err)
	}
	st := Status{State: scmState(q), PID: int(q.ProcessId), ExitCode: exitCode(q)}
	if d, err := definitionOf(h.Handle); err == nil {
		st.Enabled = d.start == mgr.StartAutomatic
	}
	if st.State == Failed && st.Enabled {
		st.Detail = "Windows starts it again after the delay of its recovery actions; see the Event Log, source " + s.c.Name
	}
	return st, nil
}

func scmState(q svc.Status) State {
	switch q.State {
	case svc.Running, svc.Paused, svc.PausePending, svc.ContinuePending:
		return Running
	case svc.StartPending:
		return Starting
	case svc.StopPending:
		return Stopping
	case svc.Stopped:
		if exitCode(q) != 0 {
			return Failed
		}
		return Stopped
	}
	return Unknown
}

// exitCode is that of the last process. A service that was never started has
// ERROR_SERVICE_NEVER_STARTED, which is no failure.
func exitCode(q svc.Status) int {
	switch windows.Errno(q.Win32ExitCode) {
	case windows.ERROR_SERVICE_SPECIFIC_ERROR:
		return int(q.ServiceSpecificExitCode)
	case windows.ERROR_SERVICE_NEVER_STARTED:
		return 0
	}
	return int(q.Win32ExitCode)
}

func (s *scm) Start(ctx context.Context) error {
	h, err := s.open(windows.SERVICE_QUERY_STATUS | windows.SERVICE_START)
	if err != nil {
		return fmt.Errorf("start service %s: %w", s.c.Name, err)
	}
	defer h.Close()
	if err := h.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
		return fmt.Errorf("start service %s: %w", s.c.Name, plain(err))
	}
	return s.wait(ctx, h, svc.Running, "start")
}

func (s *scm) Stop(ctx context.Context) error {
	h, err := s.open(windows.SERVICE_QUERY_STATUS | windows.SERVICE_STOP)
	if err != nil {
		return fmt.Errorf("stop service %s: %w", s.c.Name, err)
	}
	defer h.Close()
	if _, err := h.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop service %s: %w", s.c.Name, plain(err))
	}
	return s.wait(ctx, h, svc.Stopped, "stop")
}

func (s *scm) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// wait asks until the service is where it shall be. A service that stopped
// instead of starting has failed.
func (s *scm) wait(ctx context.Context, h *mgr.Service, want svc.State, verb string) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	tick := time.NewTicker(controlPoll)
	defer tick.Stop()
	for {
		q, err := h.Query()
		if err != nil {
			return fmt.Errorf("%s service %s: %w", verb, s.c.Name, plain(err))
		}
		if q.State == want {
			return nil
		}
		if q.State == svc.Stopped {
			return fmt.Errorf("%s service %s: it ended at once with exit code %d; the Event Log, source %s, says why", verb, s.c.Name, exitCode(q), s.c.Name)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s service %s: not done after %s: %w", verb, s.c.Name, controlTimeout, ctx.Err())
		case <-tick.C:
		}
	}
}
