//go:build !windows

package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"roomcall/durable"
)

// commandTimeout bounds one call of a system tool. A start waits for READY, which may
// come as late as startPatience allows.
const commandTimeout = 90 * time.Second

func patienceWith(args []string) time.Duration {
	if slices.Contains(args, "start") || slices.Contains(args, "restart") {
		return commandTimeout + startPatience
	}
	return commandTimeout
}

// systemd is the Manager of a system that systemd booted. It works through
// systemd's own tools, so that its errors are those that administrators know.
type systemd struct {
	c    Config
	run  func(ctx context.Context, tool string, args ...string) (stdout string, err error)
	root string // the folder that holds etc, "/"
	disk durable.FS
	euid int
	// account returns the ids of the service's user.
	account func(name string) (uid, gid int, err error)
	// hidden reports whether the unit's sandbox hides a path.
	hidden func(path string) bool
}

func newManager(c Config) (Manager, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, ErrNoManager
	}
	return &systemd{c: c, run: runTool, root: "/", disk: durable.OS, euid: os.Geteuid(), account: lookUp, hidden: hidden}, nil
}

func runTool(ctx context.Context, tool string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patienceWith(args))
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, args...)
	// Plain output, and times in UTC: they are read here.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("run %s %s: %w: %s", tool, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

func lookUp(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("find the service's user: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

func hidden(path string) bool {
	return slices.ContainsFunc([]string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"}, func(dir string) bool {
		return strings.HasPrefix(filepath.Clean(path), dir)
	})
}

func (s *systemd) systemctl(ctx context.Context, args ...string) error {
	_, err := s.run(ctx, "systemctl", args...)
	return err
}

// privileged fails early, before anything was changed.
func (s *systemd) privileged(verb string) error {
	if s.euid != 0 {
		return fmt.Errorf("%s service %s: %w: run it with sudo", verb, s.c.Name, ErrPrivileges)
	}
	return nil
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
	if err := s.systemctl(ctx, verb, s.c.Name); err != nil {
		return fmt.Errorf("%s service: %w%s", verb, err, s.logTail(ctx))
	}
	return nil
}

// logTail is the end of the service's log: it has the reason for a failure,
// of which systemctl only says that there is one.
func (s *systemd) logTail(ctx context.Context) string {
	out, err := s.run(ctx, "journalctl", "--unit="+s.c.Name, "--lines=5", "--output=cat", "--no-pager", "--quiet")
	if out = strings.TrimSpace(out); err != nil || out == "" {
		return "\nsee `journalctl -u " + s.c.Name + "`"
	}
	return "\nthe end of its log:\n" + out
}

func (s *systemd) Status(ctx context.Context) (Status, error) {
	p, err := s.show(ctx)
	if err != nil {
		return Status{State: Unknown}, fmt.Errorf("ask systemd about %s: %w", s.c.Name, err)
	}
	number := func(key string) int { n, _ := strconv.Atoi(p[key]); return n } // not a number = 0
	st := Status{
		State:    stateOf(p),
		Enabled:  strings.HasPrefix(p["UnitFileState"], "enabled"),
		PID:      number("MainPID"),
		Restarts: number("NRestarts"),
		ExitCode: number("ExecMainStatus"),
		Detail:   p["StatusText"],
	}
	if t, err := time.Parse("Mon 2006-01-02 15:04:05 MST", p["StateChangeTimestamp"]); err == nil {
		st.Since = t.UTC()
	}
	// What the service said about itself before it ended no longer holds; only
	// its reason for a failure still counts.
	switch said := st.Detail; {
	case p["LoadState"] == "masked":
		st.Detail = "masked by the administrator; see `systemctl unmask`"
	case st.State == Stopped:
		st.Detail = ""
	case st.State == Failed || st.State == Restarting:
		st.Detail = "result: " + p["Result"]
		if strings.HasPrefix(said, "failed") {
			st.Detail += ", " + said
		}
	}
	return st, nil
}

// show asks systemd for the unit's properties (org.freedesktop.systemd1(5)).
func (s *systemd) show(ctx context.Context) (map[string]string, error) {
	out, err := s.run(ctx, "systemctl", "show", s.c.Name+".service",
		"--property=LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,Result,ExecMainStatus,StateChangeTimestamp,StatusText,FragmentPath")
	if err != nil {
		return nil, err
	}
	p := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			p[key] = value
		}
	}
	return p, nil
}

func stateOf(p map[string]string) State {
	switch {
	case p["LoadState"] == "not-found":
		return NotInstalled
	case p["LoadState"] == "masked":
		return Stopped
	case p["LoadState"] != "loaded":
		return Unknown
	case strings.HasPrefix(p["SubState"], "auto-restart"):
		return Restarting
	}
	switch p["ActiveState"] {
	case "active":
		return Running
	case "reloading":
		return Reloading
	case "activating":
		return Starting
	case "deactivating":
		return Stopping
	case "failed":
		return Failed
	case "inactive":
		return Stopped
	}
	return Unknown
}

