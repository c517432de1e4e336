package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/publish/brokertest"
)

// rig is one agent, as built, with what stands around it.
type rig struct {
	t      *testing.T
	dir    string
	client string
	http   string // [agent] http_listen
	agent  *child
	logs   strings.Builder // of the agents before
}

// newRig names the agent after the test. The agent is ended with the test.
func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	name := strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))
	name = regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(name, "-")
	r := &rig{t: t, dir: t.TempDir(), client: name[:min(len(name), 40)], http: "127.0.0.1:0"}
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("the agent's log:\n%s", tail(r.log(), 6000))
		}
	})
	return r
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// endpointTable is an [[endpoint]] that is polled often; a key in extra
// replaces one of these.
func endpointTable(device, url string, extra ...string) string {
	keys := []string{
		fmt.Sprintf("device = %q", device), fmt.Sprintf("url = %q", url),
		`poll_interval = "100ms"`, `idle_interval = "100ms"`, `timeout = "2s"`,
	}
	return "[[endpoint]]\n" + strings.Join(override(keys, extra), "\n")
}

func mqttTable(broker string, extra ...string) string {
	keys := []string{
		fmt.Sprintf("broker = %q", broker), `reconnect_min = "100ms"`, `reconnect_max = "300ms"`, `replay_rate = 0`,
	}
	return "[mqtt]\n" + strings.Join(override(keys, extra), "\n")
}

func override(keys, extra []string) []string {
	name := func(s string) string { k, _, _ := strings.Cut(s, " "); return k }
	for _, e := range extra {
		for i, k := range keys {
			if name(k) == name(e) {
				keys = append(keys[:i:i], keys[i+1:]...)
				break
			}
		}
	}
	return append(keys, extra...)
}

// configure writes agent.toml: the table [agent] and the given ones.
func (r *rig) configure(tables ...string) {
	r.t.Helper()
	text := fmt.Sprintf("[agent]\nclient_id = %q\ndata_dir = \"data\"\nhttp_listen = %q\nlog_level = \"debug\"\n", r.client, r.http)
	r.writeConfig(text + strings.Join(tables, "\n\n") + "\n")
}

func (r *rig) writeConfig(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.configFile(), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *rig) configFile() string { return filepath.Join(r.dir, "agent.toml") }
func (r *rig) data() string       { return filepath.Join(r.dir, "data") }

func (r *rig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary(r.t), append(args, "--config", r.configFile())...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// output runs a command of the program and gives what it wrote, both streams,
// and its exit code.
func (r *rig) output(args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	cmd := r.command(args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// start starts the agent without waiting for anything.
func (r *rig) start() {
	r.t.Helper()
	if r.agent != nil {
		r.logs.WriteString(r.agent.log())
	}
	c, err := startChild(r.command("run"), false)
	if err != nil {
		r.t.Fatal(err)
	}
	r.agent = c
}

// run starts the agent and returns when it runs.
func (r *rig) run() {
	r.t.Helper()
	r.start()
	r.waitLog(`msg="agent runs"`)
}

// kill ends the agent with SIGKILL; nothing of it runs afterwards.
func (r *rig) kill() {
	if r.agent != nil {
		_ = r.agent.cmd.Process.Kill() // it may have ended already
		<-r.agent.done
	}
}

// stop ends the agent in good order.
func (r *rig) stop() {
	r.t.Helper()
	r.agent.stop(syscall.SIGTERM)
	if code := r.agent.cmd.ProcessState.ExitCode(); code != 0 {
		r.t.Fatalf("the agent ended with %v:\n%s", r.agent.cmd.ProcessState, tail(r.agent.log(), 4000))
	}
}

func (r *rig) signal(sig syscall.Signal) {
	r.t.Helper()
	if err := r.agent.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

// log is what this rig's agents wrote so far.
func (r *rig) log() string {
	if r.agent == nil {
		return r.logs.String()
	}
	return r.logs.String() + r.agent.log()
}

// waitLog waits for a line of the agent that runs.
func (r *rig) waitLog(pattern string) []string {
	r.t.Helper()
	found, err := r.agent.waitLog(regexp.MustCompile(pattern))
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// ask gets one answer of the agent's local HTTP. The address is that of its
// newest start or reload.
func (r *rig) ask(path string) ([]byte, error) { return r.askAs(path, "") }

// askAs asks with a key to what may have names of people, "" = without.
func (r *rig) askAs(path, key string) ([]byte, error) {
	all := httpAddr.FindAllStringSubmatch(r.agent.log(), -1)
	if len(all) == 0 {
		return nil, fmt.Errorf("the agent does not run yet")
	}
	ctx, cancel := context.WithTimeout(context.Background(), hosttest.Patience)
	defer cancel()
	body, err := web.GetWithKey(ctx, all[len(all)-1][1], path, web.Patience(path, 0), key)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

var httpAddr = regexp.MustCompile(`msg="agent runs".* http=(\S+)`)

// waitStatus waits until the agent's status is as wanted.
func (r *rig) waitStatus(what string, ok func(health.Status) bool) health.Status {
	r.t.Helper()
	var st health.Status
	hosttest.WaitFor(r.t, what, func() (bool, string) {
		body, err := r.ask("/api/v1/status")
		if err != nil {
			return false, err.Error()
		}
		st = health.Status{}
		if err := json.Unmarshal(body, &st); err != nil {
			return false, err.Error()
		}
		return ok(st), string(body)
	})
	return st
}

// drained stops the agent once everything is delivered, starting it again as
// often as that takes.
func (r *rig) drained() {
	r.t.Helper()
	for range 20 {
		r.waitStatus("hardly anything waits", func(st health.Status) bool {
			return st.Broker.State == "connected" && st.Broker.Proof != "pending" && st.Buffer.Waiting < 50
		})
		r.stop()
		in, err := buffer.InfoDir(r.data())
		if err != nil {
			r.t.Fatal(err)
		}
		if in.Waiting == 0 {
			return
		}
		r.run()
	}
	r.t.Fatal("after 20 orderly stops there are still records that wait")
}

// consumer subscribes to all of the agent's topics and stays over restarts of
// the broker.
func (r *rig) consumer(broker *brokertest.Server, extra ...brokertest.Subscription) *brokertest.Subscriber {
	r.t.Helper()
	sub := brokertest.Subscription{}
	if len(extra) > 0 {
		sub = extra[0]
	}
	sub.URL, sub.Filter, sub.ClientID = broker.URL(), "roomcall/v1/"+r.client+"/#", "consumer-"+r.client
	return brokertest.Subscribe(r.t, sub)
}

// lossless are the lines with which mosquitto bounds no queue and no window, so
// that a slow consumer is not taken for a loss.
var lossless = []string{"max_queued_messages 0", "max_inflight_messages 0"}

// waitSamples waits until a consumer has n samples of a device that suit ok.
func (r *rig) waitSamples(sub *brokertest.Subscriber, device string, n int, ok func(arrival) bool) {
	r.t.Helper()
	topic := "roomcall/v1/" + r.client + "/" + device + "/sample"
	seen, count := 0, 0
	sub.Wait(func(got []brokertest.Message) bool {
		for ; seen < len(got); seen++ {
			if got[seen].Topic != topic {
				continue
			}
			a, err := readArrival(r.client, device, "sample", got[seen].Payload)
			if err == nil && ok(a) {
				count++
			}
		}
		return count >= n
	})
}

func pollOK(a arrival) bool     { return a.is("poll_ok", 1) }
func pollFailed(a arrival) bool { return a.is("poll_ok", 0) }
