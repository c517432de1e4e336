package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"sort"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Records are read in chunks of at most so many, so that nobody who is slow with
// them holds a file or a transaction open.
const (
	chunkItems = 256
	chunkBytes = 1 << 20
)

// maxRepairs bounds how many broken segments one walk has repaired.
const maxRepairs = 3

// Peek returns undelivered records with a position above after, oldest first: at
// most maxItems and about maxBytes of payload, at least one if there is one. Its
// cost does not depend on how many records wait. The items are copies.
func (q *Queue) Peek(after uint64, maxItems, maxBytes int) (items []Item, err error) {
	size := 0
	defer func() { q.notePeeked(after, items) }()
	q.mu.Lock()
	from, to := max(after, q.progress.done())+1, q.head.next-1
	if q.closed {
		to = 0
	}
	q.mu.Unlock()
	for it, err := range q.records(from, to, maxItems, q.repair) {
		switch {
		case err != nil && len(items) > 0:
			return items, nil // the next call meets it
		case err != nil:
			return nil, fmt.Errorf("peek at position %d: %w", from, err)
		case q.isOutOfQueue(it.Pos):
			continue
		case len(items) > 0 && size+len(it.Payload) > maxBytes:
			return items, nil
		}
		items = append(items, it)
		if size += len(it.Payload); len(items) >= maxItems {
			break
		}
	}
	return items, nil
}

// Scan calls fn for every record on disk, oldest first, and says whether it is
// delivered. What was evicted or written again is left out, with all that is older: a
// replay would send what was announced as lost, or an id that stands for something else
// by now. It sees what was there at the start and stops at fn's first error, which it
// returns.
func (q *Queue) Scan(fn func(it Item, delivered bool) error) error { return q.ScanFrom(1, fn) }

// ScanFrom is Scan from a position on.
func (q *Queue) ScanFrom(from uint64, fn func(it Item, delivered bool) error) error {
	q.mu.Lock()
	p, next, closed := q.progress, q.head.next, q.closed
	q.mu.Unlock()
	if closed {
		return ErrClosed
	}
	var broken error
	for it, err := range q.records(from, next-1, chunkItems, q.repair) {
		if err == nil && it.Pos <= p.evicted {
			continue
		}
		if q.readOnly && errors.Is(err, errDamaged) {
			broken = errors.Join(broken, err) // nobody repairs it: the others are whole
			continue
		}
		if err == nil {
			err = fn(it, it.Pos <= p.cursor)
		}
		if err != nil {
			return err
		}
	}
	return broken
}

// records yields the records at the positions from..to in order, read chunk by
// chunk, and ends with the first error. A broken segment is handed to repair and
// read again.
func (q *Queue) records(from, to uint64, chunk int, repair func(error) error) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		repairs := 0
		for from <= to {
			s, ok := q.segmentAt(from)
			if !ok {
				return
			}
			items, err := q.readChunk(s, max(from, s.first), min(to, s.last), min(max(chunk, 1), chunkItems))
			var damaged *damagedError
			if errors.Is(err, errMoved) {
				continue
			}
			if errors.As(err, &damaged) && repairs < maxRepairs {
				repairs++
				if err = repair(err); err == nil {
					continue
				}
			}
			if q.noteRead(s, from, readTo(items, min(to, s.last)), err) && repairs < maxRepairs {
				repairs++
				if err = repair(&damagedError{s.path, damagedf("%w: %w", errGivenUp, err)}); err == nil {
					continue
				}
			}
			if err != nil {
				if !yield(Item{}, err) {
					return
				}
				from = s.last + 1 // one segment's trouble is not the end of all
				continue
			}
			for _, it := range items {
				if !yield(it, nil) {
					return
				}
			}
			from = s.last + 1
			if n := len(items); n > 0 && items[n-1].Pos < min(to, s.last) {
				from = items[n-1].Pos + 1
			}
		}
	}
}

// readTo is the position that a chunk has reached.
func readTo(items []Item, to uint64) uint64 {
	if n := len(items); n > 0 {
		return items[n-1].Pos
	}
	return to
}

// segmentAt returns the segment that has a position, or the next one.
func (q *Queue) segmentAt(pos uint64) (segment, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := sort.Search(len(q.segs), func(i int) bool { return q.segs[i].last >= pos })
	if i == len(q.segs) {
		return segment{}, false
	}
	return *q.segs[i], true
}

