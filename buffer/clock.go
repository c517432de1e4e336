package buffer

import (
	"strconv"
	"strings"
	"time"
)

// storeClock counts the milliseconds that the store has lived. Records are stamped
// with it and ages are counted on it, so that a wall clock that jumps makes no record
// old.
//
// It counts what Options.Uptime counts: also the time between two runs of one boot,
// and sleep. Over a restart of the machine it stands still, for nobody but the wall
// clock could tell how long that was.
type storeClock struct {
	base  int64 // store clock at start, ms
	start time.Time
	up    time.Duration // Options.Uptime at start; 0 = not known
	saved string        // base and up for the next run; "" = they say nothing to it
}

// clockKey is the key among the states under which the boot is saved, and by how
// much the store clock is ahead of its uptime. Both stay as they are for a boot.
const clockKey = ".clock"

// startClock goes on with the clock of the last run, as head and state have it, and
// finds out when that run committed last. Before Open returns.
func (q *Queue) startClock(now time.Time) {
	boot, up := q.o.Uptime()
	c := storeClock{base: q.head.clock, start: now, up: max(up, 0)}
	wasBoot, ahead, known := readClock(q.state[clockKey])
	if q.head.wall > 1 {
		q.before.Wall = time.UnixMilli(q.head.wall)
	}
	if known {
		q.before.Boot, q.before.Up = wasBoot, time.Duration(q.head.clock-ahead)*time.Millisecond
	}
	if known && wasBoot == boot && c.up > 0 {
		c.base = max(c.base, c.up.Milliseconds()+ahead)
	}
	if boot != "" && c.up > 0 {
		c.saved = boot + " " + strconv.FormatInt(c.base-c.up.Milliseconds(), 10)
	}
	q.clock = c
}

func readClock(saved []byte) (boot string, ahead int64, ok bool) {
	boot, text, ok := strings.Cut(string(saved), " ")
	ahead, err := strconv.ParseInt(text, 10, 64)
	return boot, ahead, ok && boot != "" && err == nil
}

// at is the store clock. now counts only where the uptime is not known.
func (q *Queue) at(now time.Time) int64 {
	passed := now.Sub(q.clock.start)
	if q.clock.up > 0 {
		_, up := q.o.Uptime()
		passed = up - q.clock.up
	}
	return q.clock.base + max(passed.Milliseconds(), 0)
}

// withClock adds to the states of a commit what the next run goes on from, unless
// the store has it. Under wmu.
func (q *Queue) withClock(state map[string][]byte) map[string][]byte {
	if string(q.state[clockKey]) == q.clock.saved || q.clock.saved == "" {
		return state
	}
	with := map[string][]byte{clockKey: []byte(q.clock.saved)}
	for k, v := range state {
		with[k] = v
	}
	return with
}

// Moment is when something happened, by every clock that there was.
type Moment struct {
	Wall time.Time     // zero = not known
	Boot string        // as Options.Uptime names it; "" = not known
	Up   time.Duration // since that boot
}

// Before is when the run before this one committed last.
func (q *Queue) Before() Moment { return q.before }
