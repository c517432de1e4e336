package buffer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// manyLanes appends n batches of one record for each of three lanes; c comes rarely, first
// in the first one.
func manyLanes(t *testing.T, q *Queue, c *clock, from, n uint64) {
	t.Helper()
	for i := from; i < from+n; i++ {
		rs := []Record{rec("a", i, c.t, 900), rec("b", i, c.t, 900)}
		if i%40 == 1 {
			rs = append(rs, rec("c", 1+i/40, c.t, 10))
		}
		if err := q.Append(Batch{Records: rs}); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(d Damage) (n uint64) {
	for _, g := range d.Gaps {
		n += g.Count
	}
	return n
}

// TestLostSegmentsAreNamedWhateverTheOrder: each way of losing segments whole, with
// neighbours that are broken too; the names say exactly what is missing.
func TestLostSegmentsAreNamedWhateverTheOrder(t *testing.T) {
	ways := map[string]func(path string){
		"removed": func(path string) { os.Remove(path) },
		"empty":   func(path string) { os.Truncate(path, 0) },
		"zeros":   func(path string) { b, _ := os.ReadFile(path); clear(b); os.WriteFile(path, b, 0o600) },
		"most":    func(path string) { b, _ := os.ReadFile(path); clear(b[:len(b)*7/8]); os.WriteFile(path, b, 0o600) },
	}
	for way, do := range ways {
		for _, which := range [][]int{{3}, {3, 4}, {3, 4, 5}, {2, 5}, {3, -1}} {
			for _, found := range []string{"at start", "in a run"} {
				if way == "removed" && found == "in a run" || which[len(which)-1] < 0 && found == "in a run" {
					continue
				}
				t.Run(fmt.Sprint(way, which, found), func(t *testing.T) {
					c, dir := newClock(), shmDir(t)
					o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now}
					q := open(t, o)
					manyLanes(t, q, c, 1, 300)
					segs := q.segs
					if found == "at start" {
						crash(q)
					}
					for _, i := range which {
						if i < 0 { // the newest's records only: its head stays
							continue
						}
						do(segs[i].path)
					}
					if found == "at start" {
						q = open(t, o)
					}
					have := map[string]map[uint64]bool{"a": {}, "b": {}, "c": {}}
					for _, it := range drain(t, q, false) {
						have[it.Lane][it.Num] = true
					}
					missing := map[string]uint64{}
					total := uint64(0)
					for lane, n := range map[string]uint64{"a": 300, "b": 300, "c": 8} {
						for i := uint64(1); i <= n; i++ {
							if !have[lane][i] {
								missing[lane]++
								total++
							}
						}
					}
					named, lost := map[string]uint64{}, uint64(0)
					for _, d := range q.Damage() {
						lost += d.Lost
						if d.Unnamed || d.Reset {
							t.Errorf("damage %+v", d)
						}
						for _, g := range d.Gaps {
							named[g.Lane] += g.Count
							if g.First > g.Last || g.Count > g.Last-g.First+1 {
								t.Errorf("gap %+v", g)
							}
							for _, num := range []uint64{g.First, g.Last} {
								if have[g.Lane][num] {
									t.Errorf("gap %+v names a record that is there", g)
								}
							}
						}
					}
					if total == 0 || lost != total || fmt.Sprint(named) != fmt.Sprint(missing) {
						t.Errorf("missing %v, named %v, lost %d of %d", missing, named, lost, total)
					}
				})
			}
		}
	}
}

func TestAKillBeforeTheLossesAreNamedLosesNoName(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now}
	q := open(t, o)
	manyLanes(t, q, c, 1, 200)
	path := q.segs[2].path
	crash(q)
	os.Truncate(path, 0)
	q = open(t, o)
	want := q.Damage()[0]
	unnamed := want
	unnamed.Gaps, unnamed.Unnamed = nil, true
	if err := q.keepReport(unnamed); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	crash(q)
	q = open(t, o)
	if d := q.Damage(); len(d) != 1 || fmt.Sprint(d[0].Gaps) != fmt.Sprint(want.Gaps) || len(want.Gaps) < 2 {
		t.Errorf("%+v, want %+v", d, want)
	}
}

func TestARecordInTheQuarantineIsNotLostWithItsSegment(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 200, 900)
	s := *q.segs[1]
	if err := q.Quarantine(s.first+2, "refused"); err != nil {
		t.Fatal(err)
	}
	crash(q)
	os.Truncate(s.path, 0)
	q = open(t, o)
	want := s.last - s.first
	if d := q.Damage(); len(d) != 1 || d[0].Lost != want || numbers(d[0]) != want {
		t.Errorf("%+v, want %d lost", d, want)
	}
}

