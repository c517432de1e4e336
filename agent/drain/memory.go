package drain

import (
	"os"
	"runtime/debug"
)

// Percentages of heap growth between two garbage collections. A small agent has
// less than 1 MB of live heap, which Go would let grow to 4 MB; an early
// collection takes about a millisecond, some of them a minute. While a backlog
// drains they would come a hundred times a second; 200 % makes them rarer, for some
// MB more of memory (RssAnon of the drain in docs/benchmarks.md).
const (
	gcSmall = 10
	gcFleet = 25 // above fleetOver endpoints
	gcDrain = 200
)

// After drainReads full reads in a row a backlog drains.
const drainReads = 20

// With more than fleetOver endpoints an agent is a large one.
const fleetOver = 50

// memory sets the garbage collector. GOGC in the environment has the last word.
// It is used by the drain alone.
type memory struct {
	fixed    bool
	percent  int
	draining bool
	full     int // full reads in a row
}

// newMemory sets nothing yet; begin does.
func newMemory(endpoints int) *memory {
	m := &memory{fixed: os.Getenv("GOGC") != "", percent: gcSmall}
	if endpoints > fleetOver {
		m.percent = gcFleet
	}
	return m
}

// begin sets the garbage collector of the whole process for an agent that is idle.
func (m *memory) begin() { m.set(m.percent) }

// read notes how the last read of the queue went.
func (m *memory) read(full, empty bool) {
	switch {
	case full:
		m.full++
	case empty:
		m.full = 0
	}
	if draining := m.full >= drainReads; draining != m.draining {
		m.draining = draining
		percent := m.percent
		if draining {
			percent = gcDrain
		}
		m.set(percent)
	}
}

func (m *memory) set(percent int) {
	if !m.fixed {
		debug.SetGCPercent(percent)
	}
}
