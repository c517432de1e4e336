package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// scanStep is how many records of the newest segment are read in one go, so that
// a slow caller holds no transaction open.
const scanStep = 256

// Scan calls fn for every record on disk, oldest first, and says whether it is
// delivered; evicted records are left out. It sees what was there at the start and
// stops at fn's first error, which it returns.
func (q *Queue) Scan(fn func(it Item, delivered bool) error) error {
	q.mu.Lock()
	h, closed := q.head, q.closed
	q.mu.Unlock()
	if closed {
		return ErrClosed
	}
	return q.eachRepaired(1, h.next-1, withMark(h, fn))
}

// withMark tells delivered from waiting and leaves the evicted ones out.
func withMark(h head, fn func(Item, bool) error) func(Item) error {
	return func(it Item) error {
		if it.Pos > h.cursor && it.Pos <= h.evicted {
			return nil
		}
		return fn(it, it.Pos <= h.cursor)
	}
}

// eachRepaired is each for callers that do not hold wmu: a broken segment is
// repaired on the way, and what had been read of it is not read again.
func (q *Queue) eachRepaired(from, to uint64, fn func(Item) error) error {
	for repairs := 0; ; repairs++ {
		err := q.each(from, to, func(it Item) error {
			from = it.Pos + 1
			return fn(it)
		})
		var broken *brokenError
		if !errors.As(err, &broken) || repairs == maxRepairs {
			return err
		}
		if err := q.repair(broken.path, err); err != nil {
			return err
		}
	}
}

// brokenError is errDamaged with the segment it was met in.
type brokenError struct {
	path string
	err  error
}

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// each iterates over the positions from..to of all segments with a reader of its
// own.
func (q *Queue) each(from, to uint64, fn func(Item) error) error {
	for from <= to {
		seg, ok := q.segmentOf(from)
		if !ok {
			return nil
		}
		last, err := q.eachOf(seg, max(from, seg.first), to, fn)
		if errors.Is(err, errSealed) {
			continue
		}
		if errors.Is(err, errDamaged) {
			return &brokenError{seg.path, err}
		}
		if err != nil {
			return err
		}
		from = last + 1
	}
	return nil
}

// segmentOf finds the segment that has a position, or the next one.
func (q *Queue) segmentOf(pos uint64) (segment, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.segs {
		if s.last >= pos {
			return *s, true
		}
	}
	return segment{}, false
}

// eachOf does one segment, or a part of it, and returns the last position done.
func (q *Queue) eachOf(seg segment, from, to uint64, fn func(Item) error) (uint64, error) {
	to = min(to, seg.last)
	db := q.writing(seg.path)
	if db == nil {
		r, err := openReader(seg.path)
		if err != nil {
			return 0, missing(err)
		}
		defer r.close()
		return seg.last, enough(r.from(from, bounded(to, fn)))
	}
	var items []Item
	err := fromDB(db, from, func(it Item) error {
		if it.Pos > to || len(items) == scanStep {
			return errEnough
		}
		it.Payload = bytes.Clone(it.Payload)
		items = append(items, it)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return 0, err
	}
	last := seg.last
	if len(items) == scanStep {
		last = items[scanStep-1].Pos
	}
	for _, it := range items {
		if err := fn(it); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// errEnough ends an iteration from inside; unlike errStop it never comes from a
// caller.
var errEnough = errors.New("enough")

func bounded(to uint64, fn func(Item) error) func(Item) error {
	return func(it Item) error {
		if it.Pos > to {
			return errEnough
		}
		return fn(it)
	}
}

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// ScanDir is Scan for a store that no process has open. It changes and creates
// nothing, and keeps others from opening the store while it runs.
func ScanDir(dir string, fn func(it Item, delivered bool) error) error {
	return withDir(dir, func(segs []*segment, h head) error {
		for i, s := range segs {
			last := h.next - 1
			if i+1 < len(segs) {
				last = segs[i+1].first - 1
			}
			r, err := openReader(s.path)
			if err != nil {
				return err
			}
			err = enough(r.from(1, bounded(last, withMark(h, fn))))
			r.close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// withDir runs fn on an unlocked store's segments and newest head.
func withDir(dir string, fn func([]*segment, head) error) error {
	lock, err := lockShared(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	segs, err := listSegments(dir)
	if err != nil {
		return fmt.Errorf("open store %s: %w", dir, err)
	}
	if len(segs) == 0 {
		return fn(nil, head{next: 1})
	}
	r, err := openReader(segs[len(segs)-1].path)
	if err != nil {
		return fmt.Errorf("open store %s: %w", dir, err)
	}
	r.close()
	mark, err := readMark(dir)
	if err != nil {
		return fmt.Errorf("open store %s: %w", dir, err)
	}
	r.head.cursor = r.head.delivered(mark)
	return fn(segs, r.head)
}

// lockShared keeps others from opening a store while it is read.
func lockShared(dir string) (*os.File, error) {
	lock, err := os.Open(filepath.Join(dir, lockName))
	if err == nil {
		if err = lockFile(lock, false); err != nil {
			lock.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	return lock, nil
}
