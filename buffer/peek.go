package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sort"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The cursor is persisted with every Append, at Close, and by Ack itself when so
// many records or so much time have passed since. After a kill at most that much
// is delivered again.
const (
	cursorRecords = 1000
	cursorEvery   = 5 * time.Second
)

// Peek returns undelivered records with a position above after, oldest first: at
// most maxItems and about maxBytes of payload, at least one if there is one. It
// may return fewer at the end of a segment. Its cost does not depend on how many
// records wait. The items are copies.
func (q *Queue) Peek(after uint64, maxItems, maxBytes int) ([]Item, error) {
	for repairs := 0; ; {
		seg, from, ok := q.locate(after)
		if !ok {
			return nil, nil
		}
		items, err := q.read(seg, from, maxItems, maxBytes)
		if errors.Is(err, errDamaged) && repairs < maxRepairs {
			repairs++
			if err = q.repair(seg.path, err); err == nil {
				continue
			}
		}
		switch {
		case errors.Is(err, errSealed):
			continue // look again
		case err != nil:
			return nil, fmt.Errorf("peek at position %d: %w", from, err)
		case len(items) > 0:
			return items, nil
		}
		after = seg.last
	}
}

// maxRepairs bounds how many broken segments one call sees to.
const maxRepairs = 3

// errSealed says that a segment is no longer being written.
var errSealed = errors.New("segment was sealed meanwhile")

// missing makes damage of a file that is not there: either it was removed in good
// order a moment ago, which repair finds out, or somebody else took it.
func missing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return damagedf("%w", err)
	}
	return err
}

// locate finds the segment of the first waiting position above after.
func (q *Queue) locate(after uint64) (seg segment, from uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return seg, 0, false
	}
	from = max(after, q.done()) + 1
	i := sort.Search(len(q.segs), func(i int) bool { return q.segs[i].last >= from })
	if i == len(q.segs) {
		return seg, 0, false
	}
	return *q.segs[i], max(from, q.segs[i].first), true
}

// read returns records of one segment, without the quarantined ones.
func (q *Queue) read(seg segment, from uint64, maxItems, maxBytes int) ([]Item, error) {
	var items []Item
	size := 0
	err := q.fromSegment(seg, from, func(it Item) error {
		if it.Pos > seg.last || len(items) >= maxItems || len(items) > 0 && size+len(it.Payload) > maxBytes {
			return errStop
		}
		if q.isSkipped(it.Pos) {
			return nil
		}
		it.Payload = bytes.Clone(it.Payload)
		items = append(items, it)
		size += len(it.Payload)
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return items, err
}

func (q *Queue) isSkipped(pos uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.skip[pos]
}

// fromSegment iterates over one segment: through bbolt while it is being written,
// else through Peek's reader. The payloads are valid in fn only.
func (q *Queue) fromSegment(seg segment, from uint64, fn func(Item) error) error {
	if db := q.writing(seg.path); db != nil {
		return fromDB(db, from, fn)
	}
	q.rmu.Lock()
	defer q.rmu.Unlock()
	if q.r == nil || q.r.path != seg.path {
		if q.r != nil {
			q.r.close()
			q.r = nil
		}
		r, err := openReader(seg.path)
		if err != nil {
			return missing(err)
		}
		r.pg.reuse = true
		q.r = r
	}
	return q.r.from(from, fn)
}

// fromDB iterates over the segment that is being written. The payloads are valid
// in fn only.
func fromDB(db *bbolt.DB, from uint64, fn func(Item) error) error {
	err := db.View(func(tx *bbolt.Tx) error {
		blocks := tx.Cursor()
		want := append([]byte{blockPrefix}, posKey(from)...)
		name, _ := blocks.Seek(want)
		if name == nil {
			name, _ = blocks.Last()
		} else if !bytes.Equal(name, want) {
			name, _ = blocks.Prev()
		}
		if bytes.Equal(name, metaBucket) {
			name, _ = blocks.Next()
		}
		for ; len(name) == 9 && name[0] == blockPrefix; name, _ = blocks.Next() {
			if err := fromBlock(tx.Bucket(name), from, fn); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return errSealed
	}
	return err
}

func fromBlock(b *bbolt.Bucket, from uint64, fn func(Item) error) error {
	c := b.Cursor()
	for k, v := c.Seek(posKey(from)); k != nil; k, v = c.Next() {
		it, err := decodeElement(k, v)
		if err != nil {
			return err
		}
		if err := fn(it); err != nil {
			return err
		}
	}
	return nil
}

// cursorDue says whether Ack has to persist the cursor itself. Under mu.
func (q *Queue) cursorDue(now time.Time) bool {
	ahead := q.head.cursor - q.saved
	return (ahead >= cursorRecords || ahead > 0 && now.Sub(q.savedAt) >= cursorEvery) && !now.Before(q.ackAgain)
}

// Ack says that everything up to and including position upto is delivered. It
// moves the cursor in memory; on disk it follows with the next Append, here when
// 1000 records or 5 seconds have passed since, and at Close. The drain loop calls it,
// there is no goroutine behind it.
func (q *Queue) Ack(upto uint64) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	if upto >= q.head.next {
		next := q.head.next
		q.mu.Unlock()
		return fmt.Errorf("ack %d: the last record is %d", upto, next-1)
	}
	var done []string
	if upto > q.head.cursor {
		done = q.markDone(upto)
		q.head.cursor = upto
		for pos := range q.skip {
			if pos <= upto {
				delete(q.skip, pos)
			}
		}
	}
	due := q.cursorDue(q.o.Now())
	far := q.head.cursor-q.saved >= 2*cursorRecords
	q.mu.Unlock()
	for _, path := range done { // the file's time says so to the next start; it is only a hint
		now := q.o.Now()
		os.Chtimes(path, now, now)
	}
	switch {
	case !due:
		return nil
	case far: // a commit that waits for the disk has an old cursor: wait for it
		q.wmu.Lock()
	case !q.wmu.TryLock(): // who holds it commits soon, and the cursor with it
		return nil
	}
	defer q.wmu.Unlock()
	if q.isClosed() {
		return nil // Close has persisted it
	}
	if err := q.persistCursor(); err != nil {
		q.warn("persist the cursor", err)
		q.mu.Lock()
		q.ackAgain = q.o.Now().Add(cursorEvery) // a full disk: Ack must not try, and log, each time
		q.mu.Unlock()
	}
	return nil
}
