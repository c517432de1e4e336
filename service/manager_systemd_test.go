//go:build !windows

package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roomcall/durable/durabletest"
)

// fakeSystem is a folder that stands for / and a systemd that answers as told.
type fakeSystem struct {
	*systemd
	root   string
	disk   *durabletest.Disk
	calls  []string
	show   string            // answer of `systemctl show`
	broken map[string]string // call = what it fails with
	cancel func()            // called at the broken call
	loaded string            // the unit as of the last daemon-reload
}

const (
	absent  = "LoadState=not-found\nActiveState=inactive\nSubState=dead\n"
	running = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=42\n"
)

func newFakeSystem(t *testing.T) *fakeSystem {
	t.Helper()
	root := t.TempDir()
	c := packaged()
	c.Binary = filepath.Join(root, "usr/bin/roomcall")
	c.ConfigFile = filepath.Join(root, "etc/roomcall/agent.toml")
	for path, mode := range map[string]os.FileMode{c.Binary: 0o755, c.ConfigFile: 0o600} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	f := &fakeSystem{root: root, disk: durabletest.NewDisk(t, root), show: absent, broken: map[string]string{}, cancel: func() {}}
	f.systemd = &systemd{c: c, root: root, run: f.answer, disk: f.disk,
		account: func(string) (int, int, error) { return os.Getuid(), os.Getgid(), nil },
		hidden:  func(string) bool { return false }}
	return f
}

func (f *fakeSystem) answer(ctx context.Context, name string, args ...string) (string, error) {
	call := strings.ReplaceAll(strings.Join(append([]string{name}, args...), " "), f.root, "")
	if strings.HasPrefix(call, "systemctl show") {
		return f.show, nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	f.calls = append(f.calls, call)
	f.disk.Accepted(call) // systemd is told of nothing that a power cut could take
	if why, ok := f.broken[call]; ok {
		f.cancel()
		delete(f.broken, call)
		return "", errors.New(why)
	}
	if call == "systemctl daemon-reload" {
		b, _ := os.ReadFile(f.unitPath())
		f.loaded = string(b)
	}
	if name == "journalctl" {
		return "config: agent.toml:3: unknown key\n", nil
	}
	return "", nil
}

func (f *fakeSystem) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	f.calls = nil
}

// files lists the files below the root, with mode, owner and content.
func (f *fakeSystem) files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(f.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		st, _ := d.Info()
		owner := st.Sys().(*syscall.Stat_t)
		list = append(list, fmt.Sprintf("%s %v %d:%d %s", strings.TrimPrefix(path, f.root), st.Mode(), owner.Uid, owner.Gid, b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestInstallMakesUserUnitAndStartWithTheMachine(t *testing.T) {
	f := newFakeSystem(t)
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantCalls(t, "systemd-sysusers /etc/sysusers.d/roomcall.conf", "systemctl daemon-reload", "systemctl enable roomcall")
	if b, err := os.ReadFile(f.unitPath()); err != nil || string(b) != Unit(f.c) || f.loaded != string(b) {
		t.Errorf("unit: %v\n%s\nand systemd knows:\n%s", err, b, f.loaded)
	}
	if st, err := os.Stat(f.c.ConfigFile); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("config has mode %v, %v; the service's group must read it", st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Dir(f.c.ConfigFile)); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("config folder has mode %v, %v", st.Mode(), err)
	}
}

func TestInstalledUnitIsWholeAfterAPowerCut(t *testing.T) {
	f := newFakeSystem(t)
	old := syscall.Umask(0o077) // an administrator's umask does not hide the unit
	err := f.Install(t.Context())
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(f.unitPath()); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("the unit has mode %v, %v; want 0644", st.Mode(), err)
	}
	unit := strings.TrimPrefix(f.unitPath(), f.root)
	rnd := rand.New(rand.NewPCG(1, 1))
	for steps := range f.disk.Steps() + 1 {
		cut := t.TempDir()
		f.disk.Cut(steps, rnd, cut)
		b, err := os.ReadFile(filepath.Join(cut, unit))
		if steps == f.disk.Steps() && err != nil {
			t.Errorf("the unit is gone by a power cut after the install: %v", err)
		}
		if err == nil && string(b) != Unit(f.c) {
			t.Errorf("a power cut after step %d leaves a part of the unit: %q", steps, b)
		}
	}
}

func TestServiceGetsTheRightsThatItNeedsAndNoMore(t *testing.T) {
	f := newFakeSystem(t)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 61234, 61235 // root can see who was given what
	}
	f.account = func(string) (int, int, error) { return uid, gid, nil }
	f.c.DataDir = filepath.Join(f.root, "srv")
	public := filepath.Dir(f.c.ConfigFile)
	if err := os.Chmod(public, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path     string
		mode     os.FileMode
		uid, gid int
	}{
		{f.c.ConfigFile, 0o640, os.Getuid(), gid},
		{f.c.DataDir, 0o750, uid, gid},
		{public, 0o755, os.Getuid(), os.Getgid()}, // everybody can read it already
	} {
		st, err := os.Stat(c.path)
		if err != nil {
			t.Fatal(err)
		}
		owner := st.Sys().(*syscall.Stat_t)
		if st.Mode().Perm() != c.mode || int(owner.Uid) != c.uid || int(owner.Gid) != c.gid {
			t.Errorf("%s is %v of %d:%d, want %v of %d:%d", c.path, st.Mode().Perm(), owner.Uid, owner.Gid, c.mode, c.uid, c.gid)
		}
	}
}

