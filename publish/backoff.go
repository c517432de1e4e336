package publish

import "time"

// backoff is "full jitter": the wait is uniform between min and a bound that
// doubles with every failure, so that a fleet does not come back at one
// instant (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
// With several brokers the bound doubles once a round through the list.
type backoff struct {
	min, max time.Duration
	brokers  int
	rand     func() float64
	failures int
	planned  bool // the last connection was closed on purpose, to be made again
}

func newBackoff(min, max time.Duration, brokers int, rand func() float64) *backoff {
	return &backoff{min: min, max: max, brokers: brokers, rand: rand}
}

func (b *backoff) failed() {
	b.failures++
	b.planned = false
}

// lost counts the end of a connection; it starts anew after one that lived.
func (b *backoff) lost(lived bool) {
	b.failed()
	if lived {
		b.failures = 0
	}
}

func (b *backoff) closedOnPurpose() { b.planned = true }

func (b *backoff) wait() time.Duration {
	if b.planned {
		return 0
	}
	return b.min + time.Duration(b.rand()*float64(b.bound()-b.min))
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
