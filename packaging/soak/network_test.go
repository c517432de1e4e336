package soak

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

// badNetworks are the ways in which the network between agent and broker is bad.
// The names and the meaning are those of toxiproxy's toxics.
var badNetworks = []struct {
	name   string
	steady brokertest.Network
	long   bool // needs more time than the short form has
	run    func(ctx context.Context, p *brokertest.Proxy, sub *audience)
}{
	{name: "latency 100 ms each way", steady: brokertest.Network{Latency: 100 * time.Millisecond}},
	{name: "1 % resets", run: resets},
	{name: "1 % resets at 100 ms", steady: brokertest.Network{Latency: 100 * time.Millisecond}, run: resets},
	{name: "bandwidth 64 kbit", steady: brokertest.Network{BitsPerSec: 64_000}},
	{name: "a reset every half second at 50 ms", steady: brokertest.Network{Latency: 50 * time.Millisecond}, run: storm},
	{name: "timeout", run: timeouts},
	{name: "half-open", run: halfOpen, long: true},
}

// resets cuts the connection after a message with a probability of 1 %.
func resets(ctx context.Context, p *brokertest.Proxy, sub *audience) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for seen := sub.total(); ctx.Err() == nil; pause(ctx, 5*time.Millisecond) {
		for now := sub.total(); seen < now; seen++ {
			if rnd.IntN(100) == 0 {
				p.Cut()
			}
		}
	}
}

// storm cuts every connection within a second.
func storm(ctx context.Context, p *brokertest.Proxy, _ *audience) {
	rnd := rand.New(rand.NewPCG(5, 5))
	for ctx.Err() == nil {
		pause(ctx, time.Duration(100+rnd.IntN(800))*time.Millisecond)
		p.Cut()
	}
}

// timeouts lets nothing through for a while and then closes the connections.
func timeouts(ctx context.Context, p *brokertest.Proxy, _ *audience) {
	rnd := rand.New(rand.NewPCG(4, 4))
	for ctx.Err() == nil {
		pause(ctx, time.Duration(rnd.IntN(3000))*time.Millisecond)
		p.Set(brokertest.Network{Freeze: true})
		pause(ctx, time.Duration(rnd.IntN(3000))*time.Millisecond)
		p.Cut()
		p.Set(brokertest.Network{})
	}
}

// halfOpen stops all bytes and closes nothing, for longer than the agent may need to
// notice it.
func halfOpen(ctx context.Context, p *brokertest.Proxy, _ *audience) {
	for ctx.Err() == nil {
		pause(ctx, 10*time.Second)
		p.Set(brokertest.Network{Freeze: true})
		pause(ctx, 40*time.Second)
		p.Set(brokertest.Network{})
	}
}

// total is how many records arrived, duplicates included.
func (a *audience) total() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.topics {
		n += len(l.sums) + l.dups
	}
	return n
}

// TestBadNetworkLosesNothing runs the program on each bad network for SOAK_NETWORK
// seconds, then on a good one until everything is delivered.
func TestBadNetworkLosesNothing(t *testing.T) {
	length := time.Duration(count(t, "SOAK_NETWORK", 3)) * time.Second
	for _, bad := range badNetworks {
		t.Run(bad.name, func(t *testing.T) {
			if bad.long && os.Getenv("SOAK_NETWORK") == "" {
				t.Skip("SKIPPED: it needs minutes; set SOAK_NETWORK")
			}
			t.Parallel()
			sim := newRooms(t)
			broker := brokertest.Mosquitto(t, kept)
			sub := listen(t, broker.URL(), "")
			proxy := brokertest.NewProxy(t, broker.Addr(), bad.steady)
			a := newAgent(t, "", room("room-1", sim.url, "100ms"), room("room-2", sim.url, "100ms"), brokerTable("tcp://"+proxy.Addr()))
			a.start()
			sub.waitSize("room-1/sample", 1)
			ctx, cancel := context.WithTimeout(t.Context(), length)
			defer cancel()
			if bad.run != nil {
				bad.run(ctx, proxy, sub)
			}
			<-ctx.Done()
			st := a.await("it still answers", func(status) bool { return true })
			proxy.Set(brokertest.Network{})
			a.drained()
			sum := sub.check(a.data)
			if len(sub.gone) > 0 {
				t.Errorf("records were announced as gone although only the network was bad: %v", sub.gone)
			}
			t.Logf("%s for %v: %d records, 0 lost, %d duplicates, %d connections, %d waited when the network was good again",
				bad.name, length, sum.records, sum.dups, st.Broker.Connects, st.Buffer.Waiting)
		})
	}
}
