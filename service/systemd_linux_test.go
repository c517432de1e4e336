package service

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeSystem is a folder that stands for / and a systemd that answers as told.
type fakeSystem struct {
	*systemd
	root   string
	calls  []string
	show   string            // answer of `systemctl show`
	broken map[string]string // call = what it fails with
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
	f := &fakeSystem{root: root, show: absent, broken: map[string]string{}}
	f.systemd = &systemd{c: c, root: root, run: f.answer}
	return f
}

func (f *fakeSystem) answer(_ context.Context, name string, args ...string) (string, error) {
	call := strings.ReplaceAll(strings.Join(append([]string{name}, args...), " "), f.root, "")
	if strings.HasPrefix(call, "systemctl show") {
		return f.show, nil
	}
	f.calls = append(f.calls, call)
	if why, ok := f.broken[call]; ok {
		return "", errors.New(why)
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

// files lists what is below the root, with mode and size.
func (f *fakeSystem) files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(f.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		st, _ := d.Info()
		list = append(list, strings.TrimPrefix(path, f.root)+" "+st.Mode().String()+" "+string(b))
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
	if b, err := os.ReadFile(f.unitPath()); err != nil || string(b) != Unit(f.c) {
		t.Errorf("unit: %v\n%s", err, b)
	}
	if st, err := os.Stat(f.c.ConfigFile); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("config has mode %v, %v; the service's group must read it", st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Dir(f.c.ConfigFile)); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("config folder has mode %v, %v", st.Mode(), err)
	}
}

func TestRepeatedInstallUpgradesAndRestartsWhatRan(t *testing.T) {
	f := newFakeSystem(t)
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.calls, f.show = nil, running
	f.c.Args = []string{"run"}
	if err := f.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantCalls(t, "systemd-sysusers /etc/sysusers.d/roomcall.conf", "systemctl daemon-reload", "systemctl enable roomcall", "systemctl restart roomcall")
	if b, _ := os.ReadFile(f.unitPath()); string(b) != Unit(f.c) {
		t.Errorf("the old unit is still there:\n%s", b)
	}
}

func TestFailedInstallLeavesThingsAsTheyWere(t *testing.T) {
	for _, broken := range []string{"systemd-sysusers /etc/sysusers.d/roomcall.conf", "systemctl daemon-reload", "systemctl enable roomcall"} {
		t.Run(broken, func(t *testing.T) {
			f := newFakeSystem(t)
			before := f.files(t)
			f.broken[broken] = "Access denied by policy"
			if err := f.Install(t.Context()); err == nil || !strings.Contains(err.Error(), "undone") || !strings.Contains(err.Error(), "policy") {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(before, f.files(t)); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
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
		t.Errorf("the error does not carry the service's last words: %v", err)
	}
	if diff := cmp.Diff(before, f.files(t)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
}

func TestInstallRefusesBeforeAnythingChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeSystem)
		want   string
	}{
		"without rights":            {func(f *fakeSystem) { f.uid = 1000 }, "administrator rights are needed: run it with sudo"},
		"program that is not there": {func(f *fakeSystem) { f.c.Binary += "x" }, "is no executable file"},
		"program for root only":     {func(f *fakeSystem) { _ = os.Chmod(f.c.Binary, 0o700) }, "cannot execute"},
		"relative data folder":      {func(f *fakeSystem) { f.c.DataDir = "data" }, `data folder "data" is no absolute path`},
		"data on the whole disk":    {func(f *fakeSystem) { f.c.DataDir = "/" }, "is a whole volume"},
		"line break in a path":      {func(f *fakeSystem) { f.c.ConfigFile = "/etc/a\nExecStart=/bin/sh" }, "is no absolute path"},
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

func TestFailedStartCarriesTheLastWordsOfTheLog(t *testing.T) {
	f := newFakeSystem(t)
	f.show = running
	f.broken["systemctl start roomcall"] = "Job for roomcall.service failed"
	err := f.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "its last words:\nconfig: agent.toml:3: unknown key") {
		t.Errorf("got %v", err)
	}
	f.show = absent
	if err := f.Restart(t.Context()); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("restart of what is not there: %v", err)
	}
}
