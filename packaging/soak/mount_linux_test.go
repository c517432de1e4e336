package soak

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func mount(args ...string) (string, error) {
	out, err := exec.Command("mount", args...).CombinedOutput()
	return string(out), err
}

func unmount(t *testing.T, dir string) {
	if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
		t.Errorf("unmount %s: %v %s", dir, err, out)
	}
}

// ballast is a file that another program writes onto the same disk.
type ballast struct{ path string }

func newBallast(disk string) ballast { return ballast{filepath.Join(disk, "ballast")} }

// grow adds n bytes, or as many as fit on the disk.
func (b ballast) grow(t testing.TB, n int) {
	t.Helper()
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // no space even for an empty file
	}
	defer f.Close()
	chunk := make([]byte, 4096)
	for ; n > 0; n -= len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			return
		}
	}
}

func (b ballast) remove() { os.Remove(b.path) }
