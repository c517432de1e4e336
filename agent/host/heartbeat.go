package host

import (
	"sync/atomic"
	"time"
)

// Heartbeat is the last sign of life of a loop. The loop beats, the watchdog
// asks how long it has been silent. The zero value is ready to use.
type Heartbeat struct{ at atomic.Int64 }

// Beat gives a sign of life.
func (h *Heartbeat) Beat() { h.at.Store(time.Now().UnixNano()) }

// Silent is the time since the last beat, 0 before the first.
func (h *Heartbeat) Silent() time.Duration {
	at := h.at.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at))
}