// TestAStartIsWaitedForAsLongAsItMayTake: systemctl returns when the service is ready.
func TestAStartIsWaitedForAsLongAsItMayTake(t *testing.T) {
	for _, args := range [][]string{{"start", "roomcall"}, {"restart", "roomcall"}, {"enable", "roomcall"}} {
		if got := patienceWith(args); (got > startPatience) != (args[0] != "enable") {
			t.Errorf("%v: %v", args, got)
		}
	}
}

func TestOnlyRootControlsTheService(t *testing.T) {
	f := newFakeSystem(t)
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.calls, f.show, f.euid = nil, running, 1000
	for verb, do := range map[string]func(context.Context) error{"install": f.Install, "uninstall": f.Uninstall, "start": f.Start, "stop": f.Stop, "restart": f.Restart} {
		if err := do(t.Context()); !errors.Is(err, ErrPrivileges) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	f.wantCalls(t)
	if st, err := f.Status(t.Context()); err != nil || st.State != Running {
		t.Errorf("status is for everybody: %v, %v", st, err)
	}
}

func TestServiceNameIsAUserName(t *testing.T) {
	for _, name := range []string{"", "Room", "1room", "room call", "../room", "-room", strings.Repeat("r", 32)} {
		if _, err := NewManager(Config{Name: name}); err == nil || !strings.Contains(err.Error(), "service name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRepeatedInstallUpgradesAndRestartsWhatRan(t *testing.T) {
	f := newFakeSystem(t)
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	restarting := "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nMainPID=0\n"
	for _, f.show = range []string{running, restarting} {
		f.calls, f.c.Args = nil, append(f.c.Args, "more")
		if err := f.Install(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.wantCalls(t, "systemd-sysusers /etc/sysusers.d/roomcall.conf", "systemctl daemon-reload", "systemctl enable roomcall", "systemctl restart roomcall")
		if b, _ := os.ReadFile(f.unitPath()); string(b) != Unit(f.c) {
			t.Errorf("the old unit is still there:\n%s", b)
		}
	}
}

func TestFailedInstallLeavesThingsAsTheyWere(t *testing.T) {
	for _, broken := range []string{"systemd-sysusers /etc/sysusers.d/roomcall.conf", "systemctl daemon-reload", "systemctl enable roomcall"} {
		t.Run(broken, func(t *testing.T) {
			f := newFakeSystem(t)
			f.c.DataDir = filepath.Join(f.root, "srv")
			if os.Getuid() == 0 {
				f.account = func(string) (int, int, error) { return 61234, 61235, nil }
			}
			before := f.files(t)
			f.broken[broken] = "Access denied by policy"
			ctx, cancel := context.WithCancel(t.Context())
			f.cancel = cancel // an install that was interrupted is undone, too
			if err := f.Install(ctx); err == nil || !strings.Contains(err.Error(), "undone") || !strings.Contains(err.Error(), "policy") {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(before, f.files(t)); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
			}
			if _, err := os.Stat(f.c.DataDir); err == nil {
				t.Error("the data folder is left")
			}
			if f.loaded != "" {
				t.Errorf("systemd still knows the unit:\n%s", f.loaded)
			}
			if broken == "systemctl enable roomcall" && !slices.Contains(f.calls, "systemctl disable roomcall") {
				t.Errorf("the half enabled service is not disabled: %q", f.calls)
			}
		})
	}
}

func TestFailedUpgradeBringsTheOldUnitBack(t *testing.T) {
	f := newFakeSystem(t)
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := f.files(t)
	f.calls, f.show, f.c.Args = nil, running, []string{"run"}
	f.broken["systemctl restart roomcall"] = "Job for roomcall.service failed"
	err := f.Install(t.Context())
	if err == nil || !strings.Contains(err.Error(), "agent.toml:3") {
		t.Errorf("the error does not carry the end of the service's log: %v", err)
	}
	if diff := cmp.Diff(before, f.files(t)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
	if b, _ := os.ReadFile(f.unitPath()); f.loaded != string(b) {
		t.Errorf("systemd knows another unit than the old one:\n%s", f.loaded)
	}
	if slices.Contains(f.calls, "systemctl disable roomcall") {
		t.Error("a service that was enabled before no longer is")
	}
}

func TestInstallRefusesBeforeAnythingChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeSystem)
		want   string
	}{
		"without rights":            {func(f *fakeSystem) { f.euid = 1000 }, "administrator rights are needed: run it with sudo"},
		"config that is not there":  {func(f *fakeSystem) { f.c.ConfigFile += "x" }, "install service: read config"},
		"files that are hidden":     {func(f *fakeSystem) { f.hidden = func(string) bool { return true } }, "cannot be seen by the service"},
		"program that is not there": {func(f *fakeSystem) { f.c.Binary += "x" }, "is not an executable file"},
		"program for root only":     {func(f *fakeSystem) { _ = os.Chmod(f.c.Binary, 0o700) }, "cannot execute"},
		"relative data folder":      {func(f *fakeSystem) { f.c.DataDir = "data" }, `data folder "data" is not an absolute path`},
		"data on the whole disk":    {func(f *fakeSystem) { f.c.DataDir = "/" }, "is a whole volume"},
		"line break in a path":      {func(f *fakeSystem) { f.c.ConfigFile = "/etc/a\nExecStart=/bin/sh" }, "contains a control character"},
		"line break in a text":      {func(f *fakeSystem) { f.c.Description = "a\nUser=root" }, "control character"},
		"credential with a path":    {func(f *fakeSystem) { f.c.Credentials = []Credential{{"../x", "/y"}} }, "credential name"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeSystem(t)
			c.change(f)
			before := f.files(t)
			if err := f.Install(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			f.wantCalls(t)
			if diff := cmp.Diff(before, f.files(t)); diff != "" {
				t.Errorf("files changed:\n%s", diff)
			}
		})
	}
}

func TestProgramThatTheSandboxHidesIsRefused(t *testing.T) {
	for path, want := range map[string]bool{"/home/me/roomcall": true, "/root/roomcall": true, "/tmp/../tmp/r": true, "/usr/bin/roomcall": false, "/homestead/x": false} {
		if got := hidden(path); got != want {
			t.Errorf("hidden(%s) = %v", path, got)
		}
	}
}

func TestUninstallLeavesConfigAndData(t *testing.T) {
	f := newFakeSystem(t)
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.calls, f.show = nil, running
	if err := f.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantCalls(t, "systemctl disable --now roomcall", "systemctl reset-failed roomcall", "systemctl daemon-reload")
	if list := f.files(t); len(list) != 2 {
		t.Errorf("left over: %q, want program and config only", list)
	}
	f.show = absent
	if err := f.Uninstall(t.Context()); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("second uninstall: %v", err)
	}
}

func TestUninstallLeavesAPackagesServiceAlone(t *testing.T) {
	f := newFakeSystem(t)
	f.show = running + "FragmentPath=/usr/lib/systemd/system/roomcall.service\n"
	if err := f.Uninstall(t.Context()); !errors.Is(err, ErrPackaged) {
		t.Errorf("got %v", err)
	}
	f.wantCalls(t)
}

func TestFailedStartCarriesTheEndOfTheLog(t *testing.T) {
	f := newFakeSystem(t)
	f.show = running
	f.broken["systemctl start roomcall"] = "Job for roomcall.service failed"
	err := f.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the end of its log:\nconfig: agent.toml:3: unknown key") {
		t.Errorf("got %v", err)
	}
	f.show = absent
	if err := f.Restart(t.Context()); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("restart of what is not there: %v", err)
	}
}

