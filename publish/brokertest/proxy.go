package brokertest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// Network says how the proxy treats bytes. The zero value is a perfect
// network.
type Network struct {
	Latency    time.Duration // one way, whole milliseconds, added to both directions
	BitsPerSec int           // in each direction, at least 8,000; 0 = no limit
	Freeze     bool          // half-open: bytes stop, nothing is closed
	NoReplies  bool          // half-open one way: nothing comes back from the target
}

// Proxy is a TCP proxy that behaves like a bad network: toxiproxy with its
// latency and bandwidth toxics, and one of our own (valve) for what it cannot
// do: stop bytes that go on later, and cut connections at once.
type Proxy struct {
	tb     testing.TB
	target string
	valve  *valves
	mu     sync.Mutex // guards what follows
	addr   string
	proxy  *toxiproxy.Proxy
	net    Network
}

// NewProxy listens on a random loopback port and forwards to target
// (host:port) for the length of the test.
func NewProxy(tb testing.TB, target string, n Network) *Proxy {
	tb.Helper()
	p := &Proxy{tb: tb, target: target, addr: "127.0.0.1:0", valve: newValves(), net: n}
	p.valve.set(n, false)
	p.start()
	tb.Cleanup(p.Close)
	return p
}

// start makes a toxiproxy for the network of now, at the address of the one before.
// Toxics are never changed under a connection: toxiproxy reads them there without a
// lock, and waits for ever when the other end has just gone.
func (p *Proxy) start() {
	p.tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p.proxy = toxiproxy.NewProxy(server, p.tb.Name(), p.addr, p.target)
	for _, stream := range []string{"upstream", "downstream"} {
		// At no connection does this reset_peer do its work (toxicity 0); its
		// presence makes every close a reset.
		p.toxic(`{"name": "reset_%[1]s", "type": "reset_peer", "stream": %[1]q, "toxicity": 0}`, stream)
		p.toxic(`{"name": "rate_%[1]s", "type": "bandwidth", "stream": %[1]q, "attributes": {"rate": %[2]d}}`, stream, rate(p.net))
		p.toxic(`{"name": "latency_%[1]s", "type": "latency", "stream": %[1]q, "attributes": {"latency": %[2]d}}`, stream, p.net.Latency.Milliseconds())
		p.toxic(`{"name": "valve_%[1]s", "type": "valve", "stream": %[1]q, "attributes": {"id": %[2]d, "replies": %[3]v}}`, stream, p.valve.id, stream == "downstream")
	}
	if err := p.proxy.Start(); err != nil {
		p.tb.Errorf("start the proxy: %v", err)
	}
	p.addr = p.proxy.Listen
}

func (p *Proxy) toxic(format string, args ...any) {
	p.tb.Helper()
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(format, args...))); err != nil {
		p.tb.Fatalf("add a toxic: %v", err)
	}
}

// rate is in KB/s, as toxiproxy counts.
func rate(n Network) int {
	if n.BitsPerSec == 0 {
		return 1 << 30
	}
	return n.BitsPerSec / 8000
}

// Addr is its host:port.
func (p *Proxy) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// Set changes the network. Connections that are up go on, but a change of latency or
// rate cuts them.
func (p *Proxy) Set(n Network) {
	p.mu.Lock()
	defer p.mu.Unlock()
	steady := n.Latency == p.net.Latency && n.BitsPerSec == p.net.BitsPerSec
	p.net = n
	p.valve.set(n, !steady)
	if !steady {
		p.proxy.Stop()
		p.start()
	}
}

// Cut resets all connections (RST).
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.valve.set(p.net, true)
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.valve.set(p.net, true)
	p.proxy.Stop()
}

// valves are the last toxics of all connections of one proxy.
type valves struct {
	id     int
	mu     sync.Mutex
	net    Network
	change chan struct{} // closed when net changes
	cut    chan struct{} // closed when the connections of now are cut
}

// allValves finds them for a toxic, which toxiproxy makes from JSON.
var allValves struct {
	mu  sync.Mutex
	all []*valves
}

func newValves() *valves {
	allValves.mu.Lock()
	defer allValves.mu.Unlock()
	v := &valves{id: len(allValves.all), change: make(chan struct{}), cut: make(chan struct{})}
	allValves.all = append(allValves.all, v)
	return v
}

func (v *valves) set(n Network, cut bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.net = n
	close(v.change)
	v.change = make(chan struct{})
	if cut {
		close(v.cut)
		v.cut = make(chan struct{})
	}
}

// valve is the toxic of one direction.
type valve struct {
	ID      int  `json:"id"`
	Replies bool `json:"replies"`
}

func init() {
	toxics.Register("valve", new(valve))
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log by the global logger
}

// Pipe passes bytes on while the valve is open. After a cut it empties its
// input, because toxiproxy's other goroutines would wait for ever.
func (t *valve) Pipe(stub *toxics.ToxicStub) {
	allValves.mu.Lock()
	v := allValves.all[t.ID]
	allValves.mu.Unlock()
	v.mu.Lock()
	cut := v.cut
	v.mu.Unlock()
	defer func() {
		stub.Close()
		for range stub.Input {
		}
	}()
	for {
		select {
		case <-cut:
			return
		case chunk := <-stub.Input:
			if chunk == nil || !t.waitOpen(v, cut) {
				return
			}
			select {
			case <-cut:
				return
			case stub.Output <- chunk:
			}
		}
	}
}

// waitOpen waits while the network is frozen; false = cut.
func (t *valve) waitOpen(v *valves, cut <-chan struct{}) bool {
	for {
		v.mu.Lock()
		closed, change := v.net.Freeze || t.Replies && v.net.NoReplies, v.change
		v.mu.Unlock()
		if !closed {
			return true
		}
		select {
		case <-change:
		case <-cut:
			return false
		}
	}
}
