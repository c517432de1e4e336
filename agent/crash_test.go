package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// TestKilledAtAnyInstant kills the agent with SIGKILL at random instants, again
// and again, under load, while the broker comes and goes. In the end everything
// that was accepted has arrived, in order, no hole, each payload as it should be.
// The long runs, the broker up and down, and what becomes of calls are in
// packaging/soak.
func TestKilledAtAnyInstant(t *testing.T) {
	r := newRig(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	sim := newSimulator(t, cgitest.Options{Scenario: "meeting-day", Now: faster(30)})
	broker := brokertest.Mosquitto(t, kept)
	sub := r.consumer(broker)
	var tables []string
	for i := range 6 {
		tables = append(tables, endpointTable(fmt.Sprintf("room-%d", i), sim.url()))
	}
	r.configure(append(tables, mqttTable(broker.URL()))...)
	steady := broker.Flap(rnd.Uint64(), 400*time.Millisecond, 300*time.Millisecond)
	defer steady()
	for range 8 {
		r.start()
		select {
		case <-time.After(time.Duration(20+rnd.IntN(700)) * time.Millisecond):
		case <-r.agent.done:
			t.Fatalf("the agent ended by itself (%v):\n%s", r.agent.cmd.ProcessState, tail(r.agent.log(), 4000))
		}
		r.kill()
	}
	steady()
	r.run()
	from := time.Now().UnixMilli()
	r.waitSamples(sub, "room-0", 3, func(a arrival) bool { return a.tsMs > from })
	r.drained()
	got := r.consumed(sub)
	for _, kind := range []string{"agent.quarantined", "agent.store_damaged", "agent.store_reset", "agent.gap"} {
		for _, ev := range got.events("agent/event", kind) {
			t.Errorf("kills alone led to %s", ev.payload)
		}
	}
	t.Logf("%d records, %d duplicates", got.stored, got.dups)
}
