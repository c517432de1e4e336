package main

import (
	"fmt"
	"testing"

	"roomcall/agent/health"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// TestStoreLimitIsAnnounced: with the broker away for longer than the store has
// room, the oldest go, each hole is announced by agent.gap and nothing else is
// missing.
func TestStoreLimitIsAnnounced(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{Scenario: "join-leave", Now: faster(30)})
	broker := brokertest.Mosquitto(t, kept)
	sub := r.consumer(broker)
	broker.Stop()
	var tables []string
	for i := range 10 {
		tables = append(tables, endpointTable(fmt.Sprintf("room-%d", i), sim.url()))
	}
	r.configure(append(tables, mqttTable(broker.URL()), "[buffer]\nmax_bytes = \"1MiB\"")...)
	r.run()
	st := r.waitStatus("records are evicted", func(st health.Status) bool { return st.Buffer.Evicted > 500 })
	if st.Buffer.BytesOnDisk > 1<<20 {
		t.Errorf("the store takes %d bytes of 1 MiB", st.Buffer.BytesOnDisk)
	}
	broker.Start()
	r.drained()
	got := r.consumed(sub)
	gaps := got.events("agent/event", "agent.gap")
	if len(gaps) == 0 {
		t.Fatal("no event agent.gap")
	}
	for _, g := range gaps {
		if g.text("reason") != "max_bytes" || g.text("severity") == "" {
			t.Errorf("gap: %s", g.payload)
		}
	}
}
