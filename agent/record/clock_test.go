package record

import (
	"testing"
	"time"

	"roomcall/agent/host"
	"roomcall/agent/host/hosttest"
)

// TestAStepIsAnnouncedAndASleepIsNot also where one of them happened before the
// start, with the clocks of a machine handed in.
func TestAStepIsAnnouncedAndASleepIsNot(t *testing.T) {
	const hour = time.Hour
	now := time.Now()
	up := func(id string, d time.Duration) host.Boot { return host.Boot{ID: id, Up: d} }
	for name, c := range map[string]struct {
		before, now host.Reading
		want        time.Duration // the step that is announced, 0 = none
		slept       int           // log lines
	}{
		"two hours of sleep":            {host.Reading{Wall: now, Boot: up("a", hour)}, host.Reading{Wall: hosttest.Set(now.Add(time.Second), 2*hour), Boot: up("a", 3*hour+time.Second)}, 0, 1},
		"set by two hours":              {host.Reading{Wall: now, Boot: up("a", hour)}, host.Reading{Wall: hosttest.Set(now.Add(time.Second), 2*hour), Boot: up("a", hour+time.Second)}, 2 * hour, 0},
		"set while the agent was away":  {host.Reading{Wall: now.Round(0), Boot: up("a", hour)}, host.Reading{Wall: now.Add(5 * hour), Boot: up("a", 2*hour)}, 4 * hour, 0},
		"asleep while it was away":      {host.Reading{Wall: now.Round(0), Boot: up("a", hour)}, host.Reading{Wall: now.Add(5 * hour), Boot: up("a", 6*hour)}, 0, 0},
		"another boot, 200 days later":  {host.Reading{Wall: now.Round(0), Boot: up("a", hour)}, host.Reading{Wall: now.Add(200 * 24 * hour), Boot: up("b", time.Minute)}, 200 * 24 * hour, 0},
		"another boot, a week later":    {host.Reading{Wall: now.Round(0), Boot: up("a", hour)}, host.Reading{Wall: now.Add(7 * 24 * hour), Boot: up("b", time.Minute)}, 0, 0},
		"another boot, an older clock":  {host.Reading{Wall: now.Round(0), Boot: up("a", hour)}, host.Reading{Wall: now.Add(-200 * 24 * hour), Boot: up("b", time.Minute)}, -200 * 24 * hour, 0},
		"the first start of this store": {host.Reading{}, host.Reading{Wall: now, Boot: up("a", hour)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, log := &fakeStore{}, &hosttest.Log{}
			r, err := New(Options{
				Reporter: reporterFor(t, []string{"event"}, "room-1"), Store: s, Newest: NewNewest(1), Devices: 1, Log: log.Logger(),
				Clock: func() host.Reading { return c.now }, Before: c.before,
			})
			if err != nil {
				t.Fatal(err)
			}
			r.checkClock()
			r.checkClock()
			r.commit(now)
			events := s.lane("agent/event")
			if c.want == 0 && len(events) != 0 || c.want != 0 && len(events) != 1 {
				t.Fatalf("%d events", len(events))
			}
			if c.want != 0 {
				if got := fields(t, events[0].Payload); got["type"] != "agent.clock_step" || got["value"] != c.want.Seconds() {
					t.Errorf("announced is %s, want %v", events[0].Payload, c.want)
				}
			}
			if n := log.Count("the machine slept"); n != c.slept {
				t.Errorf("%d lines about a sleep, want %d", n, c.slept)
			}
		})
	}
}