func TestSalvageUsesEveryCopyThatExists(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 200, 900)
	path := q.segs[1].path
	crash(q)
	whole, _ := os.ReadFile(path)
	os.WriteFile(path+copyMark+"20260101T000000Z", whole, 0o600)
	os.Truncate(path, int64(len(whole)/2))
	q = open(t, o)
	if d := q.Damage(); len(drain(t, q, false)) != 200 || len(d) != 1 || d[0].Lost != 0 || len(d[0].Gaps) != 0 {
		t.Errorf("%d records of 200, damage %+v", len(drain(t, q, false)), d)
	}
}

func TestCopiesOfBrokenSegmentsAreBoundedAndCountForMaxBytes(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, MaxBytes: 1 << 20, SegmentBytes: 64 << 10, Now: c.now}
	for i := range 60 {
		name := filepath.Join(dir, fmt.Sprintf("seg-%016x.db%s202601%02dT%06dZ", i+1, copyMark, 1+i%28, i))
		if err := os.WriteFile(name, make([]byte, 5000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	q := open(t, o)
	before := len(asides(dir))
	if in := q.Info(); before != maxCopies || in.DiskBytes < maxCopies*5000 {
		t.Fatalf("%d copies, %d bytes", before, in.DiskBytes)
	}
	crash(q)
	for i := range 20 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("seg-%016x.db%s20260201T%06dZ", i+1, copyMark, i)), make([]byte, 50_000), 0o600)
	}
	q = open(t, o)
	q.mu.Lock()
	n := q.copyBytes()
	q.mu.Unlock()
	if n > o.MaxBytes/8 || n == 0 {
		t.Fatalf("%d bytes of copies beside a limit of %d", n, o.MaxBytes)
	}
	for i := uint64(1); i <= 600; i++ { // the copies go before a record does
		ev := q.MakeRoom(c.t, 2000)
		if ev != nil && len(asides(dir)) > 0 {
			t.Fatalf("record %d: evicts while %d copies are kept", i, len(asides(dir)))
		}
		if err := q.Append(Batch{Records: []Record{rec("a", i, c.t, 2000)}, Evict: ev}); err != nil {
			t.Fatal(err)
		}
		if disk := diskSize(t, dir); disk > o.MaxBytes {
			t.Fatalf("record %d: %d bytes on disk", i, disk)
		}
	}
}

func diskSize(t *testing.T, dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if st, err := e.Info(); err == nil {
			n += st.Size()
		}
	}
	return n
}

// TestNoGapSpansTwoEpochs: numbers start again in the middle of a lane.
func TestNoGapSpansTwoEpochs(t *testing.T) {
	twoLives := func(t *testing.T, first, second uint64) (*Queue, *clock, Options) {
		c, dir := newClock(), shmDir(t)
		o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, MaxAge: time.Hour, Now: c.now}
		q := open(t, o)
		fill(t, q, c, "a", 1, first, 900)
		if err := q.Append(Batch{Epoch: NewEpoch(c.t, q.Epoch())}); err != nil {
			t.Fatal(err)
		}
		fill(t, q, c, "a", 1, second, 900)
		return q, c, o
	}
	t.Run("evicted", func(t *testing.T) {
		q, c, _ := twoLives(t, 110, 50)
		c.add(2 * time.Hour)
		want := "[{a 1 50 50 max_age} {a 1 110 110 max_age}]"
		if ev := q.MakeRoom(c.t, 0); ev == nil || fmt.Sprint(ev.Gaps) != want {
			t.Errorf("%+v, want %s", ev, want)
		}
	})
	t.Run("lost, and the second is longer", func(t *testing.T) {
		q, _, o := twoLives(t, 110, 300)
		segs := q.segs
		crash(q)
		for _, s := range segs { // until the numbers have passed those of the first epoch
			if s.last > 105 && s.first <= 110+120 {
				os.Truncate(s.path, 0)
			}
		}
		q = open(t, o)
		for _, d := range q.Damage() {
			if len(d.Gaps) > 0 {
				t.Errorf("%+v spans two epochs", d.Gaps)
			}
		}
		if len(q.Damage()) < 2 {
			t.Errorf("%d damages", len(q.Damage()))
		}
	})
	t.Run("lost in the second", func(t *testing.T) {
		q, _, o := twoLives(t, 110, 300)
		s := *q.segs[len(q.segs)-3]
		crash(q)
		os.Truncate(s.path, 0)
		q = open(t, o)
		want := fmt.Sprint([]Gap{{"a", s.first - 110, s.last - 110, s.last - s.first + 1, ReasonDamaged}})
		if d := q.Damage(); len(d) != 1 || fmt.Sprint(d[0].Gaps) != want {
			t.Errorf("%+v, want %s", d, want)
		}
	})
}
