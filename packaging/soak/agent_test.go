package soak

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/buffer"
)

const clientID = "soak"

// agent is the built program, run again and again in one folder.
type agent struct {
	t    testing.TB
	dir  string
	data string
	http string
	cmd  *exec.Cmd
	done chan struct{}
}

// newAgent writes agent.toml; tables are all tables but [agent]. data is the
// store's folder, "" = one below the test's folder.
func newAgent(t testing.TB, data string, tables ...string) *agent {
	t.Helper()
	a := &agent{t: t, dir: t.TempDir(), data: data, http: freeAddr(t)}
	if data == "" {
		a.data = filepath.Join(a.dir, "data")
	}
	a.configure(tables...)
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			text, _ := os.ReadFile(a.logFile())
			t.Logf("the agent's log:\n%s", text[max(0, len(text)-6000):])
		}
	})
	return a
}

func (a *agent) configure(tables ...string) {
	a.t.Helper()
	text := fmt.Sprintf("[agent]\nclient_id = %q\ndata_dir = %q\nhttp_listen = %q\n%s\n", clientID, a.data, a.http, strings.Join(tables, "\n"))
	if err := os.WriteFile(filepath.Join(a.dir, "agent.toml"), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// room is an [[endpoint]] with this poll interval.
func room(device, url, interval string) string {
	return fmt.Sprintf("[[endpoint]]\ndevice = %q\nurl = %q\npoll_interval = %q\nidle_interval = %q\ntimeout = \"2s\"\n", device, url, interval, interval)
}

// brokerTable is the [mqtt] table, without a limit while catching up.
func brokerTable(url string, extra ...string) string {
	return fmt.Sprintf("[mqtt]\nbroker = %q\nreconnect_min = \"100ms\"\nreconnect_max = \"300ms\"\nreplay_rate = 0\n%s\n", url, strings.Join(extra, "\n"))
}

// freeAddr returns a loopback address that nobody uses at the moment.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (a *agent) logFile() string { return filepath.Join(a.dir, "agent.log") }

func (a *agent) command(args ...string) *exec.Cmd {
	return exec.Command(program(a.t), append(args, "--config", filepath.Join(a.dir, "agent.toml"))...)
}

// output runs a command of the program that has to succeed.
func (a *agent) output(args ...string) string {
	a.t.Helper()
	out, err := a.command(args...).CombinedOutput()
	if err != nil {
		a.t.Fatalf("roomcall %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start runs the agent without waiting for it.
func (a *agent) start() {
	a.t.Helper()
	a.cmd = a.command("run")
	log, err := os.OpenFile(a.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		a.t.Fatal(err)
	}
	defer log.Close()
	a.cmd.Stderr = log
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	cmd, done := a.cmd, make(chan struct{})
	a.done = done
	go func() {
		_ = cmd.Wait() // the exit code is in ProcessState
		close(done)
	}()
}

// kill ends the agent with SIGKILL.
func (a *agent) kill() {
	if a.cmd != nil {
		_ = a.cmd.Process.Kill() // it may have ended already
		<-a.done
	}
}

// stop ends the agent with SIGTERM.
func (a *agent) stop() {
	a.t.Helper()
	_ = a.cmd.Process.Signal(syscall.SIGTERM) // an agent that has ended fails below
	select {
	case <-a.done:
	case <-time.After(patience):
		a.t.Fatal("the agent does not stop")
	}
	if code := a.cmd.ProcessState.ExitCode(); code != 0 {
		a.t.Fatalf("the agent ended with %v", a.cmd.ProcessState)
	}
}

// status is what these tests read from the agent's local HTTP.
type status struct {
	Endpoints []struct{ Polls, Failures uint64 }
	Broker    struct {
		State, Class, Proof string
		Connects, Losses    uint64
		Since               time.Time
		LastAck             time.Time `json:"last_ack"`
	}
	Buffer struct {
		State                                          string
		Waiting, Appended, Acked, Evicted, Quarantined uint64
		MemoryHeld                                     int   `json:"memory_held"`
		BytesOnDisk                                    int64 `json:"bytes_on_disk"`
	}
}

func (a *agent) status() (s status, err error) {
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://" + a.http + "/api/v1/status")
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return s, errors.New(answer.Status)
	}
	return s, json.NewDecoder(answer.Body).Decode(&s)
}

// await asks for the agent's status until it is as wanted.
func (a *agent) await(what string, ok func(status) bool) status {
	a.t.Helper()
	return a.awaitFor(what, patience, ok)
}

func (a *agent) awaitFor(what string, limit time.Duration, ok func(status) bool) (last status) {
	a.t.Helper()
	waitFor(a.t, what, limit, func() string {
		select {
		case <-a.done:
			a.t.Fatalf("%s: the agent ended by itself: %v", what, a.cmd.ProcessState)
		default:
		}
		s, err := a.status()
		if err == nil && ok(s) {
			last = s
			return ""
		}
		return fmt.Sprintf("%+v %v", s, err)
	})
	return last
}

// waitFor calls seen again and again until it returns "".
func waitFor(t testing.TB, what string, limit time.Duration, seen func() string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		text := seen()
		if text == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s; last seen: %s", limit, what, text)
		}
	}
}

// drained stops the agent once everything is delivered, and starts it again as often
// as needed.
func (a *agent) drained() {
	a.t.Helper()
	for range 20 {
		a.awaitFor("hardly anything waits", time.Hour, func(s status) bool { return s.Broker.State == "connected" && s.Buffer.Waiting < 50 })
		a.stop()
		in, err := buffer.InfoDir(a.data)
		if err != nil {
			a.t.Fatal(err)
		}
		if in.Waiting == 0 {
			return
		}
		a.start()
	}
	a.t.Fatal("after 20 clean stops there are still records that wait")
}
