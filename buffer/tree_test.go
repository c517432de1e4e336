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
	o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 100, 1000)
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
	if n := len(drain(t, q, false)); n != 100 || len(q.Damage()) != 1 || q.Damage()[0].Lost != 0 {
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
