package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

// crashRounds is how often the agent is killed; ROOMCALL_CRASH_ROUNDS sets it
// for a long run.
func crashRounds(t *testing.T) int {
	text := os.Getenv("ROOMCALL_CRASH_ROUNDS")
	if text == "" {
		return 6
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("ROOMCALL_CRASH_ROUNDS is %q: a number is needed", text)
	}
	return n
}

// TestKilledAtAnyInstant kills the agent with SIGKILL at random instants, again
// and again, under load, while the broker is up, down, or comes and goes. In the
// end everything that was accepted has arrived: no hole, in order.
func TestKilledAtAnyInstant(t *testing.T) {
	for _, mode := range []string{"up", "down", "flapping"} {
		t.Run(mode, func(t *testing.T) { killRounds(t, mode, crashRounds(t)) })
	}
}

func killRounds(t *testing.T, mode string, rounds int) {
	r := newRig(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d, %d rounds", seed, rounds)
	sim := newSimulator(t, cgitest.Options{Scenario: "meeting-day", Now: faster(30)})
	broker := brokertest.Mosquitto(t, kept)
	sub := r.consumer(broker)
	var tables []string
	for i := range 6 {
		tables = append(tables, endpointTable(fmt.Sprintf("room-%d", i), sim.url()))
	}
	r.configure(append(tables, mqttTable(broker.URL()))...)
	stopFlapping := flap(t, mode, broker, rnd.Uint64())
	for range rounds {
		r.start()
		select {
		case <-time.After(time.Duration(20+rnd.IntN(700)) * time.Millisecond):
		case <-r.agent.done:
			t.Fatalf("the agent ended by itself (%v):\n%s", r.agent.cmd.ProcessState, tail(r.agent.log(), 4000))
		}
		r.kill()
	}
	stopFlapping()
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

// flap stops and starts the broker until the returned function is called, which
// leaves it up.
func flap(t *testing.T, mode string, broker *brokertest.Server, seed uint64) func() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	switch mode {
	case "down":
		broker.Stop()
	case "flapping":
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 1))
			for ctx.Err() == nil {
				pause(ctx, time.Duration(rnd.IntN(400))*time.Millisecond)
				broker.Stop()
				pause(ctx, time.Duration(rnd.IntN(300))*time.Millisecond)
				broker.Start()
			}
		})
	}
	end := func() {
		cancel()
		wg.Wait()
		if mode == "down" {
			broker.Start()
		}
	}
	return sync.OnceFunc(end)
}

// pause waits for a random instant.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
