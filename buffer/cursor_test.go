package buffer

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// After a kill nothing is delivered again but what Ack's promise allows.
func TestCursorIsOnDiskAfter1000RecordsOr5SecondsOrWithACommit(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(q *Queue, c *clock)
		want uint64 // cursor after a kill
	}{
		{"fewer and sooner", func(q *Queue, c *clock) { q.Ack(999) }, 0},
		{"1000 records", func(q *Queue, c *clock) { q.Ack(1000) }, 1000},
		{"5 seconds", func(q *Queue, c *clock) { q.Ack(10); c.add(5 * time.Second); q.Ack(11) }, 11},
		{"a commit", func(q *Queue, c *clock) { q.Ack(7); q.Append(Batch{}) }, 7},
		{"a clean stop", func(q *Queue, c *clock) { q.Ack(7); q.Close() }, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, dir := newClock(), shmDir(t)
			o := Options{Dir: dir, Now: c.now}
			q := open(t, o)
			var b Batch
			for i := uint64(1); i <= 1200; i++ {
				b.Records = append(b.Records, rec("a", i, c.t, 10))
			}
			if err := q.Append(b); err != nil {
				t.Fatal(err)
			}
			tt.do(q, c)
			crash(q)
			if got := open(t, o).Info().Cursor; got != tt.want {
				t.Errorf("cursor %d after a kill, want %d", got, tt.want)
			}
		})
	}
}

// failMeta makes the next write of a meta page reach the file and fail all the
// same, as when the flush after it fails.
func failMeta(t testing.TB, db *bbolt.DB) {
	hook := writeHook(t, db)
	real := *hook
	*hook = func(b []byte, off int64) (int, error) {
		n, err := real(b, off)
		if off < 2*pageSize {
			return 0, syscall.EIO
		}
		return n, err
	}
}

// What a commit wrote that failed was never accepted, although it can be read in
// the file: its positions are given to other records.
func TestRecordsOfAFailedCommitAreNeverRead(t *testing.T) {
	for _, kept := range []int{0, 5} {
		c, dir := newClock(), shmDir(t)
		o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
		q := open(t, o)
		fill(t, q, c, "a", 1, uint64(kept), 100)
		failMeta(t, q.w.db)
		var b Batch
		for i := uint64(1); i <= 8; i++ {
			b.Records = append(b.Records, rec("never accepted", i, c.t, 100))
		}
		if err := q.Append(b); !errors.Is(err, syscall.EIO) {
			t.Fatalf("append: %v", err)
		}
		check := func(when string, extra int) {
			t.Helper()
			n := 0
			err := q.Scan(func(it Item, _ bool) error {
				n++
				wantRecord(t, it, rec("a", uint64(n), c.t, 100))
				return nil
			})
			if items := drain(t, q, false); err != nil || n != kept+extra || len(items) != n || len(q.Damage()) > 0 {
				t.Fatalf("%s: %d scanned, %d peeked, want %d; %v, damage %+v", when, n, len(items), kept+extra, err, q.Damage())
			}
		}
		check("after the failure", 0)
		fill(t, q, c, "a", uint64(kept+1), 3, 100)
		check("after the next commits", 3)
		crash(q)
		n := 0
		if err := ScanDir(dir, func(it Item, _ bool) error { n++; wantRecord(t, it, rec("a", uint64(n), c.t, 100)); return nil }); err != nil || n != kept+3 {
			t.Fatalf("offline: %d records, %v", n, err)
		}
		for _, v := range must(VerifyDir(dir, nil))(t) {
			if v.Err != nil {
				t.Errorf("verify: %v", v.Err)
			}
		}
		q = open(t, o)
		check("after a kill", 3)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A record is read only when its commit has returned: until then it may still fail.
func TestRecordsOfACommitUnderWayAreNotRead(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), Now: c.now})
	fill(t, q, c, "a", 1, 3, 100)
	q.wmu.Lock() // the part of Append that writes, without what follows its return
	h, items := q.number(Batch{Records: []Record{rec("a", 4, c.t, 100)}})
	err := q.w.commit(packed(items), nil, h)
	q.wmu.Unlock()
	n := 0
	err = errors.Join(err, q.Scan(func(Item, bool) error { n++; return nil }))
	if got := drain(t, q, false); err != nil || len(got) != 3 || n != 3 || items[0].batch != h.batch {
		t.Fatalf("%d records peeked and %d scanned, want 3; batch %d of %d; %v", len(got), n, items[0].batch, h.batch, err)
	}
}

func TestCursorNeverMovesBack(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 20, 10)
	for range 2 {
		if err := errors.Join(q.Ack(10), q.Ack(5), q.Append(Batch{})); err != nil {
			t.Fatal(err)
		}
		if items := drain(t, q, false); len(items) != 10 || items[0].Num != 11 || q.Info().Cursor != 10 {
			t.Fatalf("%d records wait, cursor %d", len(items), q.Info().Cursor)
		}
		crash(q)
		q = open(t, o)
	}
}
