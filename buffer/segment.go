package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/golang/snappy"
	"go.etcd.io/bbolt"

	"roomcall/durable"
)

// A segment is a bbolt file with a bucket "m" that has the head and the state
// blobs, and buckets of packs, the blocks, named "b" + first position; so is the key of a
// pack its first position. A block is a page: so a commit of few records writes one page of
// them and none that leads to it but the list of buckets, in which it is beside "m".
// Formats 1 and 2 have blocks of many pages, named "r" + first position.
var (
	metaBucket  = []byte("m")
	headKey     = []byte("head")
	statePrefix = byte('s')
	blockPrefix = byte('b')
	oldPrefix   = byte('r')
)

const (
	pageSize   = 4096
	blockBytes = pageSize - 16 // a page has a header
	copyPacks  = 128           // how many packs of a salvaged segment are written at one time
	stateFill  = 0.9           // how full a page of states is after a split: at half there would be up to twice as many to write
)

// isBlock tells whether a bucket has records.
func isBlock(name []byte) bool {
	return len(name) == 9 && (name[0] == blockPrefix || name[0] == oldPrefix)
}

// segment is what the queue knows of a file without opening it.
type segment struct {
	path         string
	first, last  uint64 // positions; last is first-1 when it has no record
	count        uint64 // records
	payloadBytes uint64
	fileBytes    int64 // on disk
	usedBytes    int64 // of those in use, as found at Open; 0 = not known
	delivered    time.Time
	checked      bool // the tree has been looked at, see checkTree
}

// whole says that no position of the segment is missing. Damage leaves holes.
func (s segment) whole() bool { return s.count == s.last+1-s.first }

// segName is the file name of the segment that starts at a position.
func segName(first uint64) string { return fmt.Sprintf("seg-%016x.db", first) }

// named reads the number in a file name such as seg-0000000000000001.db.
func named(name, prefix, suffix string) (n uint64, ok bool) {
	hex, begins := strings.CutPrefix(name, prefix)
	hex, ends := strings.CutSuffix(hex, suffix)
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, begins && ends && err == nil && fmt.Sprintf("%016x", n) == hex
}

// listSegments returns the segments of a folder, oldest first, without opening
// them.
func listSegments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var segs []*segment
	for _, e := range entries {
		first, ok := named(e.Name(), "seg-", ".db")
		if !ok || first == 0 {
			continue
		}
		st, err := e.Info()
		if err != nil {
			return nil, err
		}
		segs = append(segs, &segment{
			path: filepath.Join(dir, e.Name()), first: first, last: first - 1,
			fileBytes: st.Size(), delivered: st.ModTime(),
		})
	}
	sort.Slice(segs, func(i, j int) bool { return segs[i].first < segs[j].first })
	for i := 1; i < len(segs); i++ { // whatever is in the older one's pages
		segs[i-1].last = segs[i].first - 1
	}
	return segs, nil
}

func boltOptions() *bbolt.Options {
	return &bbolt.Options{
		Timeout:        time.Second,
		PageSize:       pageSize,
		NoFreelistSync: true, // one page less to write; a segment is walked in milliseconds
		NoStatistics:   true,
		FreelistType:   bbolt.FreelistMapType,
	}
}

// createSegment makes a segment with the given head, state and records. At a kill
// or a power cut there is either no file of that name or a whole one; before it
// gets its name, ready is called, for what has to be on disk first.
func createSegment(o Options, path string, h head, state map[string][]byte, items []Item, ready func(tmp string) error) (err error) {
	tmp := path + ".tmp"
	if err := o.fs.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			o.fs.Remove(tmp)
		}
	}()
	if err := fillSegment(o, tmp, h, state, items); err != nil {
		return err
	}
	if err := ready(tmp); err != nil {
		return err
	}
	return durable.Publish(o.fs, tmp, path)
}

func fillSegment(o Options, tmp string, h head, state map[string][]byte, items []Item) (err error) {
	db, err := bbolt.Open(tmp, 0o600, boltOptions())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	o.opened(db)
	db.AllocSize = pageSize
	h.count, h.payloadBytes = uint64(len(items)), 0
	for _, it := range items {
		h.payloadBytes += uint64(len(it.Payload))
	}
	var last block
	for part := range slices.Chunk(packed(items), copyPacks) {
		if err := db.Update(func(tx *bbolt.Tx) error { return last.put(tx, part) }); err != nil {
			return err
		}
	}
	return db.Update(func(tx *bbolt.Tx) error { return putMeta(tx, h, state) })
}

// block is the last block of a segment.
type block struct {
	first uint64 // position
	fill  int    // bytes of its packs; 0 = the next pack begins a block
}

// put adds packs to the last block and to new ones.
func (l *block) put(tx *bbolt.Tx, packs []pack) error {
	for _, p := range packs {
		if l.fill == 0 || l.fill+p.size() > blockBytes {
			*l = block{first: p.first}
		}
		l.fill += p.size()
		b, err := tx.CreateBucketIfNotExists(append([]byte{blockPrefix}, posKey(l.first)...))
		if err != nil {
			return err
		}
		b.FillPercent = 1
		if err := b.Put(posKey(p.first), p.frame); err != nil {
			return err
		}
	}
	return nil
}