// errMoved says that a segment is no longer what it was a moment ago.
var errMoved = errors.New("the segment was closed meanwhile")

// readChunk reads the first records of a segment from a position on: through the
// writer's handle while it is being written.
func (q *Queue) readChunk(s segment, from, to uint64, n int) (items []Item, err error) {
	read := func(tx *bbolt.Tx) (err error) {
		items, err = readRecords(tx, s, from, to, n, chunkBytes)
		return err
	}
	if db := q.writing(s.path); db != nil {
		begun, err := view(db, s.path, read)
		if !begun && errors.Is(err, errDamaged) {
			// Both meta pages of the open file are gone, see the package comment.
			panic(err)
		}
		if errors.Is(err, bolterrors.ErrDatabaseNotOpen) && q.writing(s.path) != db {
			return nil, errMoved
		}
		return items, err
	}
	check := all
	if s.checked {
		check = metaOnly
	}
	err = q.borrow(func() error { return viewSegment(s.path, check, read) })
	if q.readOnly && errors.Is(err, os.ErrNotExist) {
		return nil, nil // an agent that ran meanwhile has removed it
	}
	if errors.Is(err, os.ErrNotExist) {
		// It was removed in good order, which repair finds out, or somebody else took it.
		return nil, &damagedError{s.path, damagedf("%w", err)}
	}
	if err == nil && !s.checked {
		q.mu.Lock()
		if i := q.index(s.path); i >= 0 {
			q.segs[i].checked = true
		}
		q.mu.Unlock()
	}
	return items, err
}

// writing returns the handle of a segment while it is being written.
func (q *Queue) writing(path string) *bbolt.DB {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.db == nil || q.segs[len(q.segs)-1].path != path {
		return nil
	}
	return q.db
}

// index finds a segment by its path; -1 = it is not there any more. Under wmu or mu.
func (q *Queue) index(path string) int {
	for i, s := range q.segs {
		if s.path == path {
			return i
		}
	}
	return -1
}

// readRecords copies records of a segment, from the position from to the position
// to, until there are n or they have size bytes. What is beyond s.last was never
// accepted: a commit that failed may have left it.
func readRecords(tx *bbolt.Tx, s segment, from, to uint64, n, size int) (items []Item, err error) {
	blocks, next := tx.Cursor(), from
	items = make([]Item, 0, min(uint64(n), to-min(from, to)+1))
	prefix := blockPrefix
	if name, _ := blocks.First(); bytes.Equal(name, metaBucket) {
		prefix = oldPrefix
	}
	name, _ := atOrBefore(blocks, append([]byte{prefix}, posKey(from)...))
	if !isBlock(name) {
		name, _ = blocks.Next()
	}
	for ; isBlock(name); name, _ = blocks.Next() {
		c := tx.Bucket(name).Cursor()
		for k, v := atOrBefore(c, posKey(from)); k != nil; k, v = c.Next() {
			some, n1, err := decodeRecords(v)
			if err != nil || n1 != len(v) || !bytes.Equal(k, posKey(some[0].Pos)) {
				return nil, damagedf("the record at key %x fails its check", k)
			}
			for _, it := range some {
				switch {
				case it.Pos < from:
					continue
				case it.Pos > to:
					return items, missing(s, next, to)
				case it.Pos < next || it.Pos > next && s.whole():
					return nil, damagedf("position %d where %d should be", it.Pos, next)
				}
				next = it.Pos + 1
				items = append(items, it)
				if size -= len(it.Payload); len(items) >= n || size <= 0 {
					return items, nil
				}
			}
		}
	}
	return items, missing(s, next, to)
}

// atOrBefore moves a cursor to a key, else to the one before it, else to the first.
func atOrBefore(c *bbolt.Cursor, key []byte) (k, v []byte) {
	if k, v = c.Seek(key); k == nil {
		k, v = c.Last()
	} else if !bytes.Equal(k, key) {
		k, v = c.Prev()
	}
	if k == nil {
		k, v = c.First()
	}
	return k, v
}

// missing is damage if a segment without holes ends before a position.
func missing(s segment, next, to uint64) error {
	if s.whole() && next <= to {
		return damagedf("position %d is missing", next)
	}
	return nil
}
