package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// recovery is three restarts that wait longer each time, the last one repeated;
// the count starts anew after a day without a failure.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: 2 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 10 * time.Second},
	{Type: mgr.ServiceRestart, Delay: time.Minute},
}

const (
	recoveryReset = 24 * 60 * 60 // seconds
	// controlTimeout bounds a start or stop; the service itself needs at most
	// StopPatience.
	controlTimeout = 30 * time.Second
	controlPoll    = 200 * time.Millisecond
)

// scm is the Manager of Windows. kardianos/service creates and deletes the
// service together with its source in the Event Log. Its start and stop know no
// deadline and its install no recovery from an error exit, so the rest is done
// with golang.org/x/sys.
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
		return Status{State: Unknown}, fmt.Errorf("ask Windows about %s: %w", s.c.Name, err)
	}
	defer h.Close()
	q, err := h.Query()
	if err != nil {
		return Status{State: Unknown}, fmt.Errorf("ask Windows about %s: %w", s.c.Name, err)
	}
	st := Status{State: scmState(q), PID: int(q.ProcessId), ExitCode: exitCode(q)}
	if d, err := h.Config(); err == nil {
		st.Enabled = d.StartType == mgr.StartAutomatic
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

// wait asks until the service is in the wanted state. One that stopped
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
			return fmt.Errorf("%s service %s: not finished after %s: %w", verb, s.c.Name, controlTimeout, ctx.Err())
		case <-tick.C:
		}
	}
}

// library is the service as kardianos/service knows it.
func (s *scm) library() (service.Service, error) {
	return service.New(nil, &service.Config{
		Name: s.c.Name, DisplayName: s.c.DisplayName, Description: s.c.Description,
		Executable: s.c.Binary, Arguments: s.c.Args,
		UserName: s.account(),
		Option:   service.KeyValue{service.StartType: service.ServiceStartAutomatic},
	})
}

// account is a virtual one: rights of its own, no password, nothing to manage.
func (s *scm) account() string { return `NT SERVICE\` + s.c.Name }

func (s *scm) Install(ctx context.Context) error {
	if err := s.c.validate(); err != nil {
		return err
	}
	for what, file := range map[string]string{"program": s.c.Binary, "config": s.c.ConfigFile} {
		if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() {
			return fmt.Errorf("install service: %s %s is not a file", what, file)
		}
	}
	before, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if before.State == NotInstalled {
		return s.create()
	}
	return s.upgrade(ctx, before)
}

// create makes the service. If a step fails, it is deleted again.
func (s *scm) create() error {
	lib, err := s.library()
	if err != nil {
		return fmt.Errorf("install service: %w", err)
	}
	if err := lib.Install(); err != nil {
		return fmt.Errorf("install service: %w", plain(err))
	}
	h, err := s.open(windows.SERVICE_ALL_ACCESS)
	if err == nil {
		defer h.Close()
		err = errors.Join(s.configure(h), s.protect())
	}
	if err != nil {
		return fmt.Errorf("install service (undone): %w", errors.Join(err, lib.Uninstall()))
	}
	return nil
}

// upgrade replaces the definition of an installed service. A service that ran
// is stopped before and started again after, also when the upgrade failed.
func (s *scm) upgrade(ctx context.Context, before Status) (err error) {
	h, err := s.open(windows.SERVICE_ALL_ACCESS)
	if err != nil {
		return fmt.Errorf("upgrade service: %w", err)
	}
	defer h.Close()
	old, err := h.Config()
	if err != nil {
		return fmt.Errorf("upgrade service: %w", err)
	}
	if before.State == Running || before.State == Starting {
		if err := s.Stop(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Start(ctx)) }()
	}
	if err := errors.Join(s.configure(h), s.protect()); err != nil {
		return fmt.Errorf("upgrade service (undone): %w", errors.Join(err, h.UpdateConfig(old)))
	}
	return nil
}

// configure sets what an upgrade may have changed and what the library does not
// know: the identity that the folders' access lists name, the delayed start, and
// recovery also after an error exit.
func (s *scm) configure(h *mgr.Service) error {
	d, err := h.Config()
	if err != nil {
		return fmt.Errorf("read service config: %w", err)
	}
	d.BinaryPathName = windows.ComposeCommandLine(append([]string{s.c.Binary}, s.c.Args...))
	d.StartType, d.DelayedAutoStart = mgr.StartAutomatic, true
	d.ServiceStartName, d.SidType = s.account(), windows.SERVICE_SID_TYPE_UNRESTRICTED
	d.DisplayName, d.Description = s.c.DisplayName, s.c.Description
	if err := h.UpdateConfig(d); err != nil {
		return fmt.Errorf("set service config: %w", err)
	}
	if err := h.SetRecoveryActions(recovery, recoveryReset); err != nil {
		return fmt.Errorf("set recovery actions: %w", err)
	}
	if err := h.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		return fmt.Errorf("set recovery after error exits: %w", err)
	}
	return nil
}

// protect lets the service read its config and write its data and log, and keeps others
// out. A config folder of the service's own, with the secrets in it, is
// protected as a whole; of any other folder only the config file.
func (s *scm) protect() error {
	config := filepath.Dir(s.c.ConfigFile)
	if !strings.EqualFold(filepath.Base(config), s.c.Name) {
		config = s.c.ConfigFile
	}
	if err := setAccess(config, folderAccess(s.c.Name, accessRead)); err != nil {
		return err
	}
	writable := []string{s.c.DataDir}
	if home := filepath.Dir(s.c.DataDir); strings.EqualFold(filepath.Base(home), s.c.Name) {
		writable = append(writable, filepath.Join(home, "logs")) // in a folder that the service only reads
	}
	for _, dir := range writable {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create folder of the service: %w", err)
		}
		if err := setAccess(dir, folderAccess(s.c.Name, accessModify)); err != nil {
			return err
		}
	}
	return nil
}

func setAccess(path, sddl string) error {
	var dacl *windows.ACL
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err == nil {
		dacl, _, err = sd.DACL()
	}
	if err == nil {
		err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
			windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	}
	if err != nil {
		return fmt.Errorf("set access of %s: %w", path, err)
	}
	return nil
}

func (s *scm) Uninstall(ctx context.Context) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if st.State == NotInstalled {
		return fmt.Errorf("uninstall service %s: %w", s.c.Name, ErrNotInstalled)
	}
	if st.PID != 0 {
		if err := s.Stop(ctx); err != nil {
			return err
		}
	}
	lib, err := s.library()
	if err != nil {
		return fmt.Errorf("uninstall service: %w", err)
	}
	if err := lib.Uninstall(); err != nil {
		return fmt.Errorf("uninstall service: %w", plain(err))
	}
	return nil
}
