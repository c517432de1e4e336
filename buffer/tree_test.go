package buffer

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// branchPages are the branch pages of the trees of records.
func branchPages(b []byte) (at []int) {
	for p := 2 * pageSize; p+pageSize <= len(b); p += pageSize {
		if binary.LittleEndian.Uint64(b[p:]) == uint64(p/pageSize) && binary.LittleEndian.Uint16(b[p+8:]) == 1 {
			at = append(at, p)
		}
	}
	return at
}

// bbolt follows a branch that leads back to itself for ever, until the stack or the
// memory ends the process. Here it is damage like any other.
func TestBranchThatLeadsBackToItselfIsDamage(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 500, 1000)
	q.Close()
	path := filepath.Join(dir, segName(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pages := branchPages(b)
	if len(pages) == 0 {
		t.Fatal("the segment has no branch page")
	}
	for _, p := range pages { // each child is now the page itself
		for i := range int(binary.LittleEndian.Uint16(b[p+10:])) {
			binary.LittleEndian.PutUint64(b[p+16+16*i+8:], uint64(p/pageSize))
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("BUFFER_TRIAL") != "" { // what bbolt does with it: this ends the process
		db, _ := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		db.View(func(tx *bbolt.Tx) error { return readAllOf(tx) })
	}
	q = open(t, o)
	if n := len(drain(t, q, false)); n != 500 || len(q.Damage()) != 1 || q.Damage()[0].Lost != 0 {
		t.Fatalf("%d records, damage %+v", n, q.Damage())
	}
}

func readAllOf(tx *bbolt.Tx) error {
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
}

// The last commit is not taken back silently when one of the two meta pages breaks.
func TestOneBrokenMetaPageIsDamage(t *testing.T) {
	for page := range 2 {
		c, dir := newClock(), shmDir(t)
		o := Options{Dir: dir, Now: c.now}
		q := open(t, o)
		fill(t, q, c, "a", 1, 9, 100)
		crash(q)
		path := filepath.Join(dir, segName(1))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		clear(b[page*pageSize : (page+1)*pageSize])
		os.WriteFile(path, b, 0o600)
		q = open(t, o)
		if n := len(drain(t, q, false)); n != 9 || len(q.Damage()) != 1 || !q.Damage()[0].Reset {
			t.Errorf("meta page %d: %d records, damage %+v", page, n, q.Damage())
		}
	}
}

// bbolt goes where the numbers in a page lead: outside of the file that is a memory
// fault, or a panic. It is an error, not the end of the process, and no handle is
// left.
func TestFaultWhileReadingIsDamage(t *testing.T) {
	for i := range 4 {
		running, place := i%2 == 0, []uint32{0x7f000000, 0xfff00000}[i/2]
		c, dir := newClock(), shmDir(t)
		o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
		q := open(t, o)
		fill(t, q, c, "a", 1, 100, 1000)
		path := q.newest().path
		var child int // the page of a block
		q.w.db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
				if isBlock(name) {
					child = max(child, int(b.Root()))
				}
				return nil
			})
		})
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(binary.LittleEndian.Uint16(b[child*pageSize+10:])) { // the places of its keys
			binary.LittleEndian.PutUint32(b[child*pageSize+16+16*i+4:], place)
		}
		if !running {
			crash(q)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if !running {
			q = open(t, o)
		}
		if n := len(drain(t, q, false)); n != 100 || len(q.Damage()) != 1 || q.Damage()[0].Lost != 0 {
			t.Errorf("running %v: %d records, damage %+v", running, n, q.Damage())
		}
		if names, _ := os.ReadDir("/proc/self/fd"); len(names) > 0 {
			for _, fd := range names {
				if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); filepath.Base(to) == q.Damage()[0].KeptAs {
					t.Errorf("running %v: the broken file is still open", running)
				}
			}
		}
	}
}

// change opens a segment in bbolt, as no part of the program does, and changes it.
// fix says that its head fits the change.
func change(t *testing.T, path string, fix bool, do func(*bbolt.Tx) error) {
	t.Helper()
	h, _, _, err := readHead(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, boltOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		if err := do(tx); err != nil || !fix {
			return err
		}
		return putMeta(tx, h, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordMissingFromAFileThatLooksSoundIsDamage(t *testing.T) {
	for _, missing := range []uint64{1, 3, 0} { // 0 = the last one
		c, dir := newClock(), shmDir(t)
		o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
		q := open(t, o)
		fill(t, q, c, "a", 1, 100, 1000)
		s := *q.segs[0]
		crash(q)
		pos := missing
		if pos == 0 {
			pos = s.last
		}
		change(t, s.path, true, func(tx *bbolt.Tx) error {
			return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
				if !isBlock(name) || b.Get(posKey(pos)) == nil {
					return nil
				}
				return b.Delete(posKey(pos))
			})
		})
		q = open(t, o)
		n := len(drain(t, q, false))
		if len(q.Damage()) != 1 || uint64(n)+q.Damage()[0].Lost != 100 {
			t.Errorf("record %d of %d: %d wait, damage %+v", pos, s.last, n, q.Damage())
		}
	}
}

// A disk that lost a commit's pages but not its meta page shows an older tree.
func TestTreeOfAnotherCommitIsDamage(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 9, 100)
	path, epoch := q.segs[0].path, q.Epoch()
	q.Close()
	change(t, path, false, func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put([]byte("x"), []byte("y")) })
	q = open(t, o)
	if n := len(drain(t, q, false)); n != 9 || len(q.Damage()) != 1 || !q.Damage()[0].Reset || q.Epoch() <= epoch {
		t.Errorf("%d records, damage %+v", n, q.Damage())
	}
}

// The mark of a clean stop names the last commit: an older file in its place is
// noticed, because numbers would be used twice.
func TestOlderFileThanTheCleanStopLeftIsDamage(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 9, 100)
	path, epoch := q.segs[0].path, q.Epoch()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, q, c, "a", 10, 1, 100)
	q.Close()
	os.WriteFile(path, old, 0o600)
	q = open(t, o)
	if n := len(drain(t, q, false)); n != 9 || len(q.Damage()) != 1 || !q.Damage()[0].Reset || q.Epoch() <= epoch {
		t.Errorf("%d records, damage %+v", n, q.Damage())
	}
}
