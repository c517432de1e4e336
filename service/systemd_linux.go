package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// commandTimeout bounds one call of a system tool. A start waits for READY, at
// most TimeoutStartSec of the unit.
const commandTimeout = 90 * time.Second

// runner runs a system tool and returns what it printed on stdout; the error
// holds what it printed on stderr.
type runner func(ctx context.Context, name string, args ...string) (string, error)

// systemd is the Manager of a Linux system that systemd booted.
type systemd struct {
	c    Config
	run  runner
	root string // "" or, in tests, a folder that stands for /
	uid  int
}

func newManager(c Config) (Manager, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, ErrNoManager
	}
	return &systemd{c: c, run: runTool, uid: os.Geteuid()}, nil
}

func runTool(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	// Plain output, and times in UTC: they are read here.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

func (s *systemd) systemctl(ctx context.Context, args ...string) error {
	_, err := s.run(ctx, "systemctl", args...)
	return err
}

func (s *systemd) unitPath() string {
	return filepath.Join(s.root, "/etc/systemd/system", s.c.Name+".service")
}

func (s *systemd) sysusersPath() string {
	return filepath.Join(s.root, "/etc/sysusers.d", s.c.Name+".conf")
}

// privileged fails early, before anything was changed.
func (s *systemd) privileged(what string) error {
	if s.uid != 0 {
		return fmt.Errorf("%s service %s: %w: run it with sudo", what, s.c.Name, ErrPrivileges)
	}
	return nil
}

func (s *systemd) Uninstall(ctx context.Context) error {
	if err := s.privileged("uninstall"); err != nil {
		return err
	}
	if _, err := os.Stat(s.unitPath()); err != nil {
		return s.notOurs(ctx)
	}
	if err := s.systemctl(ctx, "disable", "--now", s.c.Name); err != nil {
		return fmt.Errorf("uninstall service: %w", err)
	}
	for _, p := range []string{s.unitPath(), s.sysusersPath()} {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("uninstall service: %w", err)
		}
	}
	// A failed service would stay listed; there may be nothing to reset.
	_ = s.systemctl(ctx, "reset-failed", s.c.Name)
	return s.systemctl(ctx, "daemon-reload")
}

// notOurs says why there is nothing to uninstall here.
func (s *systemd) notOurs(ctx context.Context) error {
	if p, err := s.show(ctx); err == nil && p["LoadState"] == "loaded" {
		return fmt.Errorf("uninstall service (%s): %w", p["FragmentPath"], ErrPackaged)
	}
	return fmt.Errorf("uninstall service %s: %w", s.c.Name, ErrNotInstalled)
}

func (s *systemd) Start(ctx context.Context) error   { return s.do(ctx, "start") }
func (s *systemd) Stop(ctx context.Context) error    { return s.do(ctx, "stop") }
func (s *systemd) Restart(ctx context.Context) error { return s.do(ctx, "restart") }

func (s *systemd) do(ctx context.Context, verb string) error {
	if err := s.privileged(verb); err != nil {
		return err
	}
	if st, err := s.Status(ctx); err == nil && st.State == NotInstalled {
		return fmt.Errorf("%s service %s: %w", verb, s.c.Name, ErrNotInstalled)
	}
	err := s.systemctl(ctx, verb, s.c.Name)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s service: %w%s", verb, err, s.lastWords(ctx))
}

// lastWords is the end of the service's log: it names the reason of a failure
// where systemctl only says that there is one.
func (s *systemd) lastWords(ctx context.Context) string {
	out, err := s.run(ctx, "journalctl", "--unit="+s.c.Name, "--lines=5", "--output=cat", "--no-pager", "--quiet")
	if out = strings.TrimSpace(out); err != nil || out == "" {
		return "\nsee `journalctl -u " + s.c.Name + "`"
	}
	return "\nits last words:\n" + out
}
