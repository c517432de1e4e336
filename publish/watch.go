package publish

import (
	"fmt"
	"time"
)

// watch gives the connection up when something is in flight and nothing moves,
// or when the broker is silent and does not answer a ping. With the defaults a
// half-open link is noticed after 20 s with a message in flight, after 25 s
// without.
func (m *Conn) watch() {
	cfg := m.client.cfg
	tick := time.NewTicker(max(10*time.Millisecond, min(time.Second, cfg.AckTimeout/4, cfg.PingTimeout/4, cfg.KeepAlive/4)))
	defer tick.Stop()
	var pinged int64 // clock() of the unanswered ping, 0 = none
	for {
		select {
		case <-m.lost:
			return
		case <-tick.C:
		}
		now := m.link.clock()
		if n, unechoed, stuck := m.stuck(now); stuck {
			if unechoed {
				m.fail(m.fault(ClassDropped, fmt.Errorf("acknowledged, but not handed back within %v", cfg.AckTimeout),
					"the broker drops this message: look at its size limit and its log"))
				return
			}
			m.fail(m.fault(ClassSilent, fmt.Errorf("no acknowledgement for %v with %d messages in flight", cfg.AckTimeout, n),
				"the link is half-open or the broker is overloaded; look at the broker's log"))
			return
		}
		read := m.link.lastRead.Load()
		switch {
		case pinged > 0 && read >= pinged:
			pinged = 0
		case pinged > 0 && now-pinged >= int64(cfg.PingTimeout):
			m.fail(m.fault(ClassSilent, fmt.Errorf("no answer to a ping for %v", cfg.PingTimeout),
				"the link is half-open; look at the network between here and the broker"))
			return
		case pinged == 0 && now-read >= int64(cfg.KeepAlive/2):
			pinged = now
			m.link.ping()
		}
	}
}

// stuck tells whether the oldest message has been on the wire for AckTimeout
// without any confirmation in that time, and whether only its echo is missing. A message that is still being
// written is the write deadline's business.
func (m *Conn) stuck(now int64) (n int, unechoed, stuck bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.flight) == 0 {
		return 0, false, false
	}
	written := m.flight[0].written.Load()
	since := max(written, m.lastAck.Load())
	return len(m.flight), m.flight[0].unechoed(), written > 0 && now-since >= int64(m.client.cfg.AckTimeout)
}
