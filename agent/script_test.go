package main

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"roomcall/agent/host/hosttest"
	"roomcall/publish/brokertest"
)

// TestCommandLine runs testdata/script: exit codes, standard output and
// standard error of every command, as a person sees them.
//
// Beside testscript's own commands there are:
//
//	simulate NAME [flags]   runs `roomcall simulate`; sets $NAME to its URL and $NAME_FINGERPRINT
//	await PATTERN cmd...    runs a command until its standard output matches
//	exits N command...      runs a command that has to end with exit code N
//	unzip FILE              unpacks a zip file
//	expand FILE...          replaces $NAME in files by the script's variables
//	agent [config]          runs `roomcall run` and returns when it runs; `agent stop` ends it
//	readme FILE             writes what README.md shows to be tried by hand, with this test's addresses
//
// and the variables $BROKER (a mosquitto), $HTTP (a free local address) and
// $CLOSED (an address where nothing listens).
func TestCommandLine(t *testing.T) {
	broker := brokertest.Mosquitto(t, brokertest.Conf{})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("BROKER", broker.URL())
			env.Setenv("HTTP", freeAddr(t))
			env.Setenv("CLOSED", freeAddr(t))
			env.Setenv("CLIENT", strings.ReplaceAll(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"), "_", "-"))
			env.Setenv("ROOMCALL_CONFIG", "")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // a race detector that does not wait at each exit
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"simulate": scriptSimulate,
			"agent":    scriptAgent,
			"expand":   scriptExpand,
			"exits":    scriptExits,
			"await":    scriptAwait,
			"unzip":    scriptUnzip,
			"readme":   scriptReadme,
		},
	})
}

// freeAddr gives a loopback address on which nothing listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// child is a roomcall process that a script or a test started.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu   sync.Mutex
	text strings.Builder
	news chan struct{}
}

// startChild starts cmd and collects what it writes to standard error, and to
// standard output too with both.
func startChild(cmd *exec.Cmd, both bool) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{}), news: make(chan struct{})}
	r, w := io.Pipe()
	cmd.Stderr = w
	if both {
		cmd.Stdout = w
	}
	cmd.WaitDelay = hosttest.Patience
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go c.follow(r)
	go func() {
		_ = cmd.Wait() // the exit code is in ProcessState
		w.Close()
		close(c.done)
	}()
	return c, nil
}

func (c *child) follow(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		c.mu.Lock()
		c.text.WriteString(line)
		close(c.news)
		c.news = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// log is what it wrote so far.
func (c *child) log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// waitLog waits until the text that it wrote matches, and gives the match.
func (c *child) waitLog(pattern *regexp.Regexp) ([]string, error) {
	deadline := time.NewTimer(hosttest.Patience)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		found, news := pattern.FindStringSubmatch(c.text.String()), c.news
		c.mu.Unlock()
		if found != nil {
			return found, nil
		}
		select {
		case <-news:
		case <-c.done:
			if found := pattern.FindStringSubmatch(c.log()); found != nil {
				return found, nil
			}
			return nil, fmt.Errorf("it ended (%v) without %q:\n%s", c.cmd.ProcessState, pattern, c.log())
		case <-deadline.C:
			return nil, fmt.Errorf("no %q within %v:\n%s", pattern, hosttest.Patience, c.log())
		}
	}
}

// stop sends a signal and waits for the end; SIGKILL follows when it stays.
func (c *child) stop(sig syscall.Signal) {
	_ = c.cmd.Process.Signal(sig) // it may have ended already
	late := time.AfterFunc(hosttest.Patience, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	<-c.done
}

// scriptChild starts roomcall within a script, for the length of the script.
func scriptChild(ts *testscript.TestScript, both bool, args ...string) *child {
	path, err := exec.LookPath("roomcall")
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("WORK"), "GORACE=atexit_sleep_ms=0")
	c, err := startChild(cmd, both)
	ts.Check(err)
	ts.Defer(func() { c.stop(syscall.SIGTERM) })
	return c
}

var (
	simulatedURL  = regexp.MustCompile(`url = "([^"]+)"`)
	simulatedCert = regexp.MustCompile(`fingerprint = "([^"]+)"`)
)

func scriptSimulate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: simulate NAME [flags]")
	}
	c := scriptChild(ts, true, append([]string{"simulate", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	found, err := c.waitLog(simulatedURL)
	ts.Check(err)
	ts.Setenv(args[0], found[1])
	if cert := simulatedCert.FindStringSubmatch(c.log()); cert != nil {
		ts.Setenv(args[0]+"_FINGERPRINT", cert[1])
	}
}

// running are the agents of scripts, by work folder.
var running sync.Map

var agentRuns = regexp.MustCompile(`msg="agent runs"`)

func scriptAgent(ts *testscript.TestScript, neg bool, args []string) {
	work := ts.Getenv("WORK")
	if len(args) == 1 && args[0] == "stop" {
		v, ok := running.LoadAndDelete(work)
		if !ok {
			ts.Fatalf("no agent runs")
		}
		c := v.(*child)
		c.stop(syscall.SIGTERM)
		if code := c.cmd.ProcessState.ExitCode(); code != 0 {
			ts.Fatalf("the agent ended with %d:\n%s", code, c.log())
		}
		return
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: agent CONFIG | agent stop")
	}
	c := scriptChild(ts, false, "run", "--config", args[0])
	_, err := c.waitLog(agentRuns)
	ts.Check(err)
	running.Store(work, c)
}

// scriptExits runs a command and looks at its exit code.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N command...")
	}
	code := 0
	var ended *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s\nstdout: %s\nstderr: %s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// scriptAwait runs a command again and again until its output matches.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await PATTERN command...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(hosttest.Patience); ; <-tick.C {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if pattern.MatchString(out) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no %q within %v (%v):\n%s", pattern, hosttest.Patience, err, out)
		}
	}
}

// scriptUnzip unpacks a zip file into the work folder.
func scriptUnzip(ts *testscript.TestScript, _ bool, args []string) {
	z, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer z.Close()
	ts.Check(os.CopyFS(ts.Getenv("WORK"), z))
}

// scriptExpand replaces $NAME in files by the script's variables.
func scriptExpand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		b, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(path, []byte(os.Expand(string(b), ts.Getenv)), 0o600))
	}
}

// scriptReadme writes the block of README.md that tries everything by hand, without
// building it, with free addresses, and with the end of what it starts.
func scriptReadme(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	ts.Check(err)
	_, block, ok := strings.Cut(string(text), "```sh\nmake build\n")
	block, _, end := strings.Cut(block, "```\n")
	if !ok || !end {
		ts.Fatalf("README.md has no block that begins with make build")
	}
	broker := strings.TrimPrefix(ts.Getenv("BROKER"), "tcp://")
	_, port, err := net.SplitHostPort(broker)
	ts.Check(err)
	block = strings.NewReplacer("bin/roomcall", "roomcall", "/tmp/agent.", "agent.", "127.0.0.1:8088", ts.Getenv("CLOSED"),
		"127.0.0.1:1883", broker, "mosquitto_sub", "mosquitto_sub -p "+port,
		"roomcall/v1/#", "roomcall/v1/room-a/#", // other scripts use the same broker
		"data_dir = \"data\"", "data_dir = \"data\"\nhttp_listen = \""+ts.Getenv("HTTP")+"\"").Replace(block)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("set -e\ntrap 'kill %1 %2; wait' EXIT\n"+block), 0o600))
}
