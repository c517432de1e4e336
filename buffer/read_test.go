package buffer

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestScanTellsDeliveredFromWaitingAndItsItemsStay(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 8 << 20, SegmentBytes: 64 << 10, KeepDelivered: 24 * time.Hour, Now: c.now})
	fill(t, q, c, "room-1/sample", 1, 400, 500)
	q.Ack(300)
	var got []Item
	err := q.Scan(func(it Item, delivered bool) error {
		if delivered != (it.Pos <= 300) {
			t.Errorf("record %d: delivered is %v", it.Pos, delivered)
		}
		got = append(got, it)
		return nil
	})
	if err != nil || len(got) != 400 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i, it := range got {
		wantRecord(t, it, rec("room-1/sample", uint64(i+1), c.t, 500))
	}
	first := uint64(0)
	if err := q.ScanFrom(397, func(it Item, _ bool) error { first = it.Pos; return io.EOF }); err != io.EOF || first != 397 {
		t.Errorf("from 397 on: %d, %v", first, err)
	}
	stop := errors.New("stop here")
	if err := q.Scan(func(Item, bool) error { return stop }); err != stop {
		t.Fatalf("scan returned %v, want the caller's error", err)
	}
}

func TestAppendPeekAckAndScanRunSideBySide(t *testing.T) {
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 4 << 20, SegmentBytes: 64 << 10})
	const n = 600
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := uint64(1); i <= n; i++ {
			if err := q.Append(Batch{Records: []Record{rec("a", i, time.Now(), 700)}, Evict: q.MakeRoom(time.Now(), 700)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wg.Go(func() {
		for want := uint64(1); want <= n; {
			items, err := q.Peek(want-1, 20, 1<<20)
			if err != nil {
				t.Error(err)
				return
			}
			if len(items) == 0 {
				<-q.Changed()
			}
			for _, it := range items {
				if it.Num != want {
					t.Errorf("record %d, want %d", it.Num, want)
					return
				}
				want++
			}
			q.Ack(want - 1)
		}
	})
	wg.Go(func() {
		for range 20 {
			last := uint64(0)
			err := q.Scan(func(it Item, _ bool) error {
				if it.Pos <= last {
					t.Errorf("scan goes from %d to %d", last, it.Pos)
				}
				last = it.Pos
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			q.Info()
			q.State()
		}
	})
	wg.Wait()
	if in := q.Info(); in.Waiting != 0 {
		t.Fatalf("%d wait in the end", in.Waiting)
	}
}

func TestManyKillsLeaveNoReservedRoomBehind(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	for i := range uint64(10) {
		q := open(t, o)
		fill(t, q, c, "a", i+1, 1, 100)
		crash(q)
	}
	q := open(t, o)
	if use := diskUse(t, dir); use > 10*64<<10 || len(drain(t, q, false)) != 10 {
		t.Fatalf("%d bytes on disk for ten records", use)
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	file := filepath.Join(shmDir(t), "file")
	os.WriteFile(file, nil, 0o600)
	for name, o := range map[string]Options{
		"no folder":      {},
		"too small":      {Dir: shmDir(t), MaxBytes: 1000},
		"folder is file": {Dir: file},
	} {
		if q, err := Open(o); err == nil {
			q.Close()
			t.Errorf("%s: no error", name)
		}
	}
	q := open(t, Options{Dir: shmDir(t)})
	for name, b := range map[string]Batch{
		"empty lane":    {Records: []Record{{}}},
		"long lane":     {Records: []Record{{Lane: strings.Repeat("x", 256)}}},
		"large payload": {Records: []Record{{Lane: "a", Payload: make([]byte, MaxPayload+1)}}},
		"large batch":   {Records: make([]Record, 9)},
		"large state":   {State: map[string][]byte{"a": make([]byte, MaxState+1)}},
	} {
		for i := range b.Records {
			if len(b.Records) == 9 {
				b.Records[i] = Record{Lane: "a", Payload: make([]byte, MaxPayload)}
			}
		}
		if err := q.Append(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := q.Ack(1); err == nil {
		t.Error("ack of a record that does not exist: no error")
	}
	q.Close()
	if err := q.Append(Batch{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
}
