package main

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
)

const (
	// patience is the timeout of every wait; it ends a hanging measurement and is never
	// a measured time.
	patience = 60 * time.Second
	// binaryEnv names the agent's binary, an absolute path; without it the
	// benchmark builds one.
	binaryEnv = "ROOMCALL_BENCH_BINARY"
	clientID  = "bench"
)

// process is a child that ends with the benchmark, even when that is killed.
type process struct {
	cmd  *exec.Cmd
	log  string // file with what it wrote
	done chan struct{}
}

func start(tb testing.TB, dir, name string, args ...string) *process {
	tb.Helper()
	p := &process{cmd: exec.Command(name, args...), log: filepath.Join(dir, filepath.Base(name)+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code of a stopped child means nothing
		close(p.done)
	}()
	tb.Cleanup(p.stop)
	return p
}

// stop ends the child with SIGTERM, then by force.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// fail ends the benchmark and shows the child's last output.
func (p *process) fail(tb testing.TB, format string, args ...any) {
	tb.Helper()
	text, _ := os.ReadFile(p.log)
	tb.Fatalf("%s\n%s", fmt.Sprintf(format, args...), text[max(0, len(text)-4000):])
}

// freeAddr returns a loopback address that nobody uses at the moment.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// kill ends the child with SIGKILL: it can save nothing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// broker is a real mosquitto. It logs only errors, because a log line per message would
// be part of the figure.
type broker struct {
	*process
	addr, dir string
}

// mosquitto starts a broker and returns its address.
func mosquitto(tb testing.TB, extra ...string) string { return newBroker(tb, extra...).addr }

func newBroker(tb testing.TB, extra ...string) *broker {
	tb.Helper()
	b := &broker{addr: freeAddr(tb), dir: tb.TempDir()}
	_, port, _ := net.SplitHostPort(b.addr)
	lines := append([]string{"listener " + port + " 127.0.0.1", "allow_anonymous true", "log_dest stderr", "log_type error"}, extra...)
	if os.Geteuid() == 0 {
		lines = append(lines, "user root")
	}
	write(tb, filepath.Join(b.dir, "mosquitto.conf"), strings.Join(lines, "\n")+"\n")
	b.start(tb)
	return b
}

// start starts it, also again.
func (b *broker) start(tb testing.TB) {
	tb.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	b.process = start(tb, b.dir, path, "-c", filepath.Join(b.dir, "mosquitto.conf"))
	await(tb, b.process, "mosquitto does not listen", func() bool {
		c, err := net.Dial("tcp", b.addr)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// await calls ok every 10 ms until it is true.
func await(tb testing.TB, p *process, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-p.done:
			p.fail(tb, "%s: it ended", what)
		case <-end:
			p.fail(tb, "%s within %v", what, patience)
		}
	}
}

// agent is the real program in its own process.
type agent struct {
	*process
	dir, http string
}

// device is one [[endpoint]] of the agent's configuration.
type device struct{ name, url, interval string }

// newAgent prepares an agent with default settings except for those given.
func newAgent(tb testing.TB, broker, buffer string, devices ...device) *agent {
	tb.Helper()
	a := &agent{dir: tb.TempDir(), http: freeAddr(tb)}
	var text strings.Builder
	fmt.Fprintf(&text, "[agent]\nclient_id = %q\ndata_dir = \"data\"\nhttp_listen = %q\n", clientID, a.http)
	for _, d := range devices {
		fmt.Fprintf(&text, "[[endpoint]]\ndevice = %q\nurl = %q\npoll_interval = %q\nidle_interval = %q\n", d.name, d.url, d.interval, d.interval)
	}
	fmt.Fprintf(&text, "[mqtt]\nbroker = \"tcp://%s\"\nreplay_rate = 0\nreconnect_max = \"5s\"\n[buffer]\n%s\n", broker, buffer)
	write(tb, filepath.Join(a.dir, "agent.toml"), text.String())
	return a
}

// data is the folder of the agent's store.
func (a *agent) data() string { return filepath.Join(a.dir, "data") }

func (a *agent) start(tb testing.TB) {
	tb.Helper()
	a.process = start(tb, a.dir, binary(tb), "--config", filepath.Join(a.dir, "agent.toml"), "run")
	await(tb, a.process, "the agent does not connect to the broker", func() bool {
		s, err := a.status()
		return err == nil && s.Broker.State == "connected"
	})
}

// binary returns the path of the agent's program.
func binary(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv(binaryEnv); path != "" {
		return path
	}
	path := filepath.Join(tb.TempDir(), "roomcall")
	build := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", path, "roomcall/agent") // as in the Makefile
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build the agent: %v\n%s", err, out)
	}
	return path
}

// status is what the measurements read from the agent's local HTTP.
type status struct {
	Endpoints []struct{ Polls, Failures, Skipped uint64 }
	Broker    struct {
		State   string
		Since   time.Time
		LastAck time.Time `json:"last_ack"`
	}
	Buffer struct{ Waiting uint64 }
}

func (a *agent) status() (s status, err error) {
	answer, err := http.Get("http://" + a.http + "/api/v1/status")
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return s, errors.New(answer.Status)
	}
	return s, json.NewDecoder(answer.Body).Decode(&s)
}

// mustStatus is status for an agent that must answer.
func (a *agent) mustStatus(tb testing.TB) status {
	tb.Helper()
	s, err := a.status()
	if err != nil {
		a.fail(tb, "ask the agent: %v", err)
	}
	return s
}