func (s *systemd) unitPath() string {
	return filepath.Join(s.root, "etc/systemd/system", s.c.Name+".service")
}

func (s *systemd) sysusersPath() string {
	return filepath.Join(s.root, "etc/sysusers.d", s.c.Name+".conf")
}

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

	// The user stays when the service goes, because the data belongs to it.
	if err := s.replaceFile(s.sysusersPath(), Sysusers(s.c), &back); err != nil {
		return err
	}
	if _, err := s.run(ctx, "systemd-sysusers", s.sysusersPath()); err != nil {
		return err
	}
	if err := s.giveFiles(&back); err != nil {
		return err
	}

	back.add(func() { _ = s.systemctl(context.WithoutCancel(ctx), "daemon-reload") })
	if err := s.replaceFile(s.unitPath(), Unit(s.c), &back); err != nil {
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
	// A service that was running runs the new version afterwards.
	if before.PID != 0 || before.State == Restarting {
		if err := s.systemctl(ctx, "restart", s.c.Name); err != nil {
			return fmt.Errorf("%w%s", err, s.logTail(ctx))
		}
	}
	return nil
}

// checkInstall finds what would make the service fail, before anything changed.
func (s *systemd) checkInstall() error {
	if err := s.c.validate(); err != nil {
		return err
	}
	st, err := os.Stat(s.c.Binary)
	if err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return fmt.Errorf("install service: %s is not an executable file", s.c.Binary)
	}
	if st.Mode()&0o001 == 0 {
		return fmt.Errorf("install service: the service's user cannot execute %s: chmod 755 it", s.c.Binary)
	}
	for _, p := range []string{s.c.Binary, s.c.ConfigFile, s.c.DataDir} {
		if s.hidden(p) {
			return fmt.Errorf("install service: %s cannot be seen by the service, which has no access to homes and a /tmp of its own; use a folder such as /usr/local/bin, /etc or /var/lib", p)
		}
	}
	if _, err := os.Stat(s.c.ConfigFile); err != nil {
		return fmt.Errorf("install service: read config: %w", err)
	}
	return nil
}

// giveFiles makes the config readable and the data folder writable for the
// service's user, and for nobody else who could not do so before.
func (s *systemd) giveFiles(back *undo) error {
	uid, gid, err := s.account(s.c.Name)
	if err != nil {
		return err
	}
	if err := readable(filepath.Dir(s.c.ConfigFile), gid, 0o050, back); err != nil {
		return err
	}
	if err := readable(s.c.ConfigFile, gid, 0o040, back); err != nil {
		return err
	}
	if s.c.DataDir == path.Join(stateRoot, s.c.Name) {
		return nil // StateDirectory= of the unit does it
	}
	// A folder that is there keeps its mode.
	if err := os.Mkdir(s.c.DataDir, 0o750); err == nil {
		back.add(func() { _ = os.Remove(s.c.DataDir) })
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("create the data folder: %w", err)
	}
	if err := os.Chown(s.c.DataDir, uid, gid); err != nil {
		return fmt.Errorf("give the data folder to the service: %w", err)
	}
	return nil
}

// readable gives path to the group, with the bits that it needs, unless
// everybody has them already.
func readable(path string, gid int, bits os.FileMode, back *undo) error {
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	mode, everybody := st.Mode().Perm(), bits>>3
	if mode&everybody == everybody {
		return nil
	}
	old := -1
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		old = int(sys.Gid)
	}
	back.add(func() { _ = os.Chown(path, -1, old); _ = os.Chmod(path, mode) })
	err = os.Chown(path, -1, gid)
	if err == nil {
		err = os.Chmod(path, mode|bits)
	}
	if err != nil {
		return fmt.Errorf("let the service read the config: %w", err)
	}
	return nil
}

// replaceFile writes path so that a power cut leaves the old or the new text,
// and notes how to put the old one back.
func (s *systemd) replaceFile(path, text string, back *undo) error {
	write := func(text string) error {
		if err := durable.Write(s.disk, path, []byte(text), 0o644); err != nil {
			return err
		}
		return os.Chmod(path, 0o644) // whatever the umask
	}
	old, err := os.ReadFile(path)
	switch {
	case err == nil && string(old) == text:
		return nil
	case err == nil:
		back.add(func() { _ = write(string(old)) })
	case errors.Is(err, os.ErrNotExist):
		if err := durable.MkdirAll(s.disk, filepath.Dir(path), 0o755); err != nil {
			return err
		}
		back.add(func() { _ = os.Remove(path) })
	default:
		return err
	}
	return write(text)
}

func (s *systemd) Uninstall(ctx context.Context) error {
	if err := s.privileged("uninstall"); err != nil {
		return err
	}
	if _, err := os.Stat(s.unitPath()); err != nil {
		if p, err := s.show(ctx); err == nil && p["LoadState"] == "loaded" {
			return fmt.Errorf("uninstall service (%s): %w", p["FragmentPath"], ErrPackaged)
		}
		return fmt.Errorf("uninstall service %s: %w", s.c.Name, ErrNotInstalled)
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
