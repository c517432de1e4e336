package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// bbolt maps a file into memory and trusts it: a broken page is a memory fault or
// a panic; when one of the two meta pages is broken, it silently goes back one
// commit; and a branch page that leads back to itself is followed for ever. So a
// segment that is not being written is read in three steps: checkTree looks at
// what would hang bbolt or pass unnoticed; bbolt reads, and a fault or panic on
// the way becomes an error; each record's own CRC-32C tells whether it is right.

// viewSegment runs fn on a segment that is not being written. Whatever is wrong
// with the file is a damagedError; errUnreadable says that it could not be read. fn
// must copy what it keeps, may read the part of the tree that check names, and may be
// called again.
func viewSegment(path string, check treeCheck, fn func(*bbolt.Tx) error) error {
	return tryRead(func() error {
		err := viewOnce(path, check, fn)
		if !errors.Is(err, errFault) {
			return err
		}
		// Either the tree leads out of the file, or the device failed to read a page.
		if err := readWhole(path); err != nil {
			return err
		}
		return viewOnce(path, check, fn)
	})
}

func viewOnce(path string, check treeCheck, fn func(*bbolt.Tx) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // bbolt closes it too, but not after a panic
	o := boltOptions()
	o.ReadOnly = true // also: no list of free pages is made, which could run for ever
	o.OpenFile = func(string, int, fs.FileMode) (*os.File, error) { return f, nil }
	var db *bbolt.DB
	err = catchFault(path, func() (err error) {
		if err = checkTree(f, check); err == nil {
			db, err = bbolt.Open(path, 0, o)
		}
		return err
	})
	if err != nil {
		return err
	}
	begun, err := view(db, path, fn)
	if begun {
		db.Close()
	}
	return err
}

// view runs fn on a file that is open in bbolt. When it fails before fn has begun,
// bbolt may hold its locks for ever: the handle must not be used any more, not even
// closed.
func view(db *bbolt.DB, path string, fn func(*bbolt.Tx) error) (begun bool, err error) {
	err = catchFault(path, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			begun = true
			return fn(tx)
		})
	})
	return begun, err
}

// treeCheck says how much of a tree is looked at.
type treeCheck int

const (
	metaOnly treeCheck = iota // the tree was looked at before
	headOnly                  // what leads to head and state
	all
)

// catchFault runs a read of bbolt's and makes a damagedError of a fault or a panic.
func catchFault(path string, read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damagedf("%v", p)
			if _, fault := p.(interface{ Addr() uintptr }); fault {
				err = fmt.Errorf("%w: %w", errFault, err)
			}
		}
		if errors.Is(err, errDamaged) {
			err = &damagedError{path, err}
		}
	}()
	return read()
}

// checkTree checks both meta pages, that the file is as long as they say, and that
// each page has one place in the tree, so that a walk is bounded by their number:
// a branch that leads back to itself fills the memory until the process ends (seen
// with bbolt 1.5.0, see TestBranchThatLeadsBackToItselfIsDamage).
//
// The format (bbolt v1.5, internal/common): a page begins with id (8 bytes), flags
// (2), count (2), overflow (4); 16 bytes for each element follow. An element of a
// branch page has its key's place and size and the page below (8 bytes); one of a
// leaf page has flags (4) and place, key size, value size (4 each) of a value,
// which for a bucket begins with the page of its root, 0 if it is inline.
// Integers are little-endian on every system that this is built for.
func checkTree(f *os.File, check treeCheck) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	t := tree{f: steady{readerOf(f)}, deep: check == all}
	if t.root, t.pages, err = checkMeta(t.f); err != nil {
		return err
	}
	if int64(t.pages) > st.Size()/pageSize {
		return damagedf("the file is cut: %d bytes, %d pages in use", st.Size(), t.pages)
	}
	if check == metaOnly {
		return nil
	}
	t.seen = make([]bool, t.pages)
	return t.walk(t.root, true)
}

func checkMeta(f io.ReaderAt) (root, pages uint64, err error) {
	b, last := make([]byte, 2*pageSize), uint64(0)
	if _, err := f.ReadAt(b, 0); err != nil {
		return 0, 0, readError(err)
	}
	for _, page := range [][]byte{b[:pageSize], b[pageSize:]} {
		u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(page[16+at:]) }
		u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(page[16+at:]) }
		sum := fnv.New64a()
		sum.Write(page[16 : 16+56])
		if u32(0) != 0xED0CDAED || u32(4) != 2 || u32(8) != pageSize || u64(56) != sum.Sum64() || page[8]&4 == 0 {
			return 0, 0, damagedf("a meta page is invalid")
		}
		if u64(48) >= last {
			root, pages, last = u64(16), u64(40), u64(48)
		}
	}
	return root, pages, nil
}

type tree struct {
	f     io.ReaderAt
	deep  bool
	root  uint64
	pages uint64
	seen  []bool
}

