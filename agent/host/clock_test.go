package host

import (
	"encoding/json"
	"testing"
	"time"

	"roomcall/agent/host/hosttest"
)

// TestASleepAStepAndARestartAreThreeThings goes through what can happen between two
// readings, of one process or of two.
func TestASleepAStepAndARestartAreThreeThings(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	now := time.Now() // with its monotonic reading
	stored := now.Round(0)
	a, b := Boot{"a", 100 * hour}, Boot{"b", 3 * time.Minute}
	later := func(r Boot, d time.Duration) Boot { return Boot{r.ID, r.Up + d} }
	for name, c := range map[string]struct {
		from, to Reading
		want     Elapsed
	}{
		"time passes": {Reading{now, a}, Reading{now.Add(hour), later(a, hour)}, Elapsed{Passed: hour, Counted: true}},
		"it sleeps": {Reading{now, a}, Reading{slept(now, 2*hour, time.Second), later(a, 2*hour+time.Second)},
			Elapsed{Passed: 2*hour + time.Second, Counted: true, Slept: 2 * hour}},
		"the clock is set forward": {Reading{now, a}, Reading{slept(now, 2*hour, time.Second), later(a, time.Second)},
			Elapsed{Passed: time.Second, Counted: true, Step: 2 * hour}},
		"the clock is set back": {Reading{now, a}, Reading{slept(now, -2*hour, time.Second), later(a, time.Second)},
			Elapsed{Passed: time.Second, Counted: true, Step: -2 * hour}},
		"it sleeps, and the clock is set": {Reading{now, a}, Reading{slept(now, 5*hour, time.Second), later(a, 2*hour+time.Second)},
			Elapsed{Passed: 2*hour + time.Second, Counted: true, Slept: 2 * hour, Step: 3 * hour}},
		"a second of step is none": {Reading{now, a}, Reading{slept(now, time.Second, time.Second), later(a, time.Second)},
			Elapsed{Passed: time.Second, Counted: true}},
		"no boot clock: a sleep looks like a step": {Reading{now, Boot{}}, Reading{slept(now, 2*hour, time.Second), Boot{}},
			Elapsed{Passed: time.Second, Counted: true, Step: 2 * hour}},
		"no boot id, one process": {Reading{now, Boot{Up: hour}}, Reading{now.Add(hour), Boot{Up: 2 * hour}}, Elapsed{Passed: hour, Counted: true}},

		"the process is started again": {Reading{stored, a}, Reading{now.Add(hour), later(a, hour)}, Elapsed{Passed: hour, Counted: true}},
		"started again after a step": {Reading{stored, a}, Reading{now.Add(201 * day), later(a, day)},
			Elapsed{Passed: day, Counted: true, Step: 200 * day}},
		"the clocks part a little in a day": {Reading{stored, a}, Reading{now.Add(day + time.Minute), later(a, day)}, Elapsed{Passed: day, Counted: true}},
		"the machine is started again":      {Reading{stored, a}, Reading{now.Add(200 * day), b}, Elapsed{Restarted: true}},
		"started again with an older clock": {Reading{stored, a}, Reading{now.Add(-200 * day), b}, Elapsed{Step: -200 * day, Restarted: true}},
		"two starts, no boot id":            {Reading{stored, Boot{Up: hour}}, Reading{now.Add(day), Boot{Up: 2 * hour}}, Elapsed{Restarted: true}},
		"the same boot id, but less time":   {Reading{stored, a}, Reading{now.Add(day), Boot{"a", hour}}, Elapsed{Restarted: true}},
		"nothing is known of before":        {Reading{}, Reading{now, a}, Elapsed{Restarted: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Between(c.from, c.to); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// slept is a time of this process after its monotonic clock counted awake and its
// wall clock moved by more.
func slept(t time.Time, more, awake time.Duration) time.Time {
	return hosttest.Set(t.Add(awake), more)
}

func TestAReadingIsReadBack(t *testing.T) {
	r := Now()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got Reading
	if err := json.Unmarshal(b, &got); err != nil || !got.Wall.Equal(r.Wall) || got.Boot.ID != r.Boot.ID || got.Boot.Up != r.Boot.Up.Truncate(time.Millisecond) {
		t.Errorf("%s became %+v, %v", b, got, err)
	}
	if e := Between(got, Now()); r.Boot.ID != "" && (!e.Counted || e.Step != 0 || e.Restarted) {
		t.Errorf("a moment later: %+v", e)
	}
}
