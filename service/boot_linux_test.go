package service

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bootSwitch turns on the test that boots a systemd of its own. It needs root
// and systemd-nspawn, and a test binary without the race detector, whose memory
// the unit's sandbox forbids:
//
//	ROOMCALL_TEST_SYSTEMD=1 go test -run TestUnderABootedSystemd -v ./service
const bootSwitch = "ROOMCALL_TEST_SYSTEMD"

// trialUnit runs the steps in the container, then ends it.
const trialUnit = `[Unit]
Requires=basic.target systemd-journald.service
After=basic.target
[Service]
Type=oneshot
ExecStart=/usr/local/bin/roomcall trial
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/trial.log
StandardError=file:/trial.log
`

func TestUnderABootedSystemd(t *testing.T) {
	if os.Getenv(bootSwitch) != "1" {
		t.Skipf("NOT TRIED on a real systemd: set %s=1 as root, with systemd-nspawn installed", bootSwitch)
	}
	root := overlay(t)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		path, content string
		mode          os.FileMode
	}{
		{"/usr/local/bin/roomcall", string(self), 0o755},
		{"/etc/systemd/system/trial.service", trialUnit, 0o644},
		{trialConfig, "good\n", 0o600},
		{trialSecret, "s3cret\n", 0o600},
	} {
		path := filepath.Join(root, f.path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(f.content), f.mode)); err != nil {
			t.Fatal(err)
		}
	}
	console := boot(t, root)
	report, err := os.ReadFile(filepath.Join(root, "trial.log"))
	if err != nil {
		t.Fatalf("the trial left no report: %v\n%s", err, console)
	}
	t.Logf("report of the trial:\n%s", report)
	if strings.Contains(string(report), "FAIL") || !strings.Contains(string(report), "all steps done") {
		t.Error("the trial failed")
	}
}

// overlay is a writable copy of this system that is gone after the test.
func overlay(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, "size=1g"); err != nil {
		t.Fatalf("mount a tmpfs: %v (root is needed)", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(base, unix.MNT_DETACH) })
	upper, work, merged := filepath.Join(base, "u"), filepath.Join(base, "w"), filepath.Join(base, "m")
	for _, d := range []string{upper, work, merged} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("overlay", merged, "overlay", 0, "lowerdir=/,upperdir="+upper+",workdir="+work); err != nil {
		t.Fatalf("mount an overlay: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(merged, unix.MNT_DETACH) })
	return merged
}

// boot starts systemd in a container and returns when the trial has ended it.
func boot(t *testing.T, root string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-nspawn", "--directory="+root, "--boot", "--register=no", "--keep-unit",
		"--private-network", "--machine=roomcall-trial", "--quiet", "systemd.unit=trial.service")
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	// A SIGTERM makes nspawn end the container and clean up.
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		// nspawn also reports clean-up that it could not do; the report decides.
		t.Logf("systemd-nspawn: %v", err)
	}
	return string(out)
}
