package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
)

// pager reads the pages of a bbolt file with plain reads and checks every bound.
// bbolt itself maps the file into memory: there a cut file, a bad page number or
// a read error of the disk is a fault or an endless recursion that ends the
// process, here it is an error.
//
// The format (bbolt v1.5, internal/common): a page has a header of id (8 bytes),
// flags (2), count (2), overflow (4), then its elements; integers are in the
// machine's order, which is little-endian on every system we build for.
type pager struct {
	f     io.ReaderAt
	limit uint64 // high-water mark: pages from here on are not in use
	root  uint64
	txid  uint64
	metas int // how many of the two meta pages are valid

	visited uint64          // pages of the walk under way; a tree has each page once
	seen    map[uint64]bool // pages of all walks, when check wants to know

	// reuse: what page and load return is valid until the next call only.
	reuse bool
	buf   []byte
	els   []element
}

// maxReuse bounds the memory that reuse keeps; longer pages are rare.
const maxReuse = 64 << 10

// memory gives n bytes for a page.
func (p *pager) memory(n uint64) []byte {
	if !p.reuse || n > maxReuse {
		return make([]byte, n)
	}
	if uint64(len(p.buf)) < n {
		p.buf = make([]byte, n)
	}
	return p.buf[:n]
}

const (
	pageSize   = 4096
	pageHeader = 16
	flagBranch = 0x01
	flagLeaf   = 0x02
	flagMeta   = 0x04
	flagBucket = 0x01 // on a leaf element
	maxDepth   = 24
)

// element is one entry of a page: a branch element has a child, a leaf element a
// value.
type element struct {
	key, value []byte
	bucket     bool
	child      uint64
}

// newPager reads the meta pages of a file of the given size.
func newPager(f io.ReaderAt, size int64) (*pager, error) {
	p := &pager{f: f}
	for id := range int64(2) {
		buf := make([]byte, pageSize)
		if _, err := f.ReadAt(buf, id*pageSize); err != nil {
			return nil, readErr(err, "meta page")
		}
		root, limit, txid, ok := parseMeta(buf)
		if !ok {
			continue
		}
		p.metas++
		if p.metas == 1 || txid > p.txid {
			p.root, p.limit, p.txid = root, limit, txid
		}
	}
	switch {
	case p.metas == 0:
		return nil, damagedf("both meta pages are invalid")
	case p.limit > uint64(size)/pageSize:
		return nil, damagedf("file is cut: %d bytes, %d pages in use", size, p.limit)
	}
	return p, nil
}

// used is the size of the file up to the high-water mark.
func (p *pager) used() int64 { return int64(p.limit) * pageSize }

func parseMeta(b []byte) (root, limit, txid uint64, ok bool) {
	if binary.LittleEndian.Uint16(b[8:])&flagMeta == 0 {
		return 0, 0, 0, false
	}
	m := b[pageHeader:]
	sum := fnv.New64a()
	sum.Write(m[:56])
	ok = binary.LittleEndian.Uint32(m) == 0xED0CDAED &&
		binary.LittleEndian.Uint32(m[4:]) == 2 &&
		binary.LittleEndian.Uint32(m[8:]) == pageSize &&
		binary.LittleEndian.Uint64(m[56:]) == sum.Sum64()
	le := binary.LittleEndian
	return le.Uint64(m[16:]), le.Uint64(m[40:]), le.Uint64(m[48:]), ok
}

// readErr tells a cut file, which is damage, from an operating system that cannot
// read just now.
func readErr(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isIOError(err) {
		return damagedf("read %s: %w", what, err)
	}
	return err
}

// page reads a page with its overflow and returns its bytes.
func (p *pager) page(id uint64) ([]byte, error) {
	if id < 2 || id >= p.limit {
		return nil, damagedf("page %d is outside of the file's %d pages", id, p.limit)
	}
	buf := p.memory(pageSize)
	if _, err := p.f.ReadAt(buf, int64(id)*pageSize); err != nil {
		return nil, readErr(err, "page")
	}
	over := uint64(binary.LittleEndian.Uint32(buf[12:]))
	if got := binary.LittleEndian.Uint64(buf); got != id || id+over >= p.limit {
		return nil, damagedf("page %d calls itself page %d with %d more", id, got, over)
	}
	if over == 0 {
		return buf, nil
	}
	long := p.memory((over + 1) * pageSize)
	if _, err := p.f.ReadAt(long, int64(id)*pageSize); err != nil {
		return nil, readErr(err, "page")
	}
	return long, nil
}

