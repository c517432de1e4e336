package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/golang/snappy"
	"go.etcd.io/bbolt"
)

// TestRecordsArePackedTogether: what they repeat is there once; a pack that is full ends;
// and a record that packing does not shorten, or a large one, is what it was.
func TestRecordsArePackedTogether(t *testing.T) {
	c := newClock()
	text := func(num uint64) []byte {
		return fmt.Appendf(nil, `{"v":1,"schema":"roomcall.stream/1.0","id":"agent.1.room-1.stream.%d","media":"video","direction":"recv","loss_pct":0.%d}`, num, num)
	}
	random := func(size int) func(uint64) []byte {
		return func(num uint64) []byte { return rec("a", num, c.t, size).Payload }
	}
	for _, l := range []struct {
		name          string
		records       int
		payload       func(num uint64) []byte
		packs, atMost int // bytes of all packs
	}{
		{"six of a poll", 6, text, 1, 450},
		{"many", 1000, text, 3, 24_000},
		{"random", 3, random(1000), 1, 3300},
		{"empty", 2, func(uint64) []byte { return nil }, 1, 120},
		{"large", 3, random(MaxPayload), 3, 3*MaxPayload + 1000},
	} {
		t.Run(l.name, func(t *testing.T) {
			var items []Item
			for i := range l.records {
				it := Item{Pos: 7 + 2*uint64(i), batch: 3, acceptedAt: 5, requeued: i%2 == 0, Record: Record{Lane: "a", Num: uint64(i), Fresh: time.Second, Time: c.now(), Payload: l.payload(uint64(i))}}
				items = append(items, it)
			}
			packs := packed(items)
			var got []Item
			total := 0
			for _, p := range packs {
				some, size, err := decodeRecords(append(p.frame, "what follows"...))
				if err != nil || size != len(p.frame) || some[0].Pos != p.first {
					t.Fatalf("%d bytes of %d, %v", size, len(p.frame), err)
				}
				got, total = append(got, some...), total+size
			}
			same := func(a, b Item) bool {
				payload := bytes.Equal(a.Payload, b.Payload)
				a.Payload, b.Payload = nil, nil
				return payload && reflect.DeepEqual(a, b)
			}
			if !slices.EqualFunc(items, got, same) {
				t.Error("the records are not what they were")
			}
			if len(packs) != l.packs || total > l.atMost {
				t.Errorf("%d packs of %d bytes, want %d of at most %d", len(packs), total, l.packs, l.atMost)
			}
		})
	}
}

// A few bytes can say that they are a gigabyte.
func TestWhatIsUnpackedIsBounded(t *testing.T) {
	packed := snappy.Encode(nil, make([]byte, MaxPayload+1))
	for name, b := range map[string][]byte{"too large": packed, "no end": {0xff, 0xff, 0xff, 0xff, 0x0f, 1}, "cut": packed[:len(packed)/2], "nothing": {}} {
		if out, err := unpacked(b, MaxPayload); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
	if out, err := unpacked(snappy.Encode(nil, make([]byte, MaxPayload)), MaxPayload); err != nil || len(out) != MaxPayload {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// A scan computes no checksum of megabytes for each few bytes that look like a pack.
func TestAPackIsBounded(t *testing.T) {
	frame := binary.BigEndian.AppendUint32(newFrame(packMagic, 0), uint32(maxFrame))
	frame = sealed(append(frame, make([]byte, maxFrame)...))
	if _, _, err := decodeRecords(frame); err != errCut {
		t.Errorf("a pack of %d bytes: %v", len(frame), err)
	}
}

// TestACommitFindsItsRoom: bbolt never grows the file, also for the largest batches, and
// the list of blocks has its part.
func TestACommitFindsItsRoom(t *testing.T) {
	c := newClock()
	for _, l := range []struct{ records, size int }{{1, 10}, {3, MaxPayload}, {3800, 2100}, {490, 17_000}} {
		q := open(t, Options{Dir: shmDir(t), SegmentBytes: 32 << 20, Now: c.now})
		for n := range 4 {
			var b Batch
			for i := range l.records {
				b.Records = append(b.Records, rec("a", uint64(n*l.records+i+1), c.t, l.size))
			}
			q.wmu.Lock()
			_, items := q.number(b)
			before, room := q.w.usedBytes, sizeOnDisk(packed(items), nil)
			q.wmu.Unlock()
			if err := q.Append(b); err != nil {
				t.Fatal(err)
			}
			if took := q.w.usedBytes - before; took > room {
				t.Errorf("%d records of %d bytes need %d pages, of which %d were reserved", l.records, l.size, took/pageSize, room/pageSize)
			}
		}
	}
}

// A commit of few records writes one page of them.
func TestABlockIsAPageOfRecords(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), Now: c.now})
	fill(t, q, c, "a", 1, 20, 900)
	var b Batch
	for n := uint64(21); n <= 30; n++ {
		b.Records = append(b.Records, jsonRec("a", n, c))
	}
	if err := q.Append(b); err != nil {
		t.Fatal(err)
	}
	fill(t, q, c, "a", 31, 1, 20_000)
	fill(t, q, c, "a", 32, 1, 20)
	blocks, large := 0, 0
	err := q.w.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if !isBlock(name) {
				return nil
			}
			blocks++
			if s := b.Stats(); s.BranchPageN > 0 || s.LeafPageN > 1 || s.LeafOverflowN > 0 {
				large++
			}
			return nil
		})
	})
	if err != nil || blocks > 12 || large != 1 {
		t.Errorf("%d blocks, %d of them larger than a page, %v; want few, and one for the record that is larger", blocks, large, err)
	}
	if n := len(drain(t, q, false)); n != 32 {
		t.Errorf("%d records", n)
	}
}

