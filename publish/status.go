package publish

import "time"

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
	Broker string    // URL without user information; "" before the first Connect
	Since  time.Time // since when it is connected, or is not

	// LastError is the newest failed Connect or loss, nil = none so far. It is
	// kept while connected; ErrorAt is its time.
	LastError *Error
	ErrorAt   time.Time

	Proof Proof
	// LeftOut is what the broker of the moment punishes by ending the connection.
	LeftOut []Refusal
	// SameIDAt is when another client last seemed to use this client id, zero =
	// never: the connections before were ended within a minute, several in a row.
	SameIDAt time.Time
	// SameIDSince is when that began, zero = it does not happen now: a connection has
	// lived for a minute since, or the broker could not be reached.
	SameIDSince time.Time
	// Skipped messages of the broker were too large, Ignored answers belonged to no
	// question. Both are of the connection of the moment.
	Skipped, Ignored uint64

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
	s, m := c.status, c.conn
	s.Proof = c.delivery.proof
	if k := c.delivery.known[s.Broker]; k != nil {
		s.LeftOut = k.extras.list()
	}
	c.mu.Unlock()
	if s.State == Connected && time.Since(s.Since) >= livedAfter {
		s.SameIDSince = time.Time{}
	}
	if m != nil {
		s.Skipped, s.Ignored = m.link.skipped.Load(), m.link.ignored.Load()
		s.InFlight = m.InFlight()
	}
	return s
}

// setState needs c.mu.
func (c *Client) setState(s State, broker string) {
	if (s == Connected) != (c.status.State == Connected) {
		c.status.Since = time.Now()
	}
	c.status.State, c.status.Broker = s, broker
}

// countPublished and countAcked count the caller's messages.
func (c *Client) countPublished(r *Receipt) {
	if r.own {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Published++
}

func (c *Client) countAcked(r *Receipt) {
	if r.own {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Acked++
	c.status.AckedBytes += uint64(len(r.msg.Payload))
	c.status.LastAck = time.Now()
}
