package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/run"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// TestReloadTakesAGoodConfigAndRefusesABadOne: one process, numbers that go on.
func TestReloadTakesAGoodConfigAndRefusesABadOne(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	sub := r.consumer(broker)
	table, mqtt := endpointTable("room-1", sim.url()), mqttTable(broker.URL())
	r.configure(table, mqtt)
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)

	r.configure(endpointTable("room-1", sim.url(), `room = "Aquarium"`), endpointTable("room-2", sim.url()), mqtt)
	r.signal(syscall.SIGHUP)
	r.waitSamples(sub, "room-1", 3, func(a arrival) bool { return a.text("room") == "Aquarium" })
	r.waitSamples(sub, "room-2", 3, pollOK)

	r.configure(endpointTable("room-1", sim.url(), `poll_intervall = "1s"`), mqtt)
	r.signal(syscall.SIGHUP)
	r.waitLog(`level=ERROR msg="reload refused, the old config goes on".*poll_intervall`)
	r.waitStatus("the refused reload is shown", func(st health.Status) bool {
		return slices.ContainsFunc(st.Problems, func(p health.Problem) bool {
			return p.Code == "reload_refused" && strings.Contains(p.Detail, "poll_intervall") && !p.Since.IsZero() && p.Hint != ""
		})
	})
	from := time.Now().UnixMilli()
	r.waitSamples(sub, "room-2", 3, func(a arrival) bool { return a.tsMs > from })

	// a config that can be read, but not started
	r.configure(table, mqtt)
	text, err := os.ReadFile(r.configFile())
	if err != nil {
		t.Fatal(err)
	}
	r.writeConfig(strings.Replace(string(text), `data_dir = "data"`, `data_dir = "agent.toml"`, 1)) // no folder
	r.signal(syscall.SIGHUP)
	r.waitLog(`(?s)reload refused.*reload refused`)
	from = time.Now().UnixMilli()
	r.waitSamples(sub, "room-2", 3, func(a arrival) bool { return a.tsMs > from })
	r.stop()
	r.configure(table, mqtt)
	r.run()
	r.drained()
	r.consumed(sub)
}

// TestSecondAgentOnTheSameStoreIsRefused: exit code 1, and the first goes on.
func TestSecondAgentOnTheSameStoreIsRefused(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()))
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)
	stdout, stderr, code := r.output("run")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "already running") {
		t.Errorf("exit code %d\nstdout: %s\nstderr: %s", code, stdout, stderr)
	}
	seen := len(sub.Messages())
	sub.Wait(func(got []brokertest.Message) bool { return len(got) > seen+20 })
	r.drained()
	r.consumed(sub)
}

// TestSecretsShowNowhere looks for every password in all that the agent says
// and keeps.
func TestSecretsShowNowhere(t *testing.T) {
	const device, mqtt, wrong = "Dev1ce-Secret-ä", "Br0ker-Secret", "Wr0ng-Secret"
	r := newRig(t)
	r.http = freeAddr(t)
	sim := newSimulator(t, cgitest.Options{Username: "api", Password: device})
	other := newSimulator(t, cgitest.Options{Username: "api", Password: device})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Users: map[string]string{"pc": mqtt, "consumer": "c"}, Extra: lossless})
	sub := r.consumer(broker, brokertest.Subscription{Username: "consumer", Password: "c"})

	tables := []string{
		endpointTable("room-1", sim.url(), `username = "api"`, fmt.Sprintf("password = %q", device)),
		endpointTable("room-2", other.url(), `username = "api"`, `password_file = "wrong.txt"`),
	}
	r.file("wrong.txt", wrong+"\n")
	r.file("mqtt.txt", wrong+"\n")
	r.configure(append(tables, mqttTable(broker.URL(), `username = "pc"`, `password_file = "mqtt.txt"`))...)
	r.run()
	r.waitStatus("both are refused", func(st health.Status) bool {
		return st.Broker.State == "refused" && len(st.Endpoints) == 2 && st.Endpoints[1].State == "refused"
	})
	said := map[string]string{"status while refused": r.everything()}
	r.stop()
	r.file("mqtt.txt", mqtt+"\n")
	r.run()
	r.waitSamples(sub, "room-1", 5, pollOK)
	r.waitSamples(sub, "room-2", 5, pollFailed)
	said["status"] = r.everything()
	said["command line and environment"] = r.process()
	r.drained()
	said["log"] = r.log()
	for _, m := range sub.Messages() {
		said["MQTT"] += m.Topic + string(m.Payload)
	}
	said["store"] = readAll(t, r.data())
	r.consumed(sub)
	for where, text := range said {
		if len(text) == 0 {
			t.Errorf("%s: there is nothing to look into", where)
		}
		for _, secret := range []string{device, mqtt, wrong, fmt.Sprintf("%+q", device), "Dev1ce-Secret"} {
			if strings.Contains(text, strings.Trim(secret, `"`)) {
				t.Errorf("%s shows the secret %q", where, secret)
			}
		}
	}
}

