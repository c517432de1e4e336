package buffer

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
)

// TestADiskThatHangsHoldsUpNoDrain: while a commit does not return, records are read,
// acknowledged without a bound, and one is quarantined later. Nothing waits for longer
// than a second, and Ack only every few seconds.
func TestADiskThatHangsHoldsUpNoDrain(t *testing.T) {
	dir := shmDir(t)
	synctest.Test(t, func(t *testing.T) {
		var disk chan struct{}
		q := open(t, Options{Dir: dir, opened: func(db *bbolt.DB) {
			hook := writeHook(t, db)
			real := *hook
			*hook = func(b []byte, off int64) (int, error) {
				if disk != nil {
					<-disk
				}
				return real(b, off)
			}
		}})
		const records = 3 * cursorRecords
		for n := range records {
			if err := q.Append(Batch{Records: []Record{{Lane: "a/sample", Num: uint64(n + 1), Time: time.Now(), Payload: []byte("x")}}}); err != nil {
				t.Fatal(err)
			}
		}
		disk = make(chan struct{})
		committed := make(chan error, 1)
		go func() { committed <- q.Append(Batch{State: map[string][]byte{"a": []byte("1")}}) }()
		synctest.Wait()

		start := time.Now()
		for pos := range uint64(records - 1) {
			if items, err := q.Peek(pos, 1, 1); err != nil || len(items) != 1 {
				t.Fatalf("read %d records, %v", len(items), err)
			}
			if err := q.Ack(pos + 1); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 2*busyPatience {
			t.Errorf("%d acknowledgements took %v", records-1, took)
		}
		start = time.Now()
		if err := q.Quarantine(records, "x"); !errors.Is(err, ErrBusy) {
			t.Errorf("quarantine: %v", err)
		}
		if took := time.Since(start); took > 2*busyPatience {
			t.Errorf("the quarantine took %v", took)
		}
		if in := q.Info(); in.Waiting != 1 || in.Cursor != records-1 || in.Quarantined != 0 {
			t.Errorf("%+v", in)
		}

		close(disk)
		if err := <-committed; err != nil {
			t.Error(err)
		}
		if err := q.Quarantine(records, "x"); err != nil {
			t.Error(err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	q := open(t, Options{Dir: dir})
	if in := q.Info(); in.Waiting != 0 || in.Quarantined != 1 {
		t.Errorf("after a stop: %+v", in)
	}
}

// TestAStartThatCannotReadEndsWithItsContext: it does not go on trying for minutes after
// the agent was told to stop.
func TestAStartThatCannotReadEndsWithItsContext(t *testing.T) {
	dir := shmDir(t)
	all := damagedStore(t, dir)
	before := listing(t, dir)
	o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10}
	broken := true
	failReads(t, func(string, int64, int) error {
		if broken {
			return syscall.EIO
		}
		return nil
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := o
		o.Context = ctx
		start := time.Now()
		time.AfterFunc(20*time.Second, cancel)
		_, err := Open(o)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, syscall.EIO) || time.Since(start) > 21*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
	if listing(t, dir) != before {
		t.Error("the folder was changed")
	}
	broken = false
	q := open(t, o) // the lock is free
	if got := drain(t, q, false); len(got) != len(all) {
		t.Errorf("%d of %d records", len(got), len(all))
	}
}
