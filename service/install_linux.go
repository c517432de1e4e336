package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// undo is a list of steps that put things back, run from the last to the first.
type undo []func()

func (u *undo) add(f func()) { *u = append(*u, f) }

func (u undo) run() {
	for i := len(u) - 1; i >= 0; i-- {
		u[i]()
	}
}

func (s *systemd) Install(ctx context.Context) (err error) {
	if err := s.privileged("install"); err != nil {
		return err
	}
	if err := s.checkInstall(); err != nil {
		return err
	}
	before, err := s.Status(ctx)
	if err != nil {
		return fmt.Errorf("install service: %w", err)
	}
	var back undo
	defer func() {
		if err != nil {
			back.run()
			err = fmt.Errorf("install service (undone): %w", err)
		}
	}()
	if err := s.addUser(ctx, &back); err != nil {
		return err
	}
	if err := s.giveFiles(&back); err != nil {
		return err
	}
	return s.addUnit(ctx, before, &back)
}

// checkInstall finds what would make the service fail, before anything changed.
func (s *systemd) checkInstall() error {
	if err := s.c.validate(); err != nil {
		return err
	}
	st, err := os.Stat(s.c.Binary)
	if err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return fmt.Errorf("install service: %s is no executable file", s.c.Binary)
	}
	if st.Mode()&0o001 == 0 {
		return fmt.Errorf("install service: the service's user cannot execute %s: chmod 755 it", s.c.Binary)
	}
	for _, p := range []string{s.c.Binary, s.c.ConfigFile, s.c.DataDir} {
		if s.root == "" && hidden(p) {
			return fmt.Errorf("install service: %s cannot be seen by the service, which has no access to homes and a /tmp of its own; use a folder such as /usr/local/bin, /etc or /var/lib", p)
		}
	}
	if _, err := os.Stat(s.c.ConfigFile); err != nil {
		return fmt.Errorf("install service: read config: %w", err)
	}
	return nil
}

// addUser creates the service's user. The user stays when the service goes, for
// the data belongs to it.
func (s *systemd) addUser(ctx context.Context, back *undo) error {
	if err := replaceFile(s.sysusersPath(), Sysusers(s.c), back); err != nil {
		return err
	}
	_, err := s.run(ctx, "systemd-sysusers", s.sysusersPath())
	return err
}

// hidden tells a path that the unit's sandbox hides.
func hidden(p string) bool {
	for _, dir := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(filepath.Clean(p), dir) {
			return true
		}
	}
	return false
}

// addUnit writes the unit, makes systemd read it and enables it. Of a service
// that ran, the new version runs afterwards.
func (s *systemd) addUnit(ctx context.Context, before Status, back *undo) error {
	back.add(func() { _ = s.systemctl(context.WithoutCancel(ctx), "daemon-reload") })
	if err := replaceFile(s.unitPath(), Unit(s.c), back); err != nil {
		return err
	}
	if err := s.systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	if !before.Enabled {
		back.add(func() { _ = s.systemctl(context.WithoutCancel(ctx), "disable", s.c.Name) })
	}
	if err := s.systemctl(ctx, "enable", s.c.Name); err != nil {
		return err
	}
	if before.PID != 0 || before.State == Restarting {
		// The definition is good; a service that does not come up is a
		// failure of the service, not of the install.
		if err := s.systemctl(ctx, "restart", s.c.Name); err != nil {
			return fmt.Errorf("%w%s", err, s.lastWords(ctx))
		}
	}
	return nil
}

// replaceFile writes path so that a power cut leaves the old or the new text,
// and notes how to put the old one back.
func replaceFile(path, text string, back *undo) error {
	old, err := os.ReadFile(path)
	switch {
	case err == nil && string(old) == text:
		return nil
	case err == nil:
		back.add(func() { _ = writeFile(path, string(old)) })
	case errors.Is(err, os.ErrNotExist):
		back.add(func() { _ = os.Remove(path) })
	default:
		return err
	}
	return writeFile(path, text)
}

func writeFile(path, text string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
