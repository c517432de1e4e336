package buffer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sort"

	"go.etcd.io/bbolt"
)

// finding is what a scan found in a file without its tree.
type finding struct {
	records []rawRecord // whole ones by position, each once
	bytes   uint64      // their payload
	heads   []head      // every whole head, in file order
	batch   uint64      // highest batch number of a record or head, whatever its position
}

type rawRecord struct {
	it  Item
	env []byte // the envelope as it was
}

// maxEnvelope is the longest envelope there can be.
const maxEnvelope = envOverhead + MaxLane + MaxPayload

// scanFile searches a file for whole records with positions from first to last.
// Copies of one record, which pages in disuse hold, are the same record: a
// position is never given out twice within the range of a segment.
func scanFile(path string, first, last uint64) (*finding, error) {
	out := &finding{}
	f, err := os.Open(path)
	if err != nil {
		return out, err
	}
	defer f.Close()
	seen := map[uint64]rawRecord{}
	err = scanWindows(f, func(b []byte) int {
		if string(b[:3]) == "rch" {
			return out.addHead(b)
		}
		it, batch, n, err := decodeEnvelope(b)
		if err != nil {
			return 0
		}
		out.batch = max(out.batch, batch)
		if it.Pos >= first && it.Pos <= last {
			env := bytes.Clone(b[:n])
			if it, _, _, err = decodeEnvelope(env); err == nil {
				seen[it.Pos] = rawRecord{it, env}
			}
		}
		return n
	})
	for _, r := range seen {
		out.records = append(out.records, r)
		out.bytes += uint64(len(r.it.Payload))
	}
	sort.Slice(out.records, func(i, j int) bool { return out.records[i].it.Pos < out.records[j].it.Pos })
	return out, err
}

func (f *finding) addHead(b []byte) int {
	if len(b) < headSize {
		return 0
	}
	h, err := decodeHead(b[:headSize])
	if err != nil {
		return 0
	}
	f.heads = append(f.heads, h)
	f.batch = max(f.batch, h.batch)
	return headSize
}

// scanWindows calls fn at every place of the file where a magic begins. fn gets
// the bytes from there on and says how many it has used.
func scanWindows(f io.ReaderAt, fn func([]byte) int) error {
	const window = 4 << 20
	buf := make([]byte, window+maxEnvelope)
	for base := int64(0); ; base += window {
		n, err := readAround(f, buf, base)
		if err != nil {
			return err
		}
		b := buf[:n]
		for at := 0; at < min(n, window); {
			i := bytes.Index(b[at:], []byte("rc"))
			if i < 0 || at+i >= window {
				break
			}
			at += i
			used := 0
			if len(b)-at > 3 && (b[at+2] == 'r' || b[at+2] == 'h') {
				used = fn(b[at:])
			}
			at += max(used, 1)
		}
		if n < len(buf) {
			return nil
		}
	}
}

// readAround reads like ReadAt to the end of the file, but takes pages that the
// device cannot read for zeros.
func readAround(f io.ReaderAt, buf []byte, base int64) (int, error) {
	n, err := f.ReadAt(buf, base)
	if err == nil || errors.Is(err, io.EOF) {
		return n, nil
	}
	for n = 0; n < len(buf); n += pageSize {
		page := buf[n:min(n+pageSize, len(buf))]
		got, err := f.ReadAt(page, base+int64(n))
		if errors.Is(err, io.EOF) {
			return n + got, nil
		}
		if err != nil && !isIOError(err) {
			return n, err
		}
		if err != nil {
			clear(page)
		}
	}
	return len(buf), nil
}

// buildSegment writes a finished segment with the given records under a name.
func buildSegment(o Options, tmp string, h head, state map[string][]byte, records []rawRecord) (err error) {
	if err := o.fs.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, boltOptions(0))
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, db.Close()); err != nil {
			o.fs.Remove(tmp)
		}
	}()
	o.opened(db)
	db.AllocSize = pageSize
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && size < blockBytes {
			size += len(records[n].env)
			n++
		}
		if err := db.Update(func(tx *bbolt.Tx) error { return putRaw(tx, records[:n]) }); err != nil {
			return err
		}
		records = records[n:]
	}
	return db.Update(func(tx *bbolt.Tx) error {
		m, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		return putMeta(m, h, state)
	})
}

// putRaw makes one block of records.
func putRaw(tx *bbolt.Tx, records []rawRecord) error {
	b, err := tx.CreateBucket(append([]byte{blockPrefix}, posKey(records[0].it.Pos)...))
	if err != nil {
		return err
	}
	b.FillPercent = 1
	for _, r := range records {
		if err := b.Put(posKey(r.it.Pos), r.env); err != nil {
			return err
		}
	}
	return nil
}

// lostLanes names the waiting records that segment i has lost: the holes between
// the numbers of each lane, with the segments before and after as borders.
func (q *Queue) lostLanes(i int, found *finding, done uint64) []Gap {
	last := map[string]uint64{} // highest number seen of each lane
	gaps := map[string]*Gap{}
	note := func(it Item) error {
		prev, known := last[it.Lane]
		last[it.Lane] = max(prev, it.Num)
		if !known || it.Num <= prev+1 || it.Pos <= done {
			return nil
		}
		g := gaps[it.Lane]
		if g == nil {
			g = &Gap{Lane: it.Lane, First: prev + 1, Reason: ReasonDamaged}
			gaps[it.Lane] = g
		}
		g.Last = it.Num - 1
		g.Count += it.Num - prev - 1
		return nil
	}
	q.border(i-1, note)
	for k := range gaps { // holes of the segment before are not this one's
		delete(gaps, k)
	}
	for _, r := range found.records {
		note(r.it)
	}
	seen := map[string]bool{}
	q.border(i+1, func(it Item) error {
		if seen[it.Lane] {
			return nil
		}
		seen[it.Lane] = true
		return note(it)
	})
	out := make([]Gap, 0, len(gaps))
	for _, g := range gaps {
		out = append(out, *g)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Lane < out[j].Lane })
	return out
}

// border reads a neighbour segment as far as that is possible.
func (q *Queue) border(i int, fn func(Item) error) {
	if i < 0 || i >= len(q.segs) {
		return
	}
	s := q.segs[i]
	_, err := q.eachOf(*s, s.first, s.last, fn)
	if err != nil {
		q.warn("read the neighbour of a damaged segment", err)
	}
}
