package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// scmSwitch turns on the test that installs a service here, on Windows as
// administrator or under wine, where it is named "roomcall-trial":
//
//	GOOS=windows go test -c -o trial.exe ./service
//	ROOMCALL_TEST_SCM=1 wine trial.exe -test.run UnderTheServiceManager -test.v
const scmSwitch = "ROOMCALL_TEST_SCM"

const scmName = "roomcall-trial"

func init() { roles["run"] = scmService }

// scmFolder holds the config; its text says how the service behaves.
func scmFolder() string { return filepath.Join(os.Getenv("ProgramData"), scmName) }

func scmConfig() string { return filepath.Join(scmFolder(), "agent.toml") }

// scmService is the service itself.
func scmService() int {
	err := Run(context.Background(), Options{Name: scmName}, func(ctx context.Context, ready func()) error {
		mood, err := os.ReadFile(os.Args[2])
		if err != nil {
			return err
		}
		ready()
		if string(mood) == "fail" {
			return errors.New("failed on purpose")
		}
		<-ctx.Done()
		if string(mood) == "hang" {
			time.Sleep(time.Minute)
		}
		return nil
	})
	if err != nil {
		return 1
	}
	return 0
}

func TestUnderTheServiceManager(t *testing.T) {
	if os.Getenv(scmSwitch) != "1" {
		t.Skipf("NOT TRIED on a real service manager: set %s=1 as administrator", scmSwitch)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mood := func(text string) func() error {
		return func() error { return os.WriteFile(scmConfig(), []byte(text), 0o600) }
	}
	if err := errors.Join(os.MkdirAll(scmFolder(), 0o700), mood("well")()); err != nil {
		t.Fatal(err)
	}
	m, err := NewManager(Config{Name: scmName, DisplayName: "roomcall trial", Description: "Trial of a test", Binary: self,
		Args: []string{"run", scmConfig()}, ConfigFile: scmConfig(), DataDir: filepath.Join(scmFolder(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	defer m.Uninstall(context.Background())
	if take(scmSteps(ctx, m, mood)) != 0 {
		t.Error("the trial failed")
	}
}

func scmSteps(ctx context.Context, m Manager, mood func(string) func() error) []step {
	do := func(verb func(context.Context) error) func() error { return func() error { return verb(ctx) } }
	return []step{
		{"nothing is installed", is(m, NotInstalled)},
		{"start without a service is an error", fails(do(m.Start), ErrNotInstalled.Error())},
		{"install", do(m.Install)},
		{"installed is not started", is(m, Stopped)},
		{"start", do(m.Start)},
		{"start what runs", do(m.Start)},
		{"runs", is(m, Running)},
		{"install again upgrades", do(m.Install)},
		{"and it runs again", is(m, Running)},
		{"stop", within(StopPatience, do(m.Stop))},
		{"stop what is stopped", do(m.Stop)},
		{"stopped is not failed", is(m, Stopped)},
		{"work that hangs", mood("hang")},
		{"starts", do(m.Start)},
		{"and is stopped all the same", within(2*StopPatience, do(m.Stop))},
		{"a requested stop is no failure", is(m, Stopped)},
		{"work that fails", mood("fail")},
		{"is started", func() error { _ = m.Start(ctx); return nil }},
		{"and is seen as failed", is(m, Failed)},
		{"a fixed config", mood("well")},
		{"starts again", do(m.Start)},
		{"uninstall while it runs", do(m.Uninstall)},
		{"gone", is(m, NotInstalled)},
	}
}

// within checks a bound that the service manager itself sets.
func within(limit time.Duration, do func() error) func() error {
	return func() error {
		began := time.Now()
		if err := do(); err != nil {
			return err
		}
		if took := time.Since(began); took > limit {
			return fmt.Errorf("took %s, more than %s", took, limit)
		}
		return nil
	}
}