// everything is what the agent's pages and the commands say.
func (r *rig) everything() string {
	r.t.Helper()
	var all strings.Builder
	key, err := run.LocalKey(r.data())
	if err != nil {
		r.t.Error(err)
	}
	for _, path := range []string{"/", "/healthz", "/metrics", "/api/v1/status", "/api/v1/samples", "/api/v1/buffer", "/api/v1/buffer/export?delivered=1"} {
		body, err := r.askAs(path, key)
		if err != nil {
			r.t.Errorf("%s: %v", path, err)
		}
		all.Write(body)
	}
	for _, args := range [][]string{
		{"status"}, {"status", "--json"}, {"config", "show"}, {"config", "show", "--effective"},
		{"check"}, {"check", "--json"}, {"poll", "room-1"}, {"poll", "room-2"}, {"poll", "--raw"}, {"poll", "--json"}, {"buffer", "info"},
	} {
		stdout, stderr, _ := r.output(args...)
		all.WriteString(stdout + stderr)
	}
	return all.String() + r.bundle()
}

// bundle is what diag puts together for support, unpacked.
func (r *rig) bundle() string {
	r.t.Helper()
	name := filepath.Join(r.t.TempDir(), "diag.zip")
	stdout, stderr, _ := r.output("diag", "--out", name)
	z, err := zip.OpenReader(name)
	if err != nil {
		r.t.Fatalf("the bundle: %v; diag said %s%s", err, stdout, stderr)
	}
	defer z.Close()
	all := stdout + stderr
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			r.t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			r.t.Fatal(err)
		}
		all += f.Name + string(b)
	}
	return all
}

// process is the agent's command line and environment as others see them.
func (r *rig) process() string {
	dir := fmt.Sprintf("/proc/%d", r.agent.cmd.Process.Pid)
	line, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return strings.Join(slices.Concat(r.agent.cmd.Args, r.agent.cmd.Env), " ") // no /proc here
	}
	env, err := os.ReadFile(dir + "/environ")
	if err != nil {
		r.t.Error(err)
	}
	return string(line) + string(env)
}

func readAll(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return all.String()
}

// TestStopUnderLoad: an orderly stop with a backlog and a broker that takes
// messages slowly ends well, says "offline", and keeps what is left.
func TestStopUnderLoad(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{Scenario: "join-leave"})
	broker := brokertest.Mosquitto(t, kept)
	slow := brokertest.NewProxy(t, broker.Addr(), brokertest.Network{})
	sub := r.consumer(broker)
	broker.Stop()
	var tables []string
	for i := range 4 {
		tables = append(tables, endpointTable(fmt.Sprintf("room-%d", i), sim.url()))
	}
	r.configure(append(slices.Clone(tables), mqttTable("tcp://"+slow.Addr()))...)
	r.run()
	r.waitStatus("a backlog", func(st health.Status) bool { return st.Buffer.Waiting > 1000 })
	slow.Set(brokertest.Network{BitsPerSec: 2_000_000})
	broker.Start()
	sub.Wait(func(got []brokertest.Message) bool { return len(got) > 50 })
	r.stop() // fails the test when the exit code is not 0
	sub.WaitFor("roomcall/v1/"+r.client+"/availability", "offline")
	r.configure(append(tables, mqttTable(broker.URL()))...)
	r.run()
	r.drained()
	got := r.consumed(sub)
	if n := len(got.events("agent/event", "agent.quarantined")); n > 0 {
		t.Errorf("%d records were quarantined", n)
	}
}
