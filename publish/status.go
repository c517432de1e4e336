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
	s, m := c.status, c.conn
	s.Proof = c.delivery.proof
	c.mu.Unlock()
	if m != nil {
		s.InFlight = m.InFlight()
	}
	return s
}

// setState needs c.mu.
func (c *Client) setState(s State, broker string) {
	c.status.State, c.status.Broker, c.status.Since = s, broker, time.Now()
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
