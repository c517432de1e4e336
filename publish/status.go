package publish

import (
	"sync/atomic"
	"time"
)

// State is the state of the connection.
type State string

// The states.
const (
	Disconnected State = "disconnected"
	Connecting   State = "connecting"
	Connected    State = "connected"
)

// Status is a snapshot of a Client. Counters count from New.
type Status struct {
	State  State
	Broker string // URL without user information; "" before the first Connect
	Since  time.Time

	// LastError is the newest failed Connect or loss, nil = none so far. It is
	// kept while connected; ErrorAt is its time.
	LastError *Error
	ErrorAt   time.Time

	Proof Proof
	// BrokerCertExpires and ClientCertExpires are the ends of the certificates,
	// zero without.
	BrokerCertExpires, ClientCertExpires time.Time

	Connects uint64 // established connections
	Failures uint64 // failed Connect calls
	Losses   uint64 // established connections that were lost

	// Of the caller's messages, not of birth, availability and proof.
	Published, Acked uint64
	AckedBytes       uint64 // payloads
	LastAck          time.Time
	InFlight         int
}

// Status returns the state and the counters of the moment.
func (c *Client) Status() Status {
	c.mu.Lock()
	s := Status{State: c.state, Broker: c.current, Since: c.since, LastError: c.lastErr, ErrorAt: c.errAt,
		Proof: c.delivery.proof, BrokerCertExpires: c.expires, ClientCertExpires: c.ownExpires}
	m := c.conn
	c.mu.Unlock()
	if m != nil {
		s.InFlight = m.InFlight()
	}
	c.count.fill(&s)
	return s
}

// setState needs c.mu.
func (c *Client) setState(s State, broker string) {
	c.state, c.current, c.since = s, broker, time.Now()
}

type counters struct {
	connects, failures, losses atomic.Uint64
	published, acks, bytes     atomic.Uint64
	lastAck                    atomic.Int64 // Unix ns, 0 = never
}

func (n *counters) sent(r *Receipt) {
	if !r.own {
		n.published.Add(1)
	}
}

func (n *counters) acked(r *Receipt) {
	if r.own {
		return
	}
	n.acks.Add(1)
	n.bytes.Add(uint64(len(r.msg.Payload)))
	n.lastAck.Store(time.Now().UnixNano())
}

func (n *counters) fill(s *Status) {
	s.Connects, s.Failures, s.Losses = n.connects.Load(), n.failures.Load(), n.losses.Load()
	s.Published, s.Acked, s.AckedBytes = n.published.Load(), n.acks.Load(), n.bytes.Load()
	if ns := n.lastAck.Load(); ns != 0 {
		s.LastAck = time.Unix(0, ns)
	}
}
