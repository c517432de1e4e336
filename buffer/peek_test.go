package buffer

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestPeekedItemsAreNobodyElses: what is in flight stays as it is while further
// records are read and acknowledged, their segments removed, and a neighbour's
// payload is appended to. Sizes go from nothing to several pages.
func TestPeekedItemsAreNobodyElses(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 16 << 20, SegmentBytes: 64 << 10, Now: c.now})
	sizes := []int{0, 40, 1500, 900, 5000, 70_000, 300}
	var want []Record
	for i := range 350 {
		want = append(want, rec("room-1/sample", uint64(i+1), c.t, sizes[i%len(sizes)]))
		if err := q.Append(Batch{Records: want[i:]}); err != nil {
			t.Fatal(err)
		}
	}
	items := drain(t, q, true)
	if len(items) != len(want) {
		t.Fatalf("%d records, want %d", len(items), len(want))
	}
	for _, it := range items {
		if mark := append(it.Payload, "somebody's mark"...); len(mark) == 0 {
			t.Fatal("no mark")
		}
	}
	for i, it := range items {
		wantRecord(t, it, want[i])
	}
}

func TestPeekersSideBySideSeeTheirOwnRecords(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now})
	fill(t, q, c, "a", 1, 600, 900)
	var wg sync.WaitGroup
	for first := range uint64(4) {
		wg.Go(func() {
			for after := first * 150; after < (first+1)*150; {
				items, err := q.Peek(after, 7, 1<<20)
				if err != nil || len(items) == 0 {
					t.Errorf("peek after %d: %d items, %v", after, len(items), err)
					return
				}
				for _, it := range items {
					if after++; it.Pos != after || string(it.Payload) != string(rec("a", after, c.t, 900).Payload) {
						t.Errorf("position %d is %s", after, fmt.Sprint(it))
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestPeekThatItsBoundEndsKnowsTheTimesToo(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), Now: c.now})
	for i := uint64(1); i <= 3; i++ {
		fill(t, q, c, "a", i, 1, 100)
		c.add(time.Second)
	}
	if items, err := q.Peek(0, 10, 250); err != nil || len(items) != 2 {
		t.Fatalf("%d records, %v; want 2", len(items), err)
	}
	if len(q.peeked) != 2 { // else Ack would read the disk
		t.Errorf("the times of %d records are known, want 2", len(q.peeked))
	}
}
