package service

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roles are what the test binary does instead of testing when it is started
// with that first argument, inside a booted container.
var roles = map[string]func() int{}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		os.Exit(roles[os.Args[1]]())
	}
	goleak.VerifyTestMain(m)
}

// untilStopped is work that is ready at once and ends with its context.
func untilStopped(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

// step of a trial on a real service manager.
type step struct {
	name string
	do   func() error
}

// take does the steps and reports one line each; it ends at the first that
// fails, with 1.
func take(steps []step) int {
	for _, s := range steps {
		began := time.Now()
		if err := s.do(); err != nil {
			fmt.Printf("FAIL %s: %v\n", s.name, err)
			return 1
		}
		fmt.Printf("ok   %-40s %s\n", s.name, time.Since(began).Round(time.Millisecond))
	}
	fmt.Println("all steps done")
	return 0
}

// is waits until the service is in a state, for longer than a watchdog and a
// restart take.
func is(m Manager, want State) func() error {
	return func() error {
		return eventually(func() error {
			st, err := m.Status(context.Background())
			if err == nil && st.State != want {
				err = fmt.Errorf("state is %+v, want %s", st, want)
			}
			return err
		})
	}
}

// eventually asks again until it is so; only the container's real time counts.
func eventually(ask func() error) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		err := ask()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func fails(do func() error, want string) func() error {
	return func() error {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("got %v, want an error with %q", err, want)
		}
		return nil
	}
}
