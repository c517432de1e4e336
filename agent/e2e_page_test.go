package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"roomcall/agent/host/hosttest"
	"roomcall/cgi/cgitest"
)

// shownHistory is what of /api/v1/history the tests look at.
type shownHistory struct {
	Readings struct{ T []int64 }
	Minutes  struct{ T []int64 }
	Calls    []struct {
		CallID string `json:"call_id"`
	}
}

func (r *rig) history(device string) (h shownHistory, err error) {
	b, err := r.ask("/api/v1/history?device=" + device)
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	return h, err
}

func TestHistoryOfThePageSurvivesAKill(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	r.configure(endpointTable("room-1", sim.url()), mqttTable("tcp://127.0.0.1:1"))
	r.run()
	var before shownHistory
	wait := func(what string, ok func(shownHistory) bool) {
		t.Helper()
		hosttest.WaitFor(t, what, func() (bool, string) {
			h, err := r.history("room-1")
			before = h
			return err == nil && ok(h), tail(r.log(), 500)
		})
	}
	wait("a reading", func(h shownHistory) bool { return len(h.Readings.T) > 0 })
	if err := sim.SetScenario("idle"); err != nil {
		t.Fatal(err)
	}
	wait("the call's end", func(h shownHistory) bool { return len(h.Calls) == 1 })
	first := before
	r.kill()
	r.run()
	wait("what was before the kill", func(h shownHistory) bool {
		return len(h.Readings.T) > 0 && h.Readings.T[0] == first.Readings.T[0] && len(h.Minutes.T) > 0 && h.Minutes.T[0] == first.Minutes.T[0] &&
			len(h.Calls) == 1 && h.Calls[0] == first.Calls[0]
	})
}

var peer = regexp.MustCompile(`"peer":"([^"]+)"`)

func TestRunningAgentExportsRecordsOnlyToWhoMayReadItsFolder(t *testing.T) {
	r := newRig(t)
	r.http = freeAddr(t) // so that export finds the agent
	sim := newSimulator(t, cgitest.Options{})
	r.configure(endpointTable("room-1", sim.url(), `peer_names = "plain"`), mqttTable("tcp://127.0.0.1:1"))
	r.run()
	name := ""
	hosttest.WaitFor(t, "a name in the export", func() (bool, string) {
		stdout, stderr, _ := r.output("buffer", "export")
		if found := peer.FindStringSubmatch(stdout); found != nil {
			name = found[1]
		}
		return name != "", stderr
	})
	_, err := r.ask("/api/v1/buffer/export")
	if err == nil || !strings.Contains(err.Error(), "answered 403") {
		t.Errorf("without the key of its folder: %v", err)
	}
	for _, path := range []string{"/", "/api/v1/status", "/api/v1/samples", "/api/v1/history?device=room-1", "/api/v1/buffer", "/metrics"} {
		body, err := r.ask(path)
		if err != nil || strings.Contains(string(body), name) || strings.Contains(string(body), `"peer"`) {
			t.Errorf("%s shows a name, or %v", path, err)
		}
	}
}
