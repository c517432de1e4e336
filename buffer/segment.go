package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sort"
)

// reader reads one segment without bbolt. It is not safe for concurrent use.
type reader struct {
	path   string
	f      *os.File
	pg     *pager
	head   head
	meta   subtree
	leaves []leafRef // every leaf of records, in order
}

type leafRef struct {
	first uint64 // no record of the leaf has a lower position
	at    subtree
}

// openReader opens a segment and reads its tree down to the leaves.
func openReader(path string) (*reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	r := &reader{path: path, f: f}
	if err := r.init(); err != nil {
		f.Close()
		return nil, fmt.Errorf("read segment %s: %w", path, err)
	}
	return r, nil
}

func (r *reader) init() error {
	st, err := r.f.Stat()
	if err != nil {
		return err
	}
	if r.pg, err = newPager(r.f, st.Size()); err != nil {
		return err
	}
	var blocks []element
	err = r.pg.each(subtree{page: r.pg.root}, 0, func(e element) error {
		t, err := openBucket(e.value)
		switch {
		case !e.bucket:
			return damagedf("a plain value at the top level")
		case err != nil:
			return err
		case string(e.key) == string(metaBucket):
			r.meta = t
		case len(e.key) == 9 && e.key[0] == blockPrefix:
			blocks = append(blocks, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.readHead(); err != nil {
		return err
	}
	for _, b := range blocks {
		t, _ := openBucket(b.value)
		if err := r.addLeaves(t, binary.BigEndian.Uint64(b.key[1:]), 0); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) readHead() error {
	if r.meta.page == 0 && r.meta.inline == nil {
		return damagedf("no meta bucket")
	}
	found := false
	err := r.pg.each(r.meta, 0, func(e element) (err error) {
		if string(e.key) == string(headKey) {
			found = true
			r.head, err = decodeHead(e.value)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !found:
		return damagedf("no head")
	case r.head.tx != r.pg.txid:
		// A disk that lost writes: the meta page is there, and in the place of
		// its tree stands one of an earlier commit.
		return damagedf("the disk has lost commits: transaction %d holds the tree of %d", r.pg.txid, r.head.tx)
	}
	return nil
}

// addLeaves lists the leaves of a block. All leaves of a tree are equally deep,
// so it looks at one child per branch page and not at the leaves themselves.
func (r *reader) addLeaves(t subtree, first uint64, depth int) error {
	els, leaf, err := r.pg.visit(t, depth)
	if err != nil {
		return err
	}
	if leaf {
		r.leaves = append(r.leaves, leafRef{first, t})
		return nil
	}
	below := false
	for i, e := range els {
		if len(e.key) != 8 {
			return damagedf("a branch key has %d bytes", len(e.key))
		}
		child := subtree{page: e.child}
		if i == 0 {
			_, isLeaf, err := r.pg.load(child)
			if err != nil {
				return err
			}
			below = !isLeaf
		}
		first := binary.BigEndian.Uint64(e.key)
		if !below {
			r.leaves = append(r.leaves, leafRef{first, child})
		} else if err := r.addLeaves(child, first, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// state returns the state blobs.
func (r *reader) state() (map[string][]byte, error) {
	out := map[string][]byte{}
	seen := r.pg.seen
	r.pg.seen = nil // read again, not claimed again
	defer func() { r.pg.seen = seen }()
	err := r.pg.each(r.meta, 0, func(e element) error {
		if len(e.key) < 1 || e.key[0] != statePrefix {
			return nil
		}
		blob, err := openBlob(e.value)
		out[string(e.key[1:])] = blob
		return err
	})
	return out, err
}

// errStop ends an iteration without an error.
var errStop = errors.New("stop")

// from calls fn for the records from position pos on, in order, until fn returns
// an error. The payloads are the callee's to keep, unless the pager reuses memory:
// then they are valid in fn only.
func (r *reader) from(pos uint64, fn func(Item) error) error {
	i := sort.Search(len(r.leaves), func(i int) bool { return r.leaves[i].first > pos })
	last := uint64(0)
	for i = max(i-1, 0); i < len(r.leaves); i++ {
		els, leaf, err := r.pg.load(r.leaves[i].at)
		if err == nil && !leaf {
			err = damagedf("a branch page where records should be")
		}
		if err != nil {
			return fmt.Errorf("read segment %s: %w", r.path, err)
		}
		for _, e := range els {
			it, err := decodeElement(e.key, e.value)
			if err == nil && it.Pos <= last {
				err = damagedf("positions do not rise after %d", last)
			}
			if err != nil {
				return fmt.Errorf("read segment %s: %w", r.path, err)
			}
			last = it.Pos
			if it.Pos < pos {
				continue
			}
			if err := fn(it); err != nil {
				return err
			}
		}
	}
	return nil
}

func decodeElement(key, value []byte) (Item, error) {
	it, _, n, err := decodeEnvelope(value)
	if err != nil || n != len(value) || len(key) != 8 || binary.BigEndian.Uint64(key) != it.Pos {
		return it, damagedf("record at key %x fails its check", key)
	}
	return it, nil
}

// check reads everything: both meta pages, every page of every tree once, state
// and head, and every record. last is the highest position that belongs to the
// segment.
func (r *reader) check(last uint64) error {
	if r.pg.metas != 2 {
		return damagedf("a meta page is invalid")
	}
	r.pg.seen = map[uint64]bool{}
	defer func() { r.pg.seen = nil }()
	err := r.pg.each(subtree{page: r.pg.root}, 0, func(e element) error {
		t, err := openBucket(e.value)
		if err != nil || t.inline != nil {
			return err
		}
		return r.pg.each(t, 0, func(element) error { return nil })
	})
	if err != nil {
		return err
	}
	if _, err := r.state(); err != nil {
		return err
	}
	n := uint64(0)
	err = enough(r.from(1, bounded(last, func(Item) error { n++; return nil })))
	if err == nil && (r.head.next <= last || r.head.next == last+1 && n != r.head.count) {
		err = damagedf("%d records up to position %d, expected %d up to %d", n, r.head.next-1, r.head.count, last)
	}
	return err
}

func (r *reader) close() error { return r.f.Close() }
