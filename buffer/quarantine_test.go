package buffer

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestQueueGoesOnWithoutAQuarantinedRecord(t *testing.T) {
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

func TestQuarantineIsBoundedAndWhatGoesIsAnnounced(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 512 << 10, Now: c.now})
	fill(t, q, c, "a", 1, 10, 20000)
	for pos := uint64(1); pos <= 10; pos++ {
		if err := q.Quarantine(pos, "too large"); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := q.Quarantined(); err != nil || len(list) != 10 {
		t.Fatalf("%d quarantined, %v: none may go before its announcement", len(list), err)
	}
	ev := q.MakeRoom(c.now(), 0)
	if ev == nil {
		t.Fatal("nothing is due")
	}
	if err := q.Append(Batch{Evict: ev}); err != nil {
		t.Fatal(err)
	}
	list, err := q.Quarantined()
	if in := q.Info(); err != nil || in.QuarantinedBytes > 64<<10 || len(list) == 0 || list[len(list)-1].Num != 10 || in.Waiting != 0 {
		t.Fatalf("%d quarantined, info %+v, %v", len(list), in, err)
	}
	if len(ev.Gaps)+len(list) != 10 {
		t.Fatalf("%d announced and %d left of 10: %+v", len(ev.Gaps), len(list), ev.Gaps)
	}
	for i, g := range ev.Gaps {
		if want := (Gap{"a", uint64(i + 1), uint64(i + 1), 1, ReasonMaxBytes}); g != want {
			t.Errorf("gap %+v, want %+v", g, want)
		}
	}
	if ev := q.MakeRoom(c.now(), 0); ev != nil {
		t.Errorf("due again: %+v", ev.Gaps)
	}
}

func TestRequeuedRecordThatIsEvictedIsAnnouncedByItself(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxAge: time.Hour, Now: c.now})
	fill(t, q, c, "a", 1, 3, 100)
	if err := errors.Join(q.Quarantine(2, "x"), q.Ack(3), q.Requeue(2)); err != nil {
		t.Fatal(err)
	}
	fill(t, q, c, "a", 4, 2, 100)
	if err := errors.Join(q.Quarantine(5, "x"), q.Requeue(5)); err != nil { // number 4, behind 5
		t.Fatal(err)
	}
	c.add(2 * time.Hour)
	ev := q.MakeRoom(c.now(), 0)
	want := []Gap{{"a", 5, 5, 1, ReasonMaxAge}, {"a", 2, 2, 1, ReasonMaxAge}, {"a", 4, 4, 1, ReasonMaxAge}}
	if ev == nil || !reflect.DeepEqual(ev.Gaps, want) {
		t.Fatalf("evicted %+v, want %+v", ev, want)
	}
}

func TestADamagedQuarantinedRecordHidesNoneOfTheOthers(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, Now: c.now})
	fill(t, q, c, "a", 1, 4, 100)
	for pos := uint64(1); pos <= 3; pos++ {
		if err := q.Quarantine(pos, "x"); err != nil {
			t.Fatal(err)
		}
	}
	path := q.quarantinePath(2)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := q.Quarantined()
	if len(list) != 2 || list[0].Num != 1 || list[1].Num != 3 || !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), path) {
		t.Fatalf("listed are %+v, %v; want 1 and 3, and an error that names %s", list, err, path)
	}
	broken := func(list []Verdict) (out []string) {
		for _, v := range list {
			if v.Err != nil {
				out = append(out, v.Segment)
			}
		}
		return out
	}
	want := []string{filepath.Base(path)}
	if got := broken(q.Verify()); !reflect.DeepEqual(got, want) {
		t.Errorf("verify says that %v are broken, want %v", got, want)
	}
	q.Close()
	verdicts, err := VerifyDir(dir, nil)
	if got := broken(verdicts); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("verify of a closed store says that %v are broken, %v; want %v", got, err, want)
	}
}

// TestAQuarantinedRecordThatGoesUnreadIsReportedLost: no gap can name it, so a report of
// damage counts it, once, and survives until it is announced. A read that fails now is no
// reason to let it go.
func TestAQuarantinedRecordThatGoesUnreadIsReportedLost(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"damaged": func(path string) error { return os.Truncate(path, 20) },
		"deleted": os.Remove,
		"not to be read": func(path string) error { // a folder gives an error of the system
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, dir := newClock(), shmDir(t)
			o := Options{Dir: dir, MaxBytes: 512 << 10, Now: c.now}
			q := open(t, o)
			fill(t, q, c, "a", 1, 10, 20000)
			for pos := uint64(1); pos <= 10; pos++ {
				if err := q.Quarantine(pos, "too large"); err != nil {
					t.Fatal(err)
				}
			}
			if err := harm(q.quarantinePath(2)); err != nil {
				t.Fatal(err)
			}
			ev := q.MakeRoom(c.now(), 0)
			if name == "not to be read" && len(q.Damage()) > 0 {
				t.Fatal("given up at once")
			}
			for range readFailures {
				c.add(readPatience)
				ev = q.MakeRoom(c.now(), 0)
			}
			if d := q.Damage(); len(d) != 1 || d[0].Lost != 1 || d[0].Segment != filepath.Base(q.quarantinePath(2)) {
				t.Fatalf("reported is %+v", d)
			}
			q.Close()
			q = open(t, o)
			damage := q.Damage()
			if len(damage) != 1 || damage[0].Lost != 1 {
				t.Fatalf("after a restart %+v is reported", damage)
			}
			if err := q.Append(Batch{Evict: q.MakeRoom(c.now(), 0), Damage: damage}); err != nil {
				t.Fatal(err)
			}
			list, err := q.Quarantined()
			if len(ev.Gaps)+1+len(list) != 10 {
				t.Errorf("%d announced, 1 reported and %d left of 10, %v", len(ev.Gaps), len(list), err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, reportPrefix+"*")); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
			if again := q.MakeRoom(c.now(), 0); again != nil {
				t.Errorf("due again: %+v", again)
			}
		})
	}
}
