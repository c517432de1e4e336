package buffer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// diskUse is the size of everything in the folder.
func diskUse(t testing.TB, dir string) (n int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		n += fileSize(name)
	}
	return n
}

// poll appends one record the way the agent does: what is due goes first.
func poll(t testing.TB, q *Queue, c *clock, r Record, gaps *[]Gap) {
	t.Helper()
	ev := q.MakeRoom(c.now(), int64(len(r.Payload)))
	b := Batch{Records: []Record{r}, Evict: ev}
	if ev != nil {
		*gaps = append(*gaps, ev.Gaps...)
		for i := range ev.Gaps {
			b.Records = append(b.Records, rec("agent/event", uint64(len(*gaps)-len(ev.Gaps)+i+1), c.t, 300))
		}
	}
	if err := q.Append(b); err != nil {
		t.Fatal(err)
	}
}

func TestMaxBytesHoldsOnDiskAndEveryEvictedRecordIsAnnounced(t *testing.T) {
	for _, limit := range []int64{512 << 10, 1 << 20, 4 << 20} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			c, dir := newClock(), shmDir(t)
			q := open(t, Options{Dir: dir, MaxBytes: limit, Now: c.now})
			var gaps []Gap
			n := uint64(3 * limit / 1500)
			for i := uint64(1); i <= n; i++ {
				poll(t, q, c, rec("room/sample", i, c.t, 1400), &gaps)
				if use := diskUse(t, dir); use > limit {
					t.Fatalf("%d bytes on disk after record %d, limit is %d", use, i, limit)
				}
			}
			gone := uint64(0)
			for _, g := range gaps {
				if g.Lane == "agent/event" {
					continue
				}
				if g.First != gone+1 || g.Count != g.Last-g.First+1 || g.Reason != ReasonMaxBytes {
					t.Fatalf("gap %+v does not follow record %d", g, gone)
				}
				gone = g.Last
			}
			var left []Item
			for _, it := range drain(t, q, false) {
				if it.Lane == "room/sample" {
					left = append(left, it)
				}
			}
			if gone == 0 || uint64(len(left)) != n-gone || left[0].Num != gone+1 {
				t.Fatalf("%d evicted, %d left of %d", gone, len(left), n)
			}
			if use := diskUse(t, dir); use < limit/2 {
				t.Fatalf("only %d bytes of %d are used", use, limit)
			}
		})
	}
}

func TestDeliveredRecordsGoFirstAndSilently(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, MaxBytes: 1 << 20, KeepDelivered: 24 * time.Hour, Now: c.now})
	var gaps []Gap
	for i := uint64(1); i <= 2000; i++ {
		poll(t, q, c, rec("a", i, c.t, 1400), &gaps)
		if i > 50 {
			q.Ack(i - 50)
		}
	}
	if len(gaps) != 0 {
		t.Fatalf("delivered records were announced: %+v", gaps)
	}
	if in := q.Info(); in.Waiting != 50 || in.DeliveredKept == 0 {
		t.Fatalf("info: %+v", in)
	}
}

func TestKeptRecordsGoWhenTheirTimeIsOver(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, KeepDelivered: time.Hour, Now: c.now})
	fill(t, q, c, "a", 1, 500, 500)
	q.Ack(500)
	c.add(59 * time.Minute)
	q.MakeRoom(c.now(), 0)
	if in := q.Info(); in.DeliveredKept != 500 {
		t.Fatalf("%d kept before the hour is over, want 500", in.DeliveredKept)
	}
	c.add(2 * time.Minute)
	q.MakeRoom(c.now(), 0)
	if in := q.Info(); in.Segments != 1 {
		t.Fatalf("%d segments left after the hour, want 1", in.Segments)
	}
}

