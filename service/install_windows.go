package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"
)

// Recovery: three restarts that wait longer each time, the last one repeated,
// and a count that starts anew after a day without a failure.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: 2 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 10 * time.Second},
	{Type: mgr.ServiceRestart, Delay: time.Minute},
}

const recoveryReset = 24 * 60 * 60 // seconds

// library is the service as kardianos/service knows it. It creates and deletes
// it, with the source in the Event Log; the rest is set through x/sys.
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
			return fmt.Errorf("install service: %s %s is no file", what, file)
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
// is stopped for it and started again, also when the upgrade failed.
func (s *scm) upgrade(ctx context.Context, before Status) (err error) {
	h, err := s.open(windows.SERVICE_ALL_ACCESS)
	if err != nil {
		return fmt.Errorf("upgrade service: %w", err)
	}
	defer h.Close()
	old, err := definitionOf(h.Handle)
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
		return fmt.Errorf("upgrade service (undone): %w", errors.Join(err, old.set(h.Handle)))
	}
	return nil
}

// configure sets everything that the library does not, or not on a service that
// is there already: the identity that the folders' access lists name, the
// delayed start, and recovery also after an error exit.
func (s *scm) configure(h *mgr.Service) error {
	if err := s.definition().set(h.Handle); err != nil {
		return fmt.Errorf("set service config: %w", err)
	}
	if err := describe(h.Handle, s.c.Description); err != nil {
		return fmt.Errorf("set service description: %w", err)
	}
	delayed := windows.SERVICE_DELAYED_AUTO_START_INFO{IsDelayedAutoStartUp: 1}
	if err := known(windows.ChangeServiceConfig2(h.Handle, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (*byte)(unsafe.Pointer(&delayed)))); err != nil {
		return fmt.Errorf("set delayed start: %w", err)
	}
	sid := uint32(windows.SERVICE_SID_TYPE_UNRESTRICTED)
	if err := known(windows.ChangeServiceConfig2(h.Handle, windows.SERVICE_CONFIG_SERVICE_SID_INFO, (*byte)(unsafe.Pointer(&sid)))); err != nil {
		return fmt.Errorf("set service identity: %w", err)
	}
	if err := known(h.SetRecoveryActions(recovery, recoveryReset)); err != nil {
		return fmt.Errorf("set recovery actions: %w", err)
	}
	if err := known(h.SetRecoveryActionsOnNonCrashFailures(true)); err != nil {
		return fmt.Errorf("set recovery after error exits: %w", err)
	}
	return nil
}

// known ignores that the system does not know a setting at all. Windows knows
// them all since 2008; wine, on which this is tested, does not.
func known(err error) error {
	if errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return nil
	}
	return err
}

// protect lets the service read its config and write its data, and keeps others
// out. A config folder of the service's own, with the secrets in it, is
// protected as a whole; of any other folder only the config file.
func (s *scm) protect() error {
	if err := os.MkdirAll(s.c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	config := filepath.Dir(s.c.ConfigFile)
	if !strings.EqualFold(filepath.Base(config), s.c.Name) {
		config = s.c.ConfigFile
	}
	if err := setAccess(config, folderAccess(s.c.Name, accessRead)); err != nil {
		return err
	}
	return setAccess(s.c.DataDir, folderAccess(s.c.Name, accessModify))
}

func setAccess(path, sddl string) error {
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return fmt.Errorf("set access of %s: %w", path, err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("set access of %s: %w", path, err)
	}
	err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
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