// jsonRec is a record that packing makes shorter.
func jsonRec(lane string, num uint64, c *clock) Record {
	r := rec(lane, num, c.t, 0)
	for i := range 40 {
		r.Payload = fmt.Appendf(r.Payload, `{"number":%d,"%s_loss_pct":%d}`, num, lane, i)
	}
	return r
}

// TestPackedRecordsAreSalvaged: they are found without their tree, also when a payload
// holds what a record begins with, or a whole one.
func TestPackedRecordsAreSalvaged(t *testing.T) {
	for _, damage := range damages[:4] {
		t.Run(damage.name, func(t *testing.T) {
			c, dir := newClock(), shmDir(t)
			o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
			q := open(t, o)
			foreign := packed([]Item{{Pos: 7, Record: jsonRec("foreign", 1, c)}})[0].frame
			var want []Record
			for i := uint64(1); i <= 120; i++ {
				r := jsonRec("a", i, c)
				switch i % 3 {
				case 1:
					r.Payload = append(bytes.Clone(r.Payload), foreign[:8]...)
				case 2:
					r.Payload = append(foreign[:len(foreign):len(foreign)], r.Payload...)
				}
				want = append(want, r)
				if err := q.Append(Batch{Records: []Record{r}, State: map[string][]byte{"a": []byte(fmt.Sprint(i))}}); err != nil {
					t.Fatal(err)
				}
			}
			path := q.segs[0].path
			if len(q.segs) < 2 {
				t.Fatal("one segment")
			}
			q.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			if err := os.WriteFile(path, damage.do(b, rnd), 0o600); err != nil {
				t.Fatal(err)
			}
			q = open(t, o)
			items := drain(t, q, false)
			lost := uint64(0)
			for _, d := range q.Damage() {
				lost += d.Lost
			}
			if uint64(len(items))+lost != 120 || len(items) < 110 {
				t.Fatalf("%d records, damage %+v", len(items), q.Damage())
			}
			for _, it := range items {
				wantRecord(t, it, want[it.Num-1])
			}
		})
	}
}

// TestWhoAppendsToAPayloadChangesNoOther: the records of a pack share memory, and a record
// that is sent late gets a mark at its end.
func TestWhoAppendsToAPayloadChangesNoOther(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), Now: c.now})
	var b Batch
	for n := uint64(1); n <= 3; n++ {
		b.Records = append(b.Records, jsonRec("a", n, c))
	}
	if err := q.Append(b); err != nil {
		t.Fatal(err)
	}
	items := drain(t, q, false)
	for i, it := range items {
		wantRecord(t, it, b.Records[i])
		_ = append(it.Payload, it.Payload...)
	}
	if len(items) != 3 {
		t.Errorf("%d records", len(items))
	}
}

// TestStatesFillTheirPages: a commit writes whole pages, so states that are written together
// share them.
func TestStatesFillTheirPages(t *testing.T) {
	q := open(t, Options{Dir: shmDir(t)})
	const devices, size = 60, 900
	noise := rand.NewChaCha8([32]byte{})
	b := Batch{State: map[string][]byte{}}
	for i := range devices {
		state := make([]byte, size)
		_, _ = noise.Read(state) // it never fails
		b.State[fmt.Sprintf("room-%d", i)] = state
	}
	if err := q.Append(b); err != nil {
		t.Fatal(err)
	}
	var s bbolt.BucketStats
	if err := q.w.db.View(func(tx *bbolt.Tx) error { s = tx.Bucket(metaBucket).Stats(); return nil }); err != nil {
		t.Fatal(err)
	}
	if most := devices*size*7/4/pageSize + 1; s.LeafPageN > most {
		t.Errorf("%d states of %d bytes fill %d pages, want at most %d", devices, size, s.LeafPageN, most)
	}
}
