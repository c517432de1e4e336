package buffer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// machine has the clocks of a machine that is started again and again.
type machine struct {
	wall time.Time
	boot int
	up   time.Duration
}

func newMachine() *machine {
	return &machine{wall: newClock().t, boot: 1, up: time.Minute}
}

func (m *machine) options(dir string, maxAge time.Duration) Options {
	return Options{Dir: dir, MaxAge: maxAge, Now: func() time.Time { return m.wall },
		Uptime: func() (string, time.Duration) { return fmt.Sprint("boot-", m.boot), m.up }}
}

// pass lets time go by, awake or asleep.
func (m *machine) pass(d time.Duration) { m.wall, m.up = m.wall.Add(d), m.up+d }

// start starts the machine again; its clock then is anything.
func (m *machine) start(wall time.Time) { m.wall, m.boot, m.up = wall, m.boot+1, 10*time.Second }

func (m *machine) append(t testing.TB, q *Queue, num uint64) {
	t.Helper()
	if err := q.Append(Batch{Records: []Record{rec("a", num, m.wall, 10)}}); err != nil {
		t.Fatal(err)
	}
}

// TestTenBootsWithRandomClocksEvictNothing: records that are minutes old by the time
// that was counted stay, whatever the wall clock says at each start.
func TestTenBootsWithRandomClocksEvictNothing(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		m, dir := newMachine(), shmDir(t)
		num := uint64(0)
		for range 10 {
			q := open(t, m.options(dir, 12*time.Hour))
			for range 3 {
				if ev := q.MakeRoom(m.wall, 0); ev != nil {
					t.Fatalf("seed %d, boot %d: evicted %+v", seed, m.boot, ev.Gaps)
				}
				num++
				m.append(t, q, num)
				m.pass(time.Minute)
				m.wall = m.wall.Add(time.Duration(r.Int64N(int64(800*24*time.Hour))) - 400*24*time.Hour) // it is set
			}
			if r.IntN(2) == 0 {
				crash(q)
			} else if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			m.start(time.Unix(r.Int64N(4e9), 0))
			m.up = time.Duration(r.Int64N(int64(900 * time.Hour))) // the agent was started later
		}
		q := open(t, m.options(dir, 12*time.Hour))
		if ev := q.MakeRoom(m.wall, 0); ev != nil || q.Info().Waiting != num {
			t.Fatalf("seed %d: %d of %d wait, due %+v", seed, q.Info().Waiting, num, ev)
		}
		q.Close()
	}
}

// TestAClock200DaysBehindAtOneBootEvictsNothingAtTheNext, with the default limit.
func TestAClock200DaysBehindAtOneBootEvictsNothingAtTheNext(t *testing.T) {
	m, dir, right := newMachine(), shmDir(t), newClock().t
	o := m.options(dir, 720*time.Hour)
	m.start(right.Add(-200 * 24 * time.Hour))
	q := open(t, o)
	m.append(t, q, 1)
	m.pass(5 * time.Second)
	q.Close()
	m.start(right)
	q = open(t, o)
	if ev := q.MakeRoom(m.wall, 0); ev != nil {
		t.Fatalf("evicted %+v", ev.Gaps)
	}
	m.append(t, q, 2)
	m.pass(720*time.Hour + 2*time.Minute)
	if ev := q.MakeRoom(m.wall, 0); ev == nil || ev.Gaps[0].Count != 2 {
		t.Fatalf("nothing is evicted when it is old by the time that was counted: %+v", ev)
	}
}

// TestAgesGoOnBetweenTwoRunsOfOneBoot: the time between counts, sleep included, and
// no step of the wall clock does.
func TestAgesGoOnBetweenTwoRunsOfOneBoot(t *testing.T) {
	for name, set := range map[string]time.Duration{"right": 0, "ahead": 300 * 24 * time.Hour, "behind": -300 * 24 * time.Hour} {
		for _, end := range []func(*Queue){crash, func(q *Queue) { q.Close() }} {
			m, dir := newMachine(), shmDir(t)
			o := m.options(dir, time.Hour)
			q := open(t, o)
			m.append(t, q, 1)
			m.pass(20 * time.Minute)
			m.append(t, q, 2)
			end(q)
			m.wall = m.wall.Add(set)
			m.pass(30 * time.Minute)
			q = open(t, o)
			if ev := q.MakeRoom(m.wall, 0); ev != nil {
				t.Fatalf("%s: evicted at 50 minutes: %+v", name, ev.Gaps)
			}
			m.pass(11 * time.Minute)
			if ev := q.MakeRoom(m.wall, 0); ev == nil || len(ev.Gaps) != 1 || ev.Gaps[0].Last != 1 {
				t.Fatalf("%s: at 61 minutes due is %+v, want the first record", name, ev)
			}
			q.Close()
		}
	}
}

// TestAStoreWithoutABootIsReadOn: an older program wrote it, and nothing of the time
// between counts.
func TestAStoreWithoutABootIsReadOn(t *testing.T) {
	m, dir := newMachine(), shmDir(t)
	old := m.options(dir, time.Hour)
	old.Uptime = nil
	q := open(t, old)
	m.append(t, q, 1)
	if _, saved := q.State()[clockKey]; saved {
		t.Error("a boot is saved that is not known")
	}
	q.Close()
	m.pass(100 * time.Hour)
	q = open(t, m.options(dir, time.Hour))
	if ev := q.MakeRoom(m.wall, 0); ev != nil {
		t.Fatalf("evicted %+v", ev.Gaps)
	}
	m.append(t, q, 2)
	m.pass(62 * time.Minute)
	if ev := q.MakeRoom(m.wall, 0); ev == nil || ev.Gaps[0].Count != 2 {
		t.Fatalf("from here on it counts, due %+v", ev)
	}
}

// TestTheLastCommitOfTheRunBeforeIsKnown, by all clocks, so that a step of the wall
// clock is found at the start.
func TestTheLastCommitOfTheRunBeforeIsKnown(t *testing.T) {
	m, dir := newMachine(), shmDir(t)
	o := m.options(dir, time.Hour)
	q := open(t, o)
	if got := q.Before(); got != (Moment{}) {
		t.Errorf("a new store remembers %+v", got)
	}
	m.append(t, q, 1)
	if again := q.withClock(nil); again != nil {
		t.Errorf("the boot is written with each commit: %q", again)
	}
	m.pass(time.Hour)
	m.append(t, q, 2)
	want := Moment{m.wall, "boot-1", m.up}
	crash(q)
	m.pass(time.Minute)
	q = open(t, o)
	if got := q.Before(); !got.Wall.Equal(want.Wall) || got.Boot != want.Boot || got.Up != want.Up {
		t.Errorf("after a kill: %+v, want %+v", got, want)
	}
	q.Close()
	m.start(m.wall.Add(-time.Hour))
	q = open(t, o)
	if got := q.Before(); !got.Wall.Equal(want.Wall) || got.Boot != want.Boot || got.Up != want.Up {
		t.Errorf("after a restart of the machine: %+v, want %+v", got, want)
	}
	m.append(t, q, 3)
	want = Moment{m.wall, "boot-2", m.up}
	q.Close()
	q = open(t, o)
	if got := q.Before(); !got.Wall.Equal(want.Wall) || got.Boot != want.Boot || got.Up != want.Up {
		t.Errorf("a run later: %+v, want %+v", got, want)
	}
}
