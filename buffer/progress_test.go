package buffer

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// markedStore has several segments, all but the last records delivered, and the
// cursor not on disk.
func markedStore(t *testing.T, o Options, c *clock) (q *Queue, delivered uint64) {
	t.Helper()
	q = open(t, o)
	fill(t, q, c, "a", 1, 300, 1000)
	if err := q.Ack(290); err != nil {
		t.Fatal(err)
	}
	if q.progress.saved != 0 {
		t.Fatalf("the cursor is on disk already: %d", q.progress.saved)
	}
	return q, 290
}

func TestDeliveredSegmentDroppedOnAFullDiskIsNotMissedAfterAKill(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, SegmentBytes: 64 << 10, KeepDelivered: time.Hour, Now: c.now}
	q, delivered := markedStore(t, o, c)
	for range 3 { // as Append does when the disk accepts no commit
		if !q.dropOldestDelivered() {
			t.Fatal("nothing could be dropped")
		}
	}
	gone := q.segs[0].first - 1
	if gone == 0 || gone > delivered {
		t.Fatalf("%d of %d delivered records are gone", gone, delivered)
	}
	crash(q)
	err := ScanDir(dir, func(it Item, done bool) error {
		if it.Pos <= gone {
			t.Fatalf("record %d is still there", it.Pos)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		q = open(t, o)
		if len(q.Damage()) > 0 {
			t.Fatalf("delivered records are reported as lost: %+v", q.Damage())
		}
		items := drain(t, q, false)
		if len(items) == 0 || items[0].Pos != gone+1 || items[len(items)-1].Num != 300 {
			t.Fatalf("%d records wait, want %d to 300", len(items), gone+1)
		}
		crash(q)
	}
	q = open(t, o)
	fill(t, q, c, "a", 301, 1, 10)
	if left, _ := filepath.Glob(filepath.Join(dir, "delivered-*")); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// TestInfoWhileMarksGo has something to find with -race only.
func TestInfoWhileMarksGo(t *testing.T) {
	c := newClock()
	q, _ := markedStore(t, Options{Dir: shmDir(t), SegmentBytes: 64 << 10, KeepDelivered: time.Hour, Now: c.now}, c)
	q.wmu.Lock()
	defer q.wmu.Unlock()
	if !q.dropOldestDelivered() || !q.progress.marked {
		t.Fatal("there is no mark")
	}
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		q.Info()
		close(began)
		for range 20_000 { // most of them after the marks are gone, and nothing else in between
			q.Info()
		}
	}()
	<-began
	q.removeMarks()
	<-ended
	if left, _ := filepath.Glob(filepath.Join(q.o.Dir, "delivered-*")); q.progress.marked || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSegmentThatIsGoneIsReportedAndTheQueueGoesOn(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, SegmentBytes: 64 << 10, MaxAge: time.Hour, Now: c.now})
	fill(t, q, c, "a", 1, 300, 1000)
	lost := q.segs[1].last - q.segs[1].first + 1
	if err := os.Remove(q.segs[1].path); err != nil {
		t.Fatal(err)
	}
	c.add(2 * time.Hour)
	ev := q.MakeRoom(c.now(), 0)
	if ev == nil {
		t.Fatal("nothing is due")
	}
	items := drain(t, q, false)
	if d := q.Damage(); len(d) != 1 || d[0].Lost != lost || len(d[0].Gaps) != 1 || d[0].Gaps[0].Count != lost {
		t.Fatalf("damage %+v, want one with %d lost", d, lost)
	}
	if uint64(len(items)) != 300-lost {
		t.Fatalf("%d records wait, want %d", len(items), 300-lost)
	}
}

func TestClosedStoreTakesNothing(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, Now: c.now})
	fill(t, q, c, "a", 1, 10, 100)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	c.add(time.Minute)
	if err := q.Ack(5); !errors.Is(err, ErrClosed) {
		t.Errorf("ack: %v", err)
	}
	if err := q.Quarantine(7, "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("quarantine: %v", err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("the folder has changed:\n%s\n%s", before, after)
	}
}
