package host

import (
	"encoding/json"
	"time"
)

// Boot is how long the machine has been up since it was started, sleep included,
// and which start that was. No time service and no person sets this clock.
type Boot struct {
	ID string        // the system's id of this boot; "" = not known
	Up time.Duration // since that boot, sleep included; 0 = not known
}

// Reading is what the clocks of the machine say at one moment.
type Reading struct {
	Wall time.Time // as a rule with its monotonic reading, which does not count on while the machine sleeps (Linux)
	Boot Boot
}

// Now reads the clocks.
func Now() Reading {
	for try := 1; ; try++ {
		r := Reading{time.Now(), Boot{bootID, uptime()}}
		if took := time.Since(r.Wall); took < readingWithin || try == readingTries {
			return r
		}
	}
}

// Between the two clocks of a reading the process may be stopped; then they are
// read again, or that would look like a clock that was set.
const (
	readingWithin = 100 * time.Millisecond
	readingTries  = 5
)

// bootID does not change while a process runs.
var bootID = BootID()

// Elapsed is what happened between two readings. A sleep, a step of the wall clock
// and a restart of the machine are three things.
type Elapsed struct {
	// Passed is the time that went by, sleep included. It counts only when Counted:
	// a clock that nobody sets has measured it. Otherwise it is 0.
	Passed  time.Duration
	Counted bool
	// Step is how far the wall clock was set, positive = forward, 0 = less than 2 s
	// or not known. Between two boots only a step back is known, and only the least.
	Step time.Duration
	// Slept is how long the machine slept, 0 = not, less than 2 s, or not known.
	Slept time.Duration
	// Restarted: the machine was started in between, or that cannot be excluded.
	Restarted bool
}

const (
	// noticed is the shortest step and the shortest sleep that counts as one.
	noticed = 2 * time.Second
	// driftShare of the time that passed is how much the clock of a boot may part
	// from a wall clock that a time service keeps right.
	driftShare = 1000
)

// Between says what happened from one reading to a later one, of this process or of
// an earlier one. It believes the wall clock in nothing but that it was set.
func Between(from, to Reading) Elapsed {
	var e Elapsed
	wall := to.Wall.Round(0).Sub(from.Wall.Round(0))
	awake, oneProcess := to.Wall.Sub(from.Wall), monotonic(from.Wall) && monotonic(to.Wall)
	switch {
	case sameBoot(from.Boot, to.Boot) || oneProcess && from.Boot.Up > 0 && to.Boot.Up > 0:
		e.Passed, e.Counted = to.Boot.Up-from.Boot.Up, true
		if slept := e.Passed - awake; oneProcess && slept >= noticed {
			e.Slept = slept
		}
	case oneProcess:
		e.Passed, e.Counted = awake, true
	default:
		e.Restarted = true
	}
	if e.Passed < 0 { // the clock of another machine or of another container
		return Elapsed{Restarted: true}
	}
	if from.Wall.IsZero() || to.Wall.IsZero() {
		return e
	}
	step := wall - e.Passed
	if step.Abs() >= max(noticed, e.Passed/driftShare) && (e.Counted || step < 0) {
		e.Step = step
	}
	return e
}

func sameBoot(a, b Boot) bool { return a.ID != "" && a.ID == b.ID && a.Up > 0 && b.Up > 0 }

// monotonic reports whether a time carries a monotonic reading, as those of
// time.Now do and those that were stored do not.
func monotonic(t time.Time) bool { return t != t.Round(0) }

// storedReading is a Reading as JSON.
type storedReading struct {
	Wall time.Time `json:"at,omitzero"`
	Boot string    `json:"boot,omitempty"`
	UpMs int64     `json:"up_ms,omitempty"`
}

// MarshalJSON writes a reading for a later process.
func (r Reading) MarshalJSON() ([]byte, error) {
	return json.Marshal(storedReading{r.Wall, r.Boot.ID, r.Boot.Up.Milliseconds()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Reading) UnmarshalJSON(b []byte) error {
	var s storedReading
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*r = Reading{s.Wall, Boot{s.Boot, time.Duration(s.UpMs) * time.Millisecond}}
	return nil
}
