package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"

	"roomcall/durable"
)

// writer is the newest segment, open in bbolt. Its owner holds Queue.wmu.
type writer struct {
	fs    durable.FS
	db    *bbolt.DB
	path  string
	size  int64  // bytes in use (high-water mark)
	file  int64  // bytes of the file
	block []byte // bucket that takes the next records
	fill  int    // bytes put into that block
}

// blockBytes bounds a block so that its tree has one branch page at most:
// 170 leaves of 4 KiB are 680 KiB.
const blockBytes = 512 << 10

// segName is the file name of the segment that starts at a position.
func segName(first uint64) string { return fmt.Sprintf("seg-%016x.db", first) }

func boltOptions(segment int64) *bbolt.Options {
	o := &bbolt.Options{
		Timeout:        time.Second,
		PageSize:       pageSize,
		NoFreelistSync: true, // one page less to write; a segment is walked in milliseconds
		NoStatistics:   true,
		FreelistType:   bbolt.FreelistMapType,
	}
	if runtime.GOOS != "windows" { // there it would size the file as well
		o.InitialMmapSize = int(segment)
	}
	return o
}

// growStep is by how much the file of a segment grows at a time. The new part is
// written with zeros (see reserve).
func growStep(segment int64) int64 { return min(256<<10, segment/4) }

// createSegment makes a new segment that holds head and state and no records. At
// a kill or a power cut there is either no file of that name or a whole one.
func createSegment(o Options, first uint64, h head, state map[string][]byte) (err error) {
	tmp := filepath.Join(o.Dir, segName(first)+".tmp")
	defer func() {
		if err != nil {
			o.fs.Remove(tmp)
		}
	}()
	if err := buildSegment(o, tmp, h, state, nil); err != nil {
		return err
	}
	if err := rewriteByPage(o.fs, tmp); err != nil {
		return err
	}
	return durable.Publish(o.fs, tmp, filepath.Join(o.Dir, segName(first)))
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

func putMeta(m *bbolt.Bucket, h head, state map[string][]byte) error {
	for k, v := range state {
		key := append([]byte{statePrefix}, k...)
		var err error
		if v == nil {
			err = m.Delete(key)
		} else {
			err = m.Put(key, sealBlob(v))
		}
		if err != nil {
			return err
		}
	}
	h.tx = uint64(m.Tx().ID())
	return m.Put(headKey, h.encode())
}

// openWriter opens a segment for appending. The caller has made sure that the
// file is sound.
func openWriter(o Options, path string, next uint64) (*writer, error) {
	db, err := bbolt.Open(path, 0o600, boltOptions(o.SegmentBytes))
	if err != nil {
		return nil, err
	}
	o.opened(db)
	db.AllocSize = int(growStep(o.SegmentBytes))
	w := &writer{fs: o.fs, db: db, path: path}
	w.newBlock(next)
	if err := w.measure(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return w, nil
}

func (w *writer) newBlock(first uint64) {
	w.block, w.fill = append([]byte{blockPrefix}, posKey(first)...), 0
}

// measure reads the sizes after a commit.
func (w *writer) measure() error {
	st, err := os.Stat(w.path)
	if err != nil {
		return err
	}
	w.file = st.Size()
	return w.db.View(func(tx *bbolt.Tx) error {
		w.size = tx.Size()
		return nil
	})
}

// commit writes records, state and head in one transaction and returns after
// fsync.
func (w *writer) commit(items []Item, state map[string][]byte, h head) error {
	if len(items) > 0 && w.fill >= blockBytes {
		w.newBlock(items[0].Pos)
	}
	err := w.db.Update(func(tx *bbolt.Tx) error {
		if err := w.putItems(tx, items, h.batch); err != nil {
			return err
		}
		return putMeta(tx.Bucket(metaBucket), h, state)
	})
	if err != nil {
		return err
	}
	return w.measure()
}

func (w *writer) putItems(tx *bbolt.Tx, items []Item, batch uint64) error {
	if len(items) == 0 {
		return nil
	}
	b, err := tx.CreateBucketIfNotExists(w.block)
	if err != nil {
		return err
	}
	b.FillPercent = 1
	for i := range items {
		env := encodeEnvelope(&items[i], batch)
		if err := b.Put(posKey(items[i].Pos), env); err != nil {
			return err
		}
		w.fill += len(env)
	}
	return nil
}

// reserve makes sure that the file has room for so many more bytes, by writing
// zeros. A full disk is found here, before a commit has touched anything, and the
// commits find allocated blocks: on ext4 that saves 12 kB of file system metadata
// for each of them. On Windows bbolt has sized the file itself.
func (w *writer) reserve(need, step int64) (err error) {
	if w.size+need <= w.file || runtime.GOOS == "windows" {
		return nil
	}
	size := (w.size + need + step - 1) / step * step
	f, err := w.fs.OpenWrite(w.path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Truncate(w.file))
		}
		err = errors.Join(err, f.Close())
	}()
	zeros := make([]byte, pageSize) // larger writes make larger units in the page cache, and each commit would write such units
	for at := w.file; at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(size-at, int64(len(zeros)))], at); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	w.file = size
	return nil
}

// seal closes the file and, when its last commit went well, gives back the space
// that it did not use. After a failed commit the handle may be dead and the file
// may be longer than known: it is closed as it is.
func (w *writer) seal(failed bool) error {
	if err := w.db.Close(); err != nil {
		return err
	}
	if !failed && w.size < w.file {
		return w.fs.Truncate(w.path, w.size)
	}
	return nil
}
