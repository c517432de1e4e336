package buffer

import (
	"errors"
	"testing"
)

func TestPoisonRecordIsSetAsideAndTheQueueGoesOn(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 5, 100)
	q.Ack(1)
	if err := q.Quarantine(2, "the broker cuts the connection"); err != nil {
		t.Fatal(err)
	}
	for _, kill := range []bool{false, true} {
		if kill {
			crash(q)
			q = open(t, o)
		}
		items := drain(t, q, false)
		if len(items) > 0 && items[0].Pos == 1 { // the cursor was not persisted yet
			items = items[1:]
		}
		if len(items) != 3 || items[0].Num != 3 {
			t.Fatalf("kill %v: %d records wait from %d, want 3 from 3", kill, len(items), items[0].Num)
		}
		list, err := q.Quarantined()
		if err != nil || len(list) != 1 || list[0].Reason != "the broker cuts the connection" || !list[0].Since.Equal(c.t) {
			t.Fatalf("quarantine: %+v, %v", list, err)
		}
		wantRecord(t, list[0].Item, rec("a", 2, c.t, 100))
		if in := q.Info(); in.Quarantined != 1 {
			t.Fatalf("info: %+v", in)
		}
	}
	if err := q.Ack(5); err != nil {
		t.Fatal(err)
	}
	if err := q.Requeue(2); err != nil {
		t.Fatal(err)
	}
	items := drain(t, q, true)
	if len(items) != 1 {
		t.Fatalf("%d records after the requeue, want 1", len(items))
	}
	wantRecord(t, items[0], rec("a", 2, c.t, 100))
	if list, _ := q.Quarantined(); len(list) != 0 {
		t.Fatalf("still in the quarantine: %+v", list)
	}
}

func TestQuarantineRefusesWhatDoesNotWait(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), Now: c.now})
	fill(t, q, c, "a", 1, 5, 100)
	q.Ack(3)
	for _, pos := range []uint64{0, 3, 6, 1 << 60} {
		if err := q.Quarantine(pos, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("quarantine %d: %v, want ErrNotFound", pos, err)
		}
	}
	if err := q.Requeue(4); !errors.Is(err, ErrNotFound) {
		t.Errorf("requeue of a record that is not there: %v", err)
	}
}

func TestQuarantineIsBounded(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 512 << 10, Now: c.now})
	fill(t, q, c, "a", 1, 10, 20000)
	for pos := uint64(1); pos <= 10; pos++ {
		if err := q.Quarantine(pos, "too large"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := q.Quarantined()
	if in := q.Info(); err != nil || in.QuarantinedBytes > 64<<10 || len(list) == 0 || list[len(list)-1].Num != 10 || in.Waiting != 0 {
		t.Fatalf("%d set aside, info %+v, %v", len(list), in, err)
	}
}
