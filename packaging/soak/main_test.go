// Package soak proves the promise of delivery on the built program: whatever is
// killed, cut, filled or switched off, an accepted record arrives, in order, and
// what a limit takes is announced.
//
// It holds tests only. Each has a small form for every day and a full form that
// an environment variable asks for; `make crash` and `make soak` set them.
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

// patience bounds every wait; it ends a hanging test and is never a measured
// time.
const patience = 2 * time.Minute

// TestMain runs the tests, then looks for goroutines that nobody waited for and
// removes the built program.
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

// count takes the size of a run from the environment.
func count(t testing.TB, name string, short int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q: a number above 0 is needed", name, text)
	}
	return n
}

// built is the program as it is shipped, made at most once.
var built struct {
	once      sync.Once
	dir, path string
	err       error
}

// program gives the path of the built program.
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

// memoryDir is a folder in memory where there is one: made-up time should not
// wait for fsync.
func memoryDir(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "soak"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}
