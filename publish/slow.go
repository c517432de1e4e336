package publish

import "time"

// Patience has a memory. A broker that acknowledges later than AckTimeout, while
// it answers pings, would never get a record off: each connection would be given
// up, and everything in flight sent again, which makes it slower still. So after
// each such end the deadline triples and the window shrinks to a quarter; quick
// answers take both back, step by step. It is the same for a ping, from the second
// unanswered one on.
const (
	patienceStep = 3
	patienceMost = 15 // times AckTimeout: 5 minutes with the default
	windowStep   = 4
	narrowMost   = 16
	// recoverAfter quick answers in a row, one step is taken back. Quick is half
	// of AckTimeout.
	recoverAfter = 64
	// connackMost bounds the patience with a CONNACK. A watchdog looks at Connect.
	connackMost = time.Minute
)

// slow is what is known about one broker's slowness. Client.mu guards it.
type slow struct {
	factor int // times the usual patience, 0 = 1
	narrow int // the window is divided by it, 0 = 1
	quick  int // answers in a row
	pings  int // connections in a row that were given up for a ping, without a quick answer between
}

// waitedInVain notes that the usual patience was not enough.
func (s *slow) waitedInVain(window int) {
	s.factor = min(patienceStep*max(1, s.factor), patienceMost)
	s.narrow = min(windowStep*max(1, s.narrow), narrowMost, window)
	s.quick = 0
}

// answered notes an answer.
func (s *slow) answered(quickly bool) {
	if !quickly {
		s.quick = 0
		return
	}
	s.pings = 0
	if s.quick++; s.quick >= recoverAfter {
		s.factor, s.narrow, s.quick = s.factor/patienceStep, s.narrow/2, 0
	}
}

// patience is how long an acknowledgement may take, and how many records may be
// in flight.
func (c *Client) patience(b broker) (ack time.Duration, window int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.delivery.about(b.name).slow
	return c.cfg.AckTimeout * time.Duration(max(1, s.factor)), max(1, c.cfg.MaxInflight/max(1, s.narrow))
}

func (m *Conn) ackTimeout() time.Duration {
	ack, _ := m.client.patience(m.broker)
	return ack
}

// connackTimeout is the patience with a CONNACK.
func (c *Client) connackTimeout(b broker) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.cfg.ConnectTimeout
	return max(t, min(connackMost, t*time.Duration(max(1, c.delivery.about(b.name).slow.factor))))
}

// pingTimeout is the patience with a PINGRESP.
func (c *Client) pingTimeout(b broker) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.PingTimeout * time.Duration(max(1, c.delivery.about(b.name).slow.factor))
}

// pingedInVain notes that a ping of b was not answered. Once says nothing about the
// broker: networks are cut. Where the next connection ends the same way before anything
// was answered quickly, the broker is there and late with everything.
func (c *Client) pingedInVain(b broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.delivery.about(b.name).slow
	if s.pings++; s.pings > 1 {
		s.waitedInVain(c.cfg.MaxInflight)
	}
}

// waitedInVain notes it about b.
func (c *Client) waitedInVain(b broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery.about(b.name).slow.waitedInVain(c.cfg.MaxInflight)
}

// answered notes how long the acknowledgement of r took.
func (m *Conn) answered(r *Receipt) {
	c := m.client
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery.about(m.broker.name).slow.answered(time.Since(r.sent) < c.cfg.AckTimeout/2)
}