func TestStatusTellsTheStatesApart(t *testing.T) {
	for _, c := range []struct {
		show string
		want Status
	}{
		{absent, Status{State: NotInstalled}},
		{running + "NRestarts=3\nStatusText=2 rooms, broker connected\nStateChangeTimestamp=Sun 2026-03-01 12:00:00 UTC\n",
			Status{State: Running, Enabled: true, PID: 42, Restarts: 3, Detail: "2 rooms, broker connected", Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nResult=exit-code\nExecMainStatus=1\n",
			Status{State: Restarting, Enabled: true, ExitCode: 1, Detail: "result: exit-code"}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart-queued\nResult=watchdog\n", Status{State: Restarting, Detail: "result: watchdog"}},
		{"LoadState=loaded\nActiveState=activating\nSubState=start\nMainPID=7\n", Status{State: Starting, PID: 7}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nStatusText=failed: agent.toml:1: bad\n",
			Status{State: Restarting, Detail: "result: exit-code, failed: agent.toml:1: bad"}},
		{"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=signal\nStatusText=all well\n", Status{State: Restarting, Detail: "result: signal"}},
		{"LoadState=loaded\nActiveState=inactive\nSubState=dead\nStatusText=stopping\n", Status{State: Stopped}},
		{"LoadState=loaded\nActiveState=deactivating\nSubState=stop-sigterm\nMainPID=7\n", Status{State: Stopping, PID: 7}},
		{"LoadState=loaded\nActiveState=reloading\nSubState=reload\nMainPID=7\n", Status{State: Reloading, PID: 7}},
		{"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=2\n", Status{State: Failed, ExitCode: 2, Detail: "result: exit-code"}},
		{"LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\n", Status{State: Stopped}},
		{"LoadState=masked\nActiveState=inactive\n", Status{State: Stopped, Detail: "masked by the administrator; see `systemctl unmask`"}},
		{"LoadState=bad-setting\nActiveState=inactive\n", Status{State: Unknown}},
		{"nonsense\n", Status{State: Unknown}},
	} {
		f := newFakeSystem(t)
		f.show = c.show
		got, err := f.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.show, diff)
		}
	}
}
