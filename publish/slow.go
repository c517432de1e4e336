package publish

import "time"

type slow struct{}

func (m *Conn) ackTimeout() time.Duration { return m.client.cfg.AckTimeout }