func putMeta(tx *bbolt.Tx, h head, state map[string][]byte) error {
	m, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	m.FillPercent = stateFill
	for k, v := range state {
		key := append([]byte{statePrefix}, k...)
		if v == nil {
			err = m.Delete(key)
		} else {
			err = m.Put(key, sealed(snappy.Encode(nil, v)))
		}
		if err != nil {
			return err
		}
	}
	h.tx = uint64(tx.ID())
	return m.Put(headKey, h.encode())
}

// writer is the newest segment, open for appending. Its owner holds Queue.wmu.
type writer struct {
	fs        durable.FS
	db        *bbolt.DB
	path      string
	step      int64 // by how much the file grows at a time
	usedBytes int64 // in use (high-water mark)
	fileBytes int64 // on disk
	last      block
}

// growStep is by how much the file of a segment grows at a time.
func growStep(segment int64) int64 { return min(256<<10, segment/4) }

// openWriter opens a segment for appending. The caller has made sure that the
// file is sound.
func openWriter(o Options, path string) (*writer, error) {
	opts := boltOptions()
	if runtime.GOOS != "windows" { // there it would size the file as well
		opts.InitialMmapSize = int(o.SegmentBytes)
	}
	db, err := bbolt.Open(path, 0o600, opts)
	if err != nil {
		return nil, err
	}
	o.opened(db)
	w := &writer{fs: o.fs, db: db, path: path, step: growStep(o.SegmentBytes)}
	db.AllocSize = int(w.step)
	if err := w.measure(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return w, nil
}

// measure reads the sizes after a commit.
func (w *writer) measure() error {
	st, err := os.Stat(w.path)
	if err != nil {
		return err
	}
	w.fileBytes = st.Size()
	return w.db.View(func(tx *bbolt.Tx) error {
		w.usedBytes = tx.Size()
		return nil
	})
}

// commit writes packs, state and head in one transaction and returns after fsync.
func (w *writer) commit(packs []pack, state map[string][]byte, h head) error {
	size := 0
	for _, p := range packs {
		size += p.size()
	}
	if w.last.fill+size > blockBytes { // it stays as it is, or its page would be written too
		w.last.fill = 0
	}
	err := w.db.Update(func(tx *bbolt.Tx) error { return errors.Join(w.last.put(tx, packs), putMeta(tx, h, state)) })
	if err != nil {
		return err
	}
	return w.measure()
}

// sizeOnDisk is what a commit needs at most, if its states can be packed: the pages of its
// packs, their places in the list of blocks, of which bbolt leaves half the page empty, and
// the pages that it writes anew. Some 50 states with many others between them may need more in
// the first such commit to a segment: then bbolt grows the file itself.
func sizeOnDisk(packs []pack, state map[string][]byte) int64 {
	const listed = 2 * (1 + 8 + 16 + 16) // name, root, and what bbolt notes of it
	n := int64(8 * pageSize)
	for _, p := range packs {
		n += int64((p.size()+blockBytes-1)/blockBytes*pageSize + listed)
	}
	for k, v := range state {
		n += int64(len(k)+len(v)+32) * 5 / 4
	}
	return n
}

// reserve makes sure that the file has room for so many more bytes, by writing
// zeros. A full disk is found here, before a commit has touched anything, and the
// commits find allocated blocks: on ext4 that saves 12 kB of file system metadata
// for each of them. On Windows bbolt has sized the file itself.
func (w *writer) reserve(need int64) (err error) {
	if w.usedBytes+need <= w.fileBytes || runtime.GOOS == "windows" {
		return nil
	}
	size := (w.usedBytes + need + w.step - 1) / w.step * w.step
	f, err := w.fs.OpenWrite(w.path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Truncate(w.fileBytes))
		}
		err = errors.Join(err, f.Close())
	}()
	zeros := make([]byte, pageSize) // larger writes make larger units in the page cache, and each commit would write such units
	for at := w.fileBytes; at < size; at += pageSize {
		if _, err := f.WriteAt(zeros[:min(size-at, pageSize)], at); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	w.fileBytes = size
	return nil
}

// trim returns the room that the closed file did not use to the disk.
func (w *writer) trim() error {
	if w.usedBytes >= w.fileBytes {
		return nil
	}
	return w.fs.Truncate(w.path, w.usedBytes)
}

// rewriteByPage writes a file again in writes of one page. The page cache keeps
// what one write brought as one unit, so after bbolt's first write of four pages
// each later commit would count, and may write, four pages for its meta page.
func rewriteByPage(fsys durable.FS, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := fsys.OpenWrite(path)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	for at := 0; at < len(b) && err == nil; at += pageSize {
		_, err = f.Write(b[at:min(at+pageSize, len(b))])
	}
	return errors.Join(err, f.Close())
}
