package record

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"roomcall/agent/host"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/report"
	"roomcall/buffer"
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

// TestTenBootsWithRandomClocksLoseNothing: with a real store, a machine whose clock is
// anything at each start, and is set while the agent runs.
func TestTenBootsWithRandomClocksLoseNothing(t *testing.T) {
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 2))
		dir, polls, steps := t.TempDir(), uint64(0), 0
		ids := map[string]bool{}
		last := time.Time{}
		for boot := range 10 {
			wall := time.Unix(random.Int64N(4e9), 0)
			up := time.Duration(1 + random.Int64N(int64(900*time.Hour)))
			began := time.Now() // the monotonic clock of this boot
			awake := time.Duration(0)
			clocks := func() host.Reading {
				at := began.Add(awake)
				return host.Reading{Wall: hosttest.Set(at, wall.Sub(at)), Boot: host.Boot{ID: fmt.Sprint("boot-", boot), Up: up}}
			}
			q, err := buffer.Open(buffer.Options{Dir: dir, MaxAge: 30 * time.Minute, Now: func() time.Time { return clocks().Wall },
				Uptime: func() (string, time.Duration) { b := clocks().Boot; return b.ID, b.Up }})
			if err != nil {
				t.Fatal(err)
			}
			before := q.Before()
			r, err := New(Options{
				Reporter: reporterFor(t, []string{"sample", "event"}, "room-1"), Store: q, Saved: q.State(), Newest: NewNewest(1), Devices: 1,
				Log: slog.New(slog.DiscardHandler), Clock: clocks,
				Before: host.Reading{Wall: before.Wall, Boot: host.Boot{ID: before.Boot, Up: before.Up}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if gone := wall.Sub(last); !last.IsZero() && (gone <= -2*time.Second || gone >= offLong) {
				steps++
			}
			r.checkClock()
			for range 10 {
				for _, d := range []*time.Duration{&awake, &up} {
					*d += 5 * time.Second
				}
				wall = wall.Add(5 * time.Second)
				if random.IntN(3) == 0 {
					wall = wall.Add(time.Duration(random.Int64N(int64(4800*time.Hour))) - 2400*time.Hour)
					steps++
				}
				r.checkClock()
				now := clocks()
				r.hold(&report.Poll{Device: "room-1", At: now.Wall, Boot: now.Boot, Status: idleStatus})
				polls++
				if !r.commit(now.Wall) {
					t.Fatal("not accepted")
				}
			}
			last = wall
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
		}
		samples, announced := uint64(0), 0
		err := buffer.ScanDir(dir, func(it buffer.Item, _ bool) error {
			f := fields(t, it.Payload)
			id := f["id"].(string)
			if ids[id] {
				t.Errorf("the id %s is used twice", id)
			}
			ids[id] = true
			switch {
			case it.Lane == "room-1/sample":
				samples++
			case f["type"] == "agent.clock_step":
				announced++
			case f["type"] == "agent.gap":
				t.Errorf("evicted: %s", it.Payload)
			}
			return nil
		})
		if err != nil || samples != polls || announced != steps {
			t.Errorf("seed %d: %d samples of %d polls, %d of %d steps announced, %v", seed, samples, polls, announced, steps, err)
		}
	}
}
