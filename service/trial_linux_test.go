package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
)

const (
	trialConfig = "/etc/roomcall/agent.toml"
	trialSecret = "/etc/roomcall/mqtt.secret"
)

func init() {
	roles["run"] = trialService
	roles["trial"] = trial
}

func trialManager() Manager {
	c := packaged()
	c.Binary, c.Args = "/usr/local/bin/roomcall", []string{"run"}
	c.Credentials = []Credential{{"mqtt", trialSecret}}
	m, err := NewManager(c)
	if err != nil {
		panic(err)
	}
	return m
}

// trialService is the service inside the container: it does what the agent
// needs of its sandbox, and is stuck after SIGUSR1.
func trialService() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	var stuck atomic.Bool
	alive := func() error {
		if stuck.Load() {
			return errors.New("stuck on purpose")
		}
		return nil
	}
	err := Run(ctx, Options{Name: "roomcall", Alive: alive, StatusLine: func() string { return "on trial" }}, func(ctx context.Context, ready func()) error {
		if err := useSandbox(); err != nil {
			return err
		}
		ready()
		for {
			select {
			case s := <-signals:
				fmt.Println("signal:", s)
				stuck.Store(s == syscall.SIGUSR1)
			case <-ctx.Done():
				return nil
			}
		}
	})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// useSandbox is what must work in the sandbox, and what must not.
func useSandbox() error {
	config, err := os.ReadFile(trialConfig)
	if err != nil {
		return err
	}
	if string(config) == "bad\n" {
		return errors.New("agent.toml:1: bad on purpose")
	}
	if secret, err := os.ReadFile(os.ExpandEnv("${CREDENTIALS_DIRECTORY}/mqtt")); err != nil || string(secret) != "s3cret\n" {
		return fmt.Errorf("credential: %q, %w", secret, err)
	}
	if err := os.WriteFile("/var/lib/roomcall/x", nil, 0o600); err != nil {
		return err
	}
	if os.WriteFile("/etc/roomcall/x", nil, 0o600) == nil {
		return errors.New("the sandbox lets the service write its config folder")
	}
	if _, err := os.ReadFile(trialSecret); err == nil {
		return errors.New("the sandbox lets the service read root's secret")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	return c.Close()
}

// trial runs the steps inside the container and reports one line each.
func trial() int {
	ctx, m := context.Background(), trialManager()
	return take([]step{
		{"nothing is installed", is(m, NotInstalled)},
		{"start without a service is an error", fails(func() error { return m.Start(ctx) }, ErrNotInstalled.Error())},
		{"install", func() error { return m.Install(ctx) }},
		{"installed is not started", is(m, Stopped)},
		{"start", func() error { return m.Start(ctx) }},
		{"runs in its sandbox", is(m, Running)},
		{"reload reaches it", func() error { return errors.Join(sh("systemctl reload roomcall"), journal("signal: hangup")) }},
		{"install again upgrades", func() error { return m.Install(ctx) }},
		{"and it runs again", is(m, Running)},
		{"kill -9", func() error { return sh("kill -9 $(systemctl show -P MainPID roomcall)") }},
		{"comes back by itself", is(m, Running)},
		{"a shorter watchdog", func() error {
			return errors.Join(sh(`mkdir -p /run/systemd/system/roomcall.service.d && printf '[Service]\nWatchdogSec=3\n' > /run/systemd/system/roomcall.service.d/w.conf && systemctl daemon-reload`), m.Restart(ctx))
		}},
		{"being stuck trips it", func() error {
			return errors.Join(sh("kill -USR1 $(systemctl show -P MainPID roomcall)"), journal("Watchdog timeout"))
		}},
		{"comes back from that too", is(m, Running)},
		{"a bad config is named by restart", fails(func() error {
			return errors.Join(os.WriteFile(trialConfig, []byte("bad\n"), 0o640), m.Restart(ctx))
		}, "agent.toml:1: bad on purpose")},
		{"and shown as restarting", is(m, Restarting)},
		{"a fixed config is picked up", func() error { return errors.Join(os.WriteFile(trialConfig, []byte("good\n"), 0o640), is(m, Running)()) }},
		{"stop", func() error { return m.Stop(ctx) }},
		{"stopped is not failed", is(m, Stopped)},
		{"uninstall", func() error { return m.Uninstall(ctx) }},
		{"gone", is(m, NotInstalled)},
		{"config and data are left", func() error { return sh("test -f " + trialConfig + " && test -f /var/lib/roomcall/x") }},
	})
}

func journal(want string) error {
	return eventually(func() error { return sh("journalctl -u roomcall --no-pager | grep -q '" + want + "'") })
}

func sh(script string) error {
	if out, err := exec.Command("/bin/sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, out)
	}
	return nil
}