// elements takes a page or an inline bucket apart, in the memory of els when that
// is enough. Keys must rise.
func elements(b []byte, els []element) (_ []element, leaf bool, err error) {
	flags := binary.LittleEndian.Uint16(b[8:])
	count := int(binary.LittleEndian.Uint16(b[10:]))
	leaf = flags == flagLeaf
	if !leaf && flags != flagBranch || pageHeader+16*count > len(b) {
		return nil, false, damagedf("page has flags %#x and %d elements", flags, count)
	}
	if cap(els) < count {
		els = make([]element, count)
	}
	els = els[:count]
	for i := range els {
		if els[i], err = parseElement(b, pageHeader+16*i, leaf); err != nil {
			return nil, false, err
		}
		if i > 0 && bytes.Compare(els[i-1].key, els[i].key) >= 0 {
			return nil, false, damagedf("keys of a page do not rise")
		}
	}
	return els, leaf, nil
}

func parseElement(b []byte, at int, leaf bool) (e element, err error) {
	le := binary.LittleEndian
	var pos, ksize, vsize uint64
	if leaf {
		e.bucket = le.Uint32(b[at:])&flagBucket != 0
		pos, ksize, vsize = uint64(le.Uint32(b[at+4:])), uint64(le.Uint32(b[at+8:])), uint64(le.Uint32(b[at+12:]))
	} else {
		pos, ksize, e.child = uint64(le.Uint32(b[at:])), uint64(le.Uint32(b[at+4:])), le.Uint64(b[at+8:])
	}
	from := uint64(at) + pos
	if from+ksize+vsize > uint64(len(b)) {
		return e, damagedf("an element reaches beyond its page")
	}
	e.key = b[from : from+ksize : from+ksize]
	e.value = b[from+ksize : from+ksize+vsize : from+ksize+vsize]
	return e, nil
}

// subtree is where a bucket's elements are: a page, or inline in its parent.
type subtree struct {
	page   uint64
	inline []byte
}

// openBucket reads a bucket's header, which is the value of its element.
func openBucket(v []byte) (subtree, error) {
	if len(v) < 16 {
		return subtree{}, damagedf("bucket header is cut")
	}
	root := binary.LittleEndian.Uint64(v)
	if root != 0 {
		return subtree{page: root}, nil
	}
	if len(v) < 16+pageHeader {
		return subtree{}, damagedf("inline bucket is cut")
	}
	return subtree{inline: v[16:]}, nil
}

// visit is load for walks of whole trees: it ends a walk that goes in a circle.
func (p *pager) visit(t subtree, depth int) (els []element, leaf bool, err error) {
	if depth == 0 {
		p.visited = 0
	}
	if p.visited++; p.visited > p.limit || depth > maxDepth {
		return nil, false, damagedf("tree of pages goes in a circle")
	}
	if p.seen != nil && t.inline == nil {
		if err := p.claim(t.page); err != nil {
			return nil, false, err
		}
	}
	return p.load(t)
}

// claim notes a page and its overflow as used, each once.
func (p *pager) claim(id uint64) error {
	b, err := p.page(id)
	if err != nil {
		return err
	}
	for end := id + uint64(len(b)/pageSize); id < end; id++ {
		if p.seen[id] {
			return damagedf("page %d is used twice", id)
		}
		p.seen[id] = true
	}
	return nil
}

func (p *pager) load(t subtree) (els []element, leaf bool, err error) {
	b := t.inline
	if b == nil {
		if b, err = p.page(t.page); err != nil {
			return nil, false, err
		}
	}
	els, leaf, err = elements(b, p.els)
	if p.reuse {
		p.els = els
	}
	return els, leaf, err
}

// each calls fn for every leaf element below t, in key order.
func (p *pager) each(t subtree, depth int, fn func(element) error) error {
	els, leaf, err := p.visit(t, depth)
	if err != nil {
		return err
	}
	for _, e := range els {
		if leaf {
			err = fn(e)
		} else {
			err = p.each(subtree{page: e.child}, depth+1, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