func TestMaxAgeEvictsExactlyTheRecordsThatAreTooOld(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, MaxAge: 24 * time.Hour, Now: c.now}
	q := open(t, o)
	for i := uint64(1); i <= 48; i++ {
		fill(t, q, c, "a", i, 1, 100)
		c.add(30 * time.Minute)
	}
	if ev := q.MakeRoom(c.now(), 0); ev != nil {
		t.Fatalf("evicted too early: %+v", ev.Gaps)
	}
	c.add(10*time.Hour + time.Minute)
	ev := q.MakeRoom(c.now(), 0)
	if ev == nil || len(ev.Gaps) != 1 || ev.Gaps[0] != (Gap{Lane: "a", First: 1, Last: 21, Count: 21, Reason: ReasonMaxAge}) {
		t.Fatalf("due: %+v", ev)
	}
	if n := len(drain(t, q, false)); n != 48 {
		t.Fatalf("%d records before the eviction is committed, want 48", n)
	}
	if err := q.Append(Batch{Evict: ev}); err != nil {
		t.Fatal(err)
	}
	crash(q)
	q = open(t, o)
	items := drain(t, q, false)
	if len(items) != 27 || items[0].Num != 22 {
		t.Fatalf("%d records left from %d, want 27 from 22", len(items), items[0].Num)
	}
	for _, delivered := range []bool{false, true} { // the rest waits, the rest is delivered
		n := 0
		err := q.Scan(func(it Item, done bool) error {
			if n++; it.Num < 22 || done != delivered {
				t.Errorf("record %d is shown, delivered %v, want %v from 22", it.Num, done, delivered)
			}
			return nil
		})
		if err != nil || n != 27 {
			t.Fatalf("%d records are shown, want 27: %v", n, err)
		}
		drain(t, q, true)
	}
}

// Records that were written again under other numbers must never be replayed under
// their old ones, which may stand for something else.
func TestReplacedRecordsAreNeverShownAgain(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, KeepDelivered: time.Hour, Now: c.now})
	fill(t, q, c, "a", 1, 5, 100)
	old := q.Info().Epoch
	again := Batch{Epoch: old + 1, Evict: Replaced(5)}
	for i := uint64(1); i <= 5; i++ {
		again.Records = append(again.Records, rec("a", 100+i, c.t, 100))
	}
	if err := q.Append(again); err != nil {
		t.Fatal(err)
	}
	drain(t, q, true)
	for range 2 { // at once, and after a new start
		n := 0
		err := q.Scan(func(it Item, delivered bool) error {
			if n++; it.Num != 100+uint64(n) || !delivered {
				t.Errorf("record %d is shown, delivered %v", it.Num, delivered)
			}
			return nil
		})
		if err != nil || n != 5 {
			t.Fatalf("%d records are shown, want 5: %v", n, err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, Options{Dir: dir, KeepDelivered: time.Hour, Now: c.now})
	}
}

func TestAgesAreNotFooledByAWallClockThatIsSet(t *testing.T) {
	dir := shmDir(t)
	wrong := &clock{time.Unix(1000, 0)} // a machine without a battery, before NTP
	o := Options{Dir: dir, MaxAge: time.Hour, Now: wrong.now}
	q := open(t, o)
	fill(t, q, wrong, "a", 1, 5, 10)
	q.Close()
	right := newClock()
	o.Now = right.now
	q = open(t, o)
	if ev := q.MakeRoom(right.now(), 0); ev != nil {
		t.Fatalf("records were evicted because the clock was set: %+v", ev.Gaps)
	}
	right.add(-10 * time.Hour)
	fill(t, q, right, "a", 6, 1, 10)
	if ev := q.MakeRoom(right.now(), 0); ev != nil {
		t.Fatalf("records were evicted because the clock went back: %+v", ev.Gaps)
	}
}

func TestEvictionLeftUnfinishedByAKillIsFinishedAtOpen(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, MaxBytes: 1 << 20, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 400, 1400)
	ev := q.MakeRoom(c.now(), 600<<10)
	if ev == nil {
		t.Fatal("nothing is due")
	}
	first := q.segs[0].path
	saved, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Append(Batch{Evict: ev}); err != nil {
		t.Fatal(err)
	}
	crash(q)
	if err := os.WriteFile(first, saved, 0o600); err != nil { // as if killed before the removal
		t.Fatal(err)
	}
	q = open(t, o)
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Fatalf("the evicted segment is still there: %v", err)
	}
	if items := drain(t, q, false); items[0].Num != ev.Gaps[0].Last+1 {
		t.Fatalf("first record left is %d, want %d", items[0].Num, ev.Gaps[0].Last+1)
	}
}
