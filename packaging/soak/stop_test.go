package soak

import (
	"math/rand/v2"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

// TestStopUnderLoadIsShortAndLosesNothing ends the agent with SIGTERM at random
// instants of a drain, SOAK_STOPS times, every other time with a network that
// has just fallen silent. The longest stop is reported, not asserted.
func TestStopUnderLoadIsShortAndLosesNothing(t *testing.T) {
	t.Parallel()
	stops := count(t, "SOAK_STOPS", 2)
	rnd := rand.New(rand.NewPCG(9, 9))
	sim := newRooms(t)
	broker := brokertest.Mosquitto(t, kept)
	sub := listen(t, broker.URL(), "")
	proxy := brokertest.NewProxy(t, broker.Addr(), brokertest.Network{})
	a := newAgent(t, "", room("room-1", sim.url, "100ms"), brokerTable("tcp://"+proxy.Addr()), "[buffer]\nmax_bytes = \"4GiB\"")
	fill(t, a.data, stops*10_000, 200)
	var longest [2]time.Duration // the network was good, silent
	for i := range stops {
		a.start()
		a.await("the drain continues", func(s status) bool { return s.Buffer.Acked > 0 })
		pause(t.Context(), time.Duration(rnd.IntN(300))*time.Millisecond)
		proxy.Set(brokertest.Network{Freeze: i%2 == 1})
		began := time.Now()
		a.stop()
		longest[i%2] = max(longest[i%2], time.Since(began))
		proxy.Set(brokertest.Network{})
	}
	a.start()
	a.drained()
	sum := sub.check(a.data)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if said := sub.plain["availability"]; len(said) == 0 || said[len(said)-1] != "offline" {
		t.Errorf("availability is %q at the end", said)
	}
	t.Logf("%d stops in a drain of %d records: 0 lost, %d duplicates; the longest took %v, with a silent network %v",
		stops, stops*10_000, sum.dups, longest[0].Round(time.Millisecond), longest[1].Round(time.Millisecond))
}
