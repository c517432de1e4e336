package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// suite runs the tests, then looks for goroutines that nobody waited for and
// removes the built binary.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	code := s.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"roomcall": main})
}

// built is the binary as it is shipped, made at most once.
var built struct {
	once      sync.Once
	dir, path string
	err       error
}

// binary gives the path of the built program.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "roomcall-e2e-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "roomcall.exe")
		flags := append([]string{"build", "-o", built.path}, buildFlags()...)
		if out, err := exec.Command("go", append(flags, "roomcall/agent")...).CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("build the program: %v", built.err)
	}
	return built.path
}

// buildFlags adds the race detector to the built program when asked for.
func buildFlags() []string {
	if os.Getenv("ROOMCALL_E2E_RACE") != "" {
		return []string{"-race"}
	}
	return nil
}
