package buffer

import (
	"errors"
	"os"
	"time"
)

// persistCursor commits the cursor when it has moved since the last commit.
// Under wmu.
func (q *Queue) persistCursor() error {
	q.mu.Lock()
	moved := q.head.cursor > q.saved
	q.mu.Unlock()
	if !moved {
		return nil
	}
	return asFull(q.commit(Batch{}))
}

// markDone notes when the segments up to a position were delivered, and returns
// their paths. Under mu.
func (q *Queue) markDone(upto uint64) (paths []string) {
	for _, s := range q.segs {
		if s.first > upto {
			break
		}
		if s.last <= upto && s.last > q.head.cursor {
			s.doneAt = q.o.Now()
			paths = append(paths, s.path)
		}
	}
	return paths
}

// removeDone removes what no longer has to be kept: evicted segments and
// delivered ones older than KeepDelivered, oldest first. The newest segment stays,
// for it has the state. Under wmu, or before Open returns.
func (q *Queue) removeDone(now time.Time) error {
	for {
		q.mu.Lock()
		s := q.oldestDone()
		stays := s == nil || s.last > q.head.evicted && now.Sub(s.doneAt) < q.o.KeepDelivered
		q.mu.Unlock()
		if stays {
			return nil
		}
		if err := q.persistBefore(s); err != nil {
			return err
		}
		if err := q.removeOldest(); err != nil {
			return err
		}
	}
}

// persistBefore makes sure that the disk knows a segment as delivered before it is
// removed; else the next start would miss it.
func (q *Queue) persistBefore(s *segment) error {
	q.mu.Lock()
	known := s.last <= max(q.saved, q.head.evicted)
	q.mu.Unlock()
	if known {
		return nil
	}
	return q.persistCursor()
}

// oldestDone is the oldest segment if nothing in it waits and it may go. Under mu.
func (q *Queue) oldestDone() *segment {
	if len(q.segs) < 2 || q.segs[0].last > q.done() {
		return nil
	}
	return q.segs[0]
}

// removeOldest removes the oldest segment from list and disk.
func (q *Queue) removeOldest() error {
	q.forgetReader(q.segs[0].first)
	if err := os.Remove(q.segs[0].path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // for instance open in a virus scanner: tried again later
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.segs = q.segs[1:]
	return nil
}

// dropOldestDelivered makes room by removing the oldest segment that is delivered
// but kept. It says whether there was one.
func (q *Queue) dropOldestDelivered() bool {
	q.mu.Lock()
	s := q.oldestDone()
	q.mu.Unlock()
	if s == nil {
		return false
	}
	err := q.removeOldest()
	if err != nil {
		q.warn("remove delivered segment", err)
	}
	return err == nil
}

// diskBytes is the size of all files that count for MaxBytes.
func (q *Queue) diskBytes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	total := q.asideBytes()
	for _, s := range q.segs {
		total += s.file
	}
	return total
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

func (q *Queue) warn(what string, err error) {
	q.o.Logger.Warn(what, "store", q.o.Dir, "error", err)
}
