// Package soak tests the promise of delivery on the built program: whatever is
// killed, disconnected, filled or switched off, an accepted record arrives, in order,
// and what a limit removes is announced.
//
// It contains only tests. Each has a short form for every day and a full form that an
// environment variable selects; `make crash` and `make soak` set them.
package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is the timeout of every wait; it ends a hanging test and is never a
// measured time.
const patience = 2 * time.Minute

// TestMain runs the tests, then checks for leaked goroutines and removes the built
// program.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// count reads the size of a run from the environment.
func count(t testing.TB, name string, short int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; allowed: a number above 0", name, text)
	}
	return n
}

// built is the program as shipped, built at most once.
var built struct {
	once      sync.Once
	dir, path string
	err       error
}

// program returns the path of the built program.
func program(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "roomcall-soak-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "roomcall.exe")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built.path, "roomcall/agent")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("build the program: %v", built.err)
	}
	return built.path
}

// memoryDir is a folder in memory if the system has one, so that simulated time does
// not wait for fsync.
func memoryDir(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "soak"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}
