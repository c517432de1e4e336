package buffer

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestInfoKnowsTheOldestWaitingRecordFromMemory(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
	q := open(t, o)
	start := c.t
	oldest := func(want uint64, when string) {
		t.Helper()
		in := q.Info()
		if want == 0 && (!in.Oldest.IsZero() || in.Waiting != 0) || want > 0 && !in.Oldest.Equal(start.Add(time.Duration(want)*time.Second)) {
			t.Errorf("%s: oldest is %v after the start, want record %d; %d wait", when, in.Oldest.Sub(start), want, in.Waiting)
		}
	}
	add := func(n uint64) {
		for i := q.Info().Next; n > 0; i, n = i+1, n-1 {
			c.t = start.Add(time.Duration(i) * time.Second)
			fill(t, q, c, "a", i, 1, 1000)
		}
	}
	ack := func(pos uint64) {
		if err := q.Ack(pos); err != nil {
			t.Fatal(err)
		}
	}
	oldest(0, "empty")
	add(50)
	oldest(1, "filled")
	ack(3)
	oldest(4, "acknowledged unseen")
	q.Peek(20, 5, 1<<20)
	ack(4)
	oldest(5, "after a peek in the middle")
	q.Peek(0, 10, 1<<20) // 5 to 14
	ack(9)
	oldest(10, "some of those in flight")
	q.Peek(20, 5, 1<<20)
	ack(14)
	oldest(15, "all of those in flight")
	if err := q.Quarantine(15, "refused"); err != nil {
		t.Fatal(err)
	}
	oldest(16, "quarantined")
	crash(q)
	q = open(t, o)
	if q.Info().Cursor == 0 {
		oldest(1, "after a kill")
	}
	ack(50)
	oldest(0, "all delivered")
	add(2)
	oldest(51, "filled again")

	names, _ := filepath.Glob(filepath.Join(dir, "seg-*"))
	for _, name := range names {
		os.Truncate(name, 0)
	}
	oldest(51, "without a file to read")
	if q.Waits(); len(q.Damage()) > 0 {
		t.Errorf("Info has met damage: %+v", q.Damage())
	}
}

// TestRecordsOnTheBorderOfTwoReadsAreSalvaged: the largest pack begins at the end of the
// first one.
func TestRecordsOnTheBorderOfTwoReadsAreSalvaged(t *testing.T) {
	const window = 4 << 20
	var want []Item
	var b []byte
	add := func(sizes ...int) {
		var items []Item
		for _, size := range sizes {
			pos := uint64(len(want) + len(items) + 1)
			items = append(items, Item{Pos: pos, Record: rec("a", pos, newClock().t, size)})
		}
		packs := packed(items)
		if len(packs) != 1 {
			t.Fatalf("%d packs", len(packs))
		}
		want, b = append(want, items...), append(b, packs[0].frame...)
	}
	for len(b) < window-3100 {
		add(3000)
	}
	add(packBytes-100, MaxPayload)
	for len(b) < 2*window+5000 {
		add(3000)
	}
	path := filepath.Join(shmDir(t), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := scanFile(path, 1, 1<<40, false)
	if err != nil || len(found.records) != len(want) {
		t.Fatalf("%d of %d records found, %v", len(found.records), len(want), err)
	}
	for i, r := range found.records {
		wantRecord(t, r, want[i].Record)
	}
}

// TestReadersOfAStoppedStoreHoldTheLockForMoments: an agent starts while somebody reads
// slowly.
func TestReadersOfAStoppedStoreHoldTheLockForMoments(t *testing.T) {
	dir := shmDir(t)
	all := damagedStore(t, dir)
	o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10}
	n := 0
	err := ScanDir(dir, func(Item, bool) error {
		if n++; n == 10 { // it starts and stops: the scan goes on
			q, err := Open(o)
			if err != nil {
				t.Fatalf("an agent that starts: %v", err)
			}
			if err := q.Append(Batch{Records: []Record{rec("a", 251, time.Now(), 10)}}); err != nil {
				t.Fatal(err)
			}
			return q.Close()
		}
		return nil
	})
	if err != nil || n != len(all) {
		t.Fatalf("%d of %d records, %v", n, len(all), err)
	}
	n = 0
	err = ScanDir(dir, func(Item, bool) error {
		if n++; n == 1 { // it starts and stays
			open(t, o)
		}
		return nil
	})
	if err == nil || errors.Is(err, ErrLocked) || n == 0 || n > len(all) {
		t.Fatalf("%d of %d records, %v", n, len(all), err)
	}
	if _, err := VerifyDir(dir, nil); !errors.Is(err, ErrLocked) {
		t.Fatalf("verify: %v", err)
	}
}

// TestOneBrokenSegmentIsNotTheEndOfAll: what is told of a stopped store is right for all
// the others.
func TestOneBrokenSegmentIsNotTheEndOfAll(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now})
	for i := uint64(1); i <= 200; i++ {
		fill(t, q, c, "a", i, 1, 900)
		c.add(time.Second)
	}
	all := drain(t, q, false)
	q.Close()
	in, err := InfoDir(dir)
	if err != nil || in.Waiting != uint64(len(all)) || !in.Oldest.Equal(all[0].Time) || in.First != 1 || in.Next != uint64(len(all))+1 {
		t.Fatalf("sound: %+v, %v", in, err)
	}
	segs, _ := listSegments(dir)
	for _, broken := range []int{0, 2} {
		good := filepath.Join(shmDir(t), "copy")
		copyStore(t, dir, good)
		s := *segs[broken]
		path := filepath.Join(good, filepath.Base(s.path))
		b, _ := os.ReadFile(path)
		clear(b[2*pageSize:])
		os.WriteFile(path, b, 0o600)
		missing := s.last - s.first + 1
		n := uint64(0)
		if err := ScanDir(good, func(it Item, _ bool) error { n++; return nil }); err == nil || n != uint64(len(all))-missing {
			t.Errorf("segment %d broken: %d records of %d without %d, %v", broken, n, len(all), missing, err)
		}
		in, err := InfoDir(good)
		oldest := all[0].Time
		if broken == 0 {
			oldest = all[s.last].Time
		}
		if err == nil || in.Waiting != uint64(len(all))-missing || !in.Oldest.Equal(oldest) || in.Segments != len(segs) {
			t.Errorf("segment %d broken: %+v, %v", broken, in, err)
		}
	}
}
