package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// network is what lies between rooms and their broker: it counts the bytes, and it can
// be cut. A cut is one that nobody is told of: what is sent is gone, nothing comes, and
// no new connection is made. A connection that was cut never works again, as behind a
// firewall that forgot it; the broker sees it open and silent.
type network struct {
	open func(ctx context.Context, network, addr string) (net.Conn, error)

	sent, got       atomic.Int64 // bytes to and from the broker, above TCP
	packets, ofMqtt atomic.Int64 // TCP segments both ways, and the bytes that they carried; of connections that ended

	mu     sync.Mutex // guards what follows
	isDown bool
	cables map[*cable]bool
}

func newNetwork(open func(ctx context.Context, network, addr string) (net.Conn, error)) *network {
	return &network{open: open, cables: map[*cable]bool{}}
}

// dial is for publish.Config.
func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if n.down() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := n.open(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &cable{Conn: conn, n: n}
	n.mu.Lock()
	defer n.mu.Unlock()
	c.cut.Store(n.isDown)
	n.cables[c] = true
	return c, nil
}

func (n *network) down() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.isDown
}

// setDown cuts the network, or ends the cut.
func (n *network) setDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.isDown = down
	if !down {
		return
	}
	for c := range n.cables {
		c.cut.Store(true)
	}
}

// segments are the TCP segments both ways of all connections so far, and the bytes that
// they carried; 0 where the system does not count them.
func (n *network) segments() (packets, bytes int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	packets, bytes = n.packets.Load(), n.ofMqtt.Load()
	for c := range n.cables {
		p, b := segments(c.Conn)
		packets, bytes = packets+p, bytes+b
	}
	return packets, bytes
}

// cable is one connection.
type cable struct {
	net.Conn
	n   *network
	cut atomic.Bool
}

func (c *cable) Write(b []byte) (int, error) {
	if c.cut.Load() {
		return len(b), nil
	}
	size, err := c.Conn.Write(b)
	c.n.sent.Add(int64(size))
	return size, err
}

func (c *cable) Read(b []byte) (int, error) {
	for {
		size, err := c.Conn.Read(b)
		if c.cut.Load() && err == nil {
			continue
		}
		c.n.got.Add(int64(size))
		return size, err
	}
}

func (c *cable) Close() error {
	c.n.mu.Lock()
	if c.n.cables[c] {
		packets, bytes := segments(c.Conn)
		c.n.packets.Add(packets)
		c.n.ofMqtt.Add(bytes)
		delete(c.n.cables, c)
	}
	c.n.mu.Unlock()
	return c.Conn.Close()
}
