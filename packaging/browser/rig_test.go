// Package browser tests the status page as people see it: the built program and
// simulated endpoints, in Chromium. It contains only tests; `make test-browser` runs
// them and makes the pictures of the documentation.
package browser

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/agent/report"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/cgi"
	"roomcall/cgi/cgitest"
)

// program is the built program.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roomcall-browser-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "roomcall.exe")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.0.0", "-o", path, "roomcall/agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, err
})

// room is a simulated endpoint. Its clock can run ahead of time, so that an hour is
// played in a moment.
type room struct {
	*cgitest.Endpoint
	device, name string
	url          string
	table        string       // what else its [[endpoint]] table has
	fixed        atomic.Int64 // Unix ms; 0 = the system's clock
	server       *httptest.Server
}

func newRoom(t *testing.T, device, name, scenario string, table ...string) *room {
	t.Helper()
	r := &room{device: device, name: name, table: strings.Join(table, "\n")}
	ep, err := cgitest.New(cgitest.Options{Scenario: scenario, Now: r.now})
	if err != nil {
		t.Fatal(err)
	}
	r.Endpoint = ep
	r.server = httptest.NewUnstartedServer(ep)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.Start()
	t.Cleanup(r.server.Close)
	r.url = r.server.URL
	return r
}

func (r *room) now() time.Time {
	if ms := r.fixed.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Now()
}

// act is what a room does from a time before now on.
type act struct {
	before   time.Duration
	scenario string // "" = it is off
}

// agent is one running agent with its rooms.
type agent struct {
	t        *testing.T
	dir      string
	addr     string
	site     string
	language string
	broker   string
	rooms    []*room
	cmd      *exec.Cmd
	log      *hosttest.Log
}

func newAgent(t *testing.T, rooms ...*room) *agent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return &agent{t: t, dir: t.TempDir(), addr: l.Addr().String(), rooms: rooms, log: &hosttest.Log{}, site: "Head office", broker: "tcp://127.0.0.1:1", language: "auto"}
}

// play writes into the store what the agent would have recorded, had it run while the
// rooms did what the acts say. All of it is delivered.
func (a *agent) play(acts map[string][]act) {
	a.t.Helper()
	data := filepath.Join(a.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		a.t.Fatal(err)
	}
	q, err := buffer.Open(buffer.Options{Dir: data, MaxBytes: 256 << 20, KeepDelivered: 24 * time.Hour})
	if err != nil {
		a.t.Fatal(err)
	}
	set := report.Settings{ClientID: "head-office", Site: a.site, Version: "1.0.0", Epoch: q.Epoch(), Kinds: []string{"sample", "event", "call", "minute"}}
	for _, r := range a.rooms {
		limits, _ := report.ProfileByName("huawei")
		set.Devices = append(set.Devices, report.Device{Name: r.device, Room: r.name, PollInterval: 5 * time.Second, IdleInterval: 15 * time.Second, Limits: limits})
	}
	reporter, err := report.New(set)
	if err != nil {
		a.t.Fatal(err)
	}
	now := time.Now()
	var batch buffer.Batch
	var records []buffer.Record
	batch.State = map[string][]byte{}
	for _, r := range a.rooms {
		client, err := cgi.New(cgi.Config{URL: r.url})
		if err != nil {
			a.t.Fatal(err)
		}
		st := report.State{}
		for i, one := range acts[r.device] {
			at, end := now.Add(-one.before), now
			if i+1 < len(acts[r.device]) {
				end = now.Add(-acts[r.device][i+1].before)
			}
			r.fixed.Store(at.UnixMilli())
			if one.scenario != "" {
				if err := r.SetScenario(one.scenario); err != nil {
					a.t.Fatal(err)
				}
			}
			for at.Before(end) {
				r.fixed.Store(at.UnixMilli())
				poll := report.Poll{Device: r.device, At: at, Took: 30 * time.Millisecond}
				if one.scenario == "" {
					poll.Err = &cgi.Error{Kind: cgi.KindUnreachable, Reason: "timeout"}
				} else {
					poll.Status, poll.Err = client.Poll(a.t.Context())
				}
				next, out := reporter.Poll(st, poll)
				st = next
				for _, rec := range out.Records {
					records = append(records, buffer.Record{Lane: rec.Device + "/" + rec.Kind, Num: rec.Seq, Time: time.UnixMilli(rec.TimeMs), Fresh: rec.Fresh, Payload: rec.Payload})
				}
				at = at.Add(out.Interval)
			}
		}
		r.fixed.Store(0)
		if batch.State[r.device], err = st.Marshal(); err != nil {
			a.t.Fatal(err)
		}
		if err := client.Close(a.t.Context()); err != nil {
			a.t.Fatal(err)
		}
	}
	for len(records) > 0 {
		n := min(len(records), 2000)
		batch.Records, records = records[:n], records[n:]
		if err := q.Append(batch); err != nil {
			a.t.Fatal(err)
		}
	}
	_, last := q.Progress()
	if err := q.Ack(last); err != nil {
		a.t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		a.t.Fatal(err)
	}
}

// start starts the agent and waits until each room was polled.
func (a *agent) start() {
	a.t.Helper()
	path, err := program()
	if err != nil {
		a.t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "[agent]\nclient_id = \"head-office\"\nsite = %q\ndata_dir = \"data\"\nhttp_listen = %q\nlanguage = %q\n[mqtt]\nbroker = %q\nreconnect_max = \"1s\"\n", a.site, a.addr, a.language, a.broker)
	for _, r := range a.rooms {
		fmt.Fprintf(&text, "[[endpoint]]\ndevice = %q\nroom = %q\nurl = %q\npoll_interval = \"1s\"\nidle_interval = \"1s\"\ntimeout = \"1s\"\n%s\n", r.device, r.name, r.url, r.table)
	}
	config := filepath.Join(a.dir, "agent.toml")
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.cmd = exec.Command(path, "run", "--config", config)
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(a.kill)
	hosttest.WaitFor(a.t, "each room was polled", func() (bool, string) {
		page, err := a.get("/metrics")
		if err != nil {
			return false, err.Error() + "\n" + a.log.String()
		}
		return strings.Count(page, "\nroomcall_last_poll_timestamp_seconds{") == len(a.rooms), a.log.String()
	})
}

func (a *agent) kill() {
	if a.cmd != nil && a.cmd.ProcessState == nil {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
	}
}

func (a *agent) url(path string) string { return "http://" + a.addr + path }

// get asks the agent.
func (a *agent) get(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hosttest.Patience)
	defer cancel()
	body, err := web.Get(ctx, a.addr, path, web.Patience(path, 0))
	if err != nil {
		return "", err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	return string(b), err
}
