package buffer

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unsafe"

	"go.etcd.io/bbolt"
)

// write is one write of bbolt to the segment. In a commit the writes of pages come
// first, then a flush, then the write of a meta page, then a flush.
type write struct {
	off  int64
	data []byte
}

// writeHook is the function through which bbolt writes. The field is not exported;
// should it ever be renamed, the test says so.
func writeHook(t testing.TB, db *bbolt.DB) *func([]byte, int64) (int, error) {
	t.Helper()
	ops := reflect.ValueOf(db).Elem().FieldByName("ops")
	if !ops.IsValid() || !ops.FieldByName("writeAt").IsValid() {
		t.Fatal("bbolt has no ops.writeAt any more")
	}
	return (*func([]byte, int64) (int, error))(unsafe.Pointer(ops.FieldByName("writeAt").UnsafeAddr()))
}

// record makes bbolt report its writes.
func record(t testing.TB, db *bbolt.DB, log *[]write) {
	t.Helper()
	hook := writeHook(t, db)
	real := *hook
	*hook = func(b []byte, off int64) (int, error) {
		*log = append(*log, write{off, append([]byte{}, b...)})
		return real(b, off)
	}
}

// powerRun is a recorded run: the folder before each commit's writes can be put
// together again from it.
type powerRun struct {
	base    string // folder with the sealed segments
	name    string // the newest segment
	image   []byte // that segment before the first commit
	commits [][]write
	states  []string // expected state after so many commits
	items   [][]Item // expected records after so many commits
	epoch   int64
}

// newPowerRun fills a store and records commits in its newest segment.
func newPowerRun(t testing.TB, dir string, commits int, rnd *rand.Rand) *powerRun {
	c := newClock()
	run := &powerRun{base: dir}
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 1 << 20, Now: c.now})
	fill(t, q, c, "a", 1, 40+rnd.Uint64N(200), 1000)
	num := q.head.next
	if rnd.IntN(2) == 0 {
		q.wmu.Lock()
		q.closeWriter(true)
		if err := q.rotate(); err != nil {
			t.Fatal(err)
		}
		q.wmu.Unlock()
	}
	run.epoch, run.name = q.Epoch(), filepath.Base(q.w.path)
	var err error
	if run.image, err = os.ReadFile(q.w.path); err != nil {
		t.Fatal(err)
	}
	var log []write
	record(t, q.w.db, &log)
	run.note(t, q)
	for range commits {
		var b Batch
		for range rnd.IntN(4) {
			b.Records = append(b.Records, rec("a", num, c.t, rnd.IntN(6000)))
			num++
		}
		b.State = map[string][]byte{"a": []byte(fmt.Sprint(num - 1)), "big": make([]byte, rnd.IntN(3000))}
		log = nil
		if err := q.Append(b); err != nil {
			t.Fatal(err)
		}
		if filepath.Base(q.w.path) != run.name {
			break
		}
		run.commits = append(run.commits, log)
		run.note(t, q)
	}
	crash(q)
	return run
}

func (run *powerRun) note(t testing.TB, q *Queue) {
	run.states = append(run.states, string(q.State()["a"]))
	run.items = append(run.items, drain(t, q, false))
}

// build puts together a folder whose newest segment has seen the given writes.
func (run *powerRun) build(t testing.TB, dir string, writes []write) {
	t.Helper()
	old, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range old {
		os.Remove(name)
	}
	names, _ := filepath.Glob(filepath.Join(run.base, "seg-*.db"))
	for _, name := range names {
		if filepath.Base(name) < run.name {
			os.Link(name, filepath.Join(dir, filepath.Base(name)))
		}
	}
	image := append([]byte{}, run.image...)
	for _, w := range writes {
		if end := int(w.off) + len(w.data); end > len(image) {
			image = append(image, make([]byte, end-len(image))...)
		}
		copy(image[w.off:], w.data)
	}
	if err := os.WriteFile(filepath.Join(dir, run.name), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

// torn returns what a power cut leaves of writes that were not flushed: each is
// there, gone, or there in some of its sectors.
func torn(ws []write, rnd *rand.Rand) (out []write) {
	for _, w := range ws {
		switch rnd.IntN(3) {
		case 0:
			out = append(out, w)
		case 1:
			for at := 0; at < len(w.data); at += 512 {
				if rnd.IntN(2) == 0 {
					out = append(out, write{w.off + int64(at), w.data[at:min(at+512, len(w.data))]})
				}
			}
		}
	}
	return out
}

// cut returns the writes that an honest disk has after a power cut in commit k.
func (run *powerRun) cut(k int, rnd *rand.Rand) (ws []write) {
	for _, c := range run.commits[:k] {
		ws = append(ws, c...)
	}
	last := run.commits[k]
	n := len(last) - 1 // the meta page
	if rnd.IntN(2) == 0 {
		return append(ws, torn(last[:n], rnd)...)
	}
	return append(append(ws, last[:n]...), torn(last[n:], rnd)...)
}

func sameItems(a, b []Item) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Pos != b[i].Pos || a[i].Num != b[i].Num || string(a[i].Payload) != string(b[i].Payload) {
			return false
		}
	}
	return true
}

