package run

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/host/hosttest"
	"roomcall/buffer"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// TestTheStopIsInOrder runs an agent whose broker acknowledges so slowly that records
// wait at the stop: they are delivered first, then "offline" goes out, and the store
// is closed last.
func TestTheStopIsInOrder(t *testing.T) {
	sim, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting", Username: "api", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(sim)
	defer endpoint.Close()
	broker := brokertest.NewFake(t, brokertest.Faults{AckDelay: 10 * time.Millisecond})
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.toml")
	text := fmt.Sprintf(`[agent]
client_id = "pc"
data_dir = "data"
http_listen = ""
[[endpoint]]
device = "hub"
url = %q
username = "api"
password = "pw"
poll_interval = "1s"
[mqtt]
broker = %q
max_inflight = 1
`, endpoint.URL, broker.URL())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(path, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := &hosttest.Log{}
	a, err := New(t.Context(), "test", cfg, nil, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, func() {}) }()
	hosttest.WaitFor(t, "records wait for a connected broker", func() (bool, string) {
		return a.drainer.Connected() && a.queue.Info().Waiting > 3, fmt.Sprintf("%+v\n%s", a.queue.Info(), log)
	})
	if sim.OpenSessions() != 1 {
		t.Errorf("%d sessions are open at the endpoint", sim.OpenSessions())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	a.Close()

	if n := sim.OpenSessions(); n != 0 {
		t.Errorf("%d sessions are left open at the endpoint", n)
	}
	got := broker.Received()
	if last := got[len(got)-1]; !strings.HasSuffix(last.Topic, "/availability") || string(last.Payload) != "offline" {
		t.Errorf("the last message is %s %q", last.Topic, last.Payload)
	}
	if n := len(broker.Wills()); n != 0 {
		t.Errorf("the broker published %d wills", n)
	}
	if info, err := buffer.InfoDir(cfg.Agent.DataDir); err != nil || info.Waiting != 0 {
		t.Errorf("%d records are left in the store that the broker could have had; %v", info.Waiting, err)
	}
	if log.Count("level=ERROR") > 0 {
		t.Errorf("an orderly stop logs:\n%s", log)
	}
	a, err = New(t.Context(), "test", cfg, nil, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.reason != "start" {
		t.Errorf("after an orderly stop the next start is a %q", a.reason)
	}
}