// walk checks a page and what is below it. top says that it belongs to the tree of
// buckets.
func (t *tree) walk(id uint64, top bool) error {
	header := make([]byte, 16)
	if id < 2 || id >= t.pages {
		return damagedf("page %d is outside of the file's %d pages", id, t.pages)
	}
	if _, err := t.f.ReadAt(header, int64(id)*pageSize); err != nil {
		return readError(err)
	}
	u16, u32, u64 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	flags, count, more := u16(header[8:]), int(u16(header[10:])), uint64(u32(header[12:]))
	if u64(header) != id || more >= t.pages-id || flags != 1 && flags != 2 {
		return damagedf("page %d calls itself page %d with %d more and flags %#x", id, u64(header), more, flags)
	}
	for p := id; p <= id+more; p++ {
		if t.seen[p] {
			return damagedf("page %d has two places in the tree", p)
		}
		t.seen[p] = true
	}
	if flags == 2 && !top {
		return nil
	}
	b := make([]byte, (more+1)*pageSize)
	if _, err := t.f.ReadAt(b, int64(id)*pageSize); err != nil {
		return readError(err)
	}
	if 16+16*count > len(b) {
		return damagedf("page %d has no room for %d elements", id, count)
	}
	for at := 16; at < 16+16*count; at += 16 {
		below := u64(b[at+8:])
		if flags == 2 {
			key := uint64(at) + uint64(u32(b[at+4:]))
			value := key + uint64(u32(b[at+8:]))
			if value+16 > uint64(len(b)) || u32(b[at:])&1 == 0 {
				return damagedf("page %d has an element that is no bucket", id)
			}
			below = u64(b[value:])
			if below == 0 || !t.deep && string(b[key:value]) != string(metaBucket) {
				continue
			}
		}
		if err := t.walk(below, top && flags == 1); err != nil {
			return err
		}
	}
	return nil
}

// readError tells a cut file, which is damage, from a system that cannot read just now.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damagedf("%w", err)
	}
	return err
}

// readMeta reads head and state of a segment.
func readMeta(tx *bbolt.Tx) (h head, state map[string][]byte, err error) {
	m := tx.Bucket(metaBucket)
	if m == nil {
		return h, nil, damagedf("the segment has no head")
	}
	state = map[string][]byte{}
	c := m.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		switch {
		case string(k) == string(headKey):
			if h, err = decodeHead(v); err != nil {
				return h, nil, err
			}
		case len(k) > 0 && k[0] == statePrefix:
			blob, ok := unsealed(v)
			if !ok {
				return h, nil, damagedf("the state %q fails its check", k[1:])
			}
			if blob, err = stateOf(blob, h.format); err != nil {
				return h, nil, err
			}
			state[string(k[1:])] = blob
		}
	}
	if h.next == 0 {
		return h, nil, damagedf("the segment has no head")
	}
	if h.tx != uint64(tx.ID()) {
		// A disk that lost writes: the meta page is there, and in the place of its
		// tree is one of an earlier commit.
		return h, nil, damagedf("the disk has lost commits: transaction %d holds the tree of %d", tx.ID(), h.tx)
	}
	return h, state, nil
}

// readHead reads head and state of a segment that is not being written, and how
// many bytes of the file are in use.
func readHead(path string) (h head, state map[string][]byte, used int64, err error) {
	err = viewSegment(path, headOnly, func(tx *bbolt.Tx) (err error) {
		used = tx.Size()
		h, state, err = readMeta(tx)
		return err
	})
	return h, state, used, err
}

// asHeadSays is the last position of a segment whose end only its head tells.
const asHeadSays = math.MaxUint64

// checkSegment reads all of a segment that is not being written: every page of the
// tree, head, state and each record. It returns head and state also when only
// records are damaged; without them state is nil.
func checkSegment(s segment) (h head, state map[string][]byte, used int64, err error) {
	if h, state, used, err = readHead(s.path); err != nil {
		return h, nil, 0, err
	}
	if s.last == asHeadSays {
		s.last = h.next - 1
	}
	return h, state, used, viewSegment(s.path, all, func(tx *bbolt.Tx) error {
		n, next := uint64(0), uint64(0)
		err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if !isBlock(name) {
				return nil
			}
			// In one walk, and each record must be where a search finds it: a disk that
			// lost writes mixes branches and leaves of several commits.
			search := b.Cursor()
			return b.ForEach(func(k, v []byte) error {
				items, size, err := decodeRecords(v)
				found, _ := search.Seek(k)
				if err != nil || size != len(v) || !bytes.Equal(k, posKey(items[0].Pos)) || !bytes.Equal(k, found) || items[0].Pos < next {
					return damagedf("the record at key %x fails its check", k)
				}
				for _, it := range items {
					if next = it.Pos + 1; it.Pos <= s.last {
						n++
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if h.next <= s.last || h.next == s.last+1 && n != h.count {
			return damagedf("%d records up to position %d, expected %d up to %d", n, h.next-1, h.count, s.last)
		}
		return nil
	})
}
