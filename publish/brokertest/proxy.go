package brokertest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Network says how the proxy treats bytes. The zero value is a perfect
// network.
type Network struct {
	Latency    time.Duration // one way, added to both directions
	BitsPerSec int           // in each direction, 0 = no limit
	Freeze     bool          // half-open: bytes stop, nothing is closed
	NoReplies  bool          // half-open one way: nothing comes back from the target
}

// Proxy is a TCP proxy that behaves like a bad network.
type Proxy struct {
	tb     testing.TB
	ln     net.Listener
	target string
	wg     sync.WaitGroup
	end    chan struct{}

	mu     sync.Mutex
	net    Network
	conns  map[net.Conn]bool
	change chan struct{}
}

// NewProxy listens on a random loopback port and forwards to target
// (host:port) for the length of the test.
func NewProxy(tb testing.TB, target string, n Network) *Proxy {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen on loopback: %v", err)
	}
	p := &Proxy{tb: tb, ln: ln, target: target, net: n, conns: map[net.Conn]bool{},
		end: make(chan struct{}), change: make(chan struct{})}
	p.wg.Go(p.accept)
	tb.Cleanup(p.Close)
	return p
}

// Addr is its host:port.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Set changes the network, also for connections that are up.
func (p *Proxy) Set(n Network) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.net = n
	close(p.change)
	p.change = make(chan struct{})
}

// limited tells whether the network has a rate now.
func (p *Proxy) limited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.net.BitsPerSec > 0
}

// Cut resets all connections (RST).
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // without it the end is a FIN, also a cut
		}
		c.Close()
	}
}

// Close ends the proxy and waits for its goroutines.
func (p *Proxy) Close() {
	p.mu.Lock()
	select {
	case <-p.end:
	default:
		close(p.end)
	}
	p.mu.Unlock()
	p.ln.Close()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		select {
		case <-p.end:
			in.Close()
			out.Close()
		default:
		}
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.pump(in, out, false) })
		p.wg.Go(func() { p.pump(out, in, true) })
	}
}

type piece struct {
	data []byte
	due  time.Time
}

// pump reads at the rate of the network and writes each piece when its latency
// is over, so that latency does not limit the rate. Where the network has one, a
// small receive buffer makes the sender feel it.
func (p *Proxy) pump(from, to net.Conn, replies bool) {
	if t, ok := from.(*net.TCPConn); ok && p.limited() {
		_ = t.SetReadBuffer(16 << 10) // without it the network is only less true
	}
	pieces := make(chan piece, 1024)
	p.wg.Go(func() { p.deliver(pieces, to, replies) })
	defer close(pieces)
	for {
		buf := make([]byte, 4096)
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			now := p.net
			p.mu.Unlock()
			if now.BitsPerSec > 0 && !p.sleep(time.Duration(n)*8*time.Second/time.Duration(now.BitsPerSec)) {
				return
			}
			due := time.Now().Add(now.Latency)
			select {
			case pieces <- piece{buf[:n], due}:
			case <-p.end:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) deliver(pieces <-chan piece, to net.Conn, replies bool) {
	defer func() {
		to.Close()
		p.mu.Lock()
		delete(p.conns, to)
		p.mu.Unlock()
	}()
	for b := range pieces {
		if !p.hold(b, replies) {
			return
		}
		if _, err := to.Write(b.data); err != nil {
			return
		}
	}
}

// hold waits until b may go on; false = the proxy ends.
func (p *Proxy) hold(b piece, replies bool) bool {
	for {
		p.mu.Lock()
		n, change := p.net, p.change
		p.mu.Unlock()
		if !n.Freeze && !(replies && n.NoReplies) {
			return p.sleep(time.Until(b.due))
		}
		select {
		case <-change:
		case <-p.end:
			return false
		}
	}
}

func (p *Proxy) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.end:
		return false
	}
}