// shmDir is a folder in memory where there is one: most tests need no disk, and a
// busy disk makes fsync slow.
func shmDir(t testing.TB) string {
	if dir, err := os.MkdirTemp("/dev/shm", "buffer"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

func TestPowerCutOnAnHonestDiskLosesNoAcceptedRecord(t *testing.T) {
	n, rnd := count("BUFFER_POWERCUTS", 100), rand.New(rand.NewPCG(1, 2))
	root, before, after := shmDir(t), 0, 0
	var run *powerRun
	for i := range n {
		if i%100 == 0 {
			run = newPowerRun(t, filepath.Join(root, fmt.Sprint("run", i)), 30, rnd)
		}
		k := rnd.IntN(len(run.commits))
		dir := filepath.Join(root, "cut")
		os.MkdirAll(dir, 0o700)
		run.build(t, dir, run.cut(k, rnd))
		q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 1 << 20})
		got, state := drain(t, q, false), string(q.State()["a"])
		switch {
		case len(q.Damage()) > 0 || q.Epoch() != run.epoch:
			t.Fatalf("cut %d in commit %d: taken for damage: %+v", i, k, q.Damage())
		case sameItems(got, run.items[k]) && state == run.states[k]:
			before++
		case sameItems(got, run.items[k+1]) && state == run.states[k+1]:
			after++
		default:
			t.Fatalf("cut %d in commit %d: %d records and state %s, want %d and %s", i, k, len(got), state, len(run.items[k]), run.states[k])
		}
		crash(q)
	}
	t.Logf("%d power cuts: %d just before the commit, %d just after, 0 accepted records lost", n, before, after)
}

// half is what a disk that ignores flushes has kept of the last four commits
// before commit k: each write or not.
func (run *powerRun) half(k int, rnd *rand.Rand) (ws []write) {
	for i, c := range run.commits[:k] {
		for _, w := range c {
			if i < k-4 || rnd.IntN(2) == 0 {
				ws = append(ws, w)
			}
		}
	}
	return ws
}

// older says by how many commits before k the queue is exactly an earlier one.
func (run *powerRun) older(k int, got []Item, state string) (commits int, ok bool) {
	for i := range 5 {
		if sameItems(got, run.items[k-i]) && state == run.states[k-i] {
			return i, true
		}
	}
	return 0, false
}

// A disk that loses the last commits with all their traces is a disk of some
// moments ago: nothing on it can tell. Whatever leaves a trace must be announced,
// and no record may come back changed.
func TestDiskThatIgnoresFlushesGivesNoWrongRecordAndAnnouncesWhatItSees(t *testing.T) {
	n, rnd := count("BUFFER_POWERCUTS", 100), rand.New(rand.NewPCG(3, 4))
	root := shmDir(t)
	var run *powerRun
	announced, earlier := 0, [5]int{}
	for i := range n {
		if i%100 == 0 {
			run = newPowerRun(t, filepath.Join(root, fmt.Sprint("run", i)), 30, rnd)
		}
		k := 4 + rnd.IntN(len(run.commits)-4)
		dir := filepath.Join(root, "cut")
		os.MkdirAll(dir, 0o700)
		run.build(t, dir, run.half(k, rnd))
		q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 1 << 20})
		got := drain(t, q, false)
		mustBeAmong(t, got, run.items[k])
		commits, exact := run.older(k, got, string(q.State()["a"]))
		switch {
		case len(q.Damage()) > 0:
			announced++
			if q.Damage()[0].Reset != (q.Epoch() != run.epoch) {
				t.Fatalf("cut %d: epoch and reset differ: %+v", i, q.Damage())
			}
		case exact:
			earlier[commits]++
		default:
			t.Fatalf("cut %d: %d of %d records without a word", i, len(got), len(run.items[k]))
		}
		crash(q)
	}
	t.Logf("%d power cuts: %d announced, %d whole, without a trace %d/%d/%d/%d commits older", n, announced,
		earlier[0], earlier[1], earlier[2], earlier[3], earlier[4])
}

// mustBeAmong checks that every record is one that was accepted, unchanged.
func mustBeAmong(t testing.TB, got, accepted []Item) {
	t.Helper()
	byPos := map[uint64]Item{}
	for _, it := range accepted {
		byPos[it.Pos] = it
	}
	for _, it := range got {
		if want, ok := byPos[it.Pos]; !ok || !sameItems([]Item{it}, []Item{want}) {
			t.Fatalf("position %d has a record that was never accepted there", it.Pos)
		}
	}
}
