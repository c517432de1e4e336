package publish

// another is called by link: with two slots taken, the message behind the one at
// hand is on its way through the library. If it does not come, the connection is
// lost, or a DISCONNECT comes.
func (m *Conn) another() bool {
	if len(m.slots) < 2 {
		return false
	}
	m.held = append(m.held, <-m.slots)
	return true
}

// written is called by link and notes the time for everything that was written.
func (m *Conn) written(publish bool) {
	if publish {
		select {
		case r := <-m.slots:
			m.held = append(m.held, r)
		default: // "offline" has no slot
		}
	}
	now := m.link.clock()
	for _, r := range m.held {
		r.written.Store(now)
	}
	clear(m.held)
	m.held = m.held[:0]
}
