package publish

import (
	"sync"
	"time"
)

// livedAfter is how long a connection has to last to count as one that lived:
// only then does the wait before the next one start small again.
const livedAfter = time.Minute

// backoff is "full jitter": the wait is uniform between min and a bound that
// doubles with every failure, so that a fleet does not come back at one
// instant (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
// With several brokers the bound doubles once a round through the list.
type backoff struct {
	min, max time.Duration
	brokers  int
	rand     func() float64

	mu       sync.Mutex
	failures int
	planned  bool // the last connection was closed on purpose, to be made again
}

func newBackoff(min, max time.Duration, brokers int, rand func() float64) *backoff {
	return &backoff{min: min, max: max, brokers: brokers, rand: rand}
}

func (b *backoff) failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	b.planned = false
}

// lost counts the end of a connection that lasted for lived.
func (b *backoff) lost(lived time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.planned = false
	if lived >= livedAfter {
		b.failures = 0
		return
	}
	b.failures++
}

func (b *backoff) closedOnPurpose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.planned = true
}

func (b *backoff) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.planned {
		return 0
	}
	bound := b.bound()
	return b.min + time.Duration(b.rand()*float64(bound-b.min))
}

// bound is min(max, min * 2^(1+rounds)), without overflow.
func (b *backoff) bound() time.Duration {
	bound := b.min
	for range 1 + b.failures/b.brokers {
		if bound >= b.max/2 {
			return b.max
		}
		bound *= 2
	}
	return bound
}

// Backoff is the wait before the next Connect: uniform between ReconnectMin
// and a bound that starts at twice ReconnectMin and doubles with every failed
// Connect and every connection that lasted less than a minute, up to
// ReconnectMax. It is 0 after a connection that was closed only to ask the
// broker by MQTT 5.
func (c *Client) Backoff() time.Duration { return c.backoff.wait() }
