package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
		if err := q.removeOldest(); err != nil {
			return err
		}
	}
}

// oldestDone is the oldest segment if nothing in it waits and it may go. Under mu.
func (q *Queue) oldestDone() *segment {
	if len(q.segs) < 2 || q.segs[0].last > q.done() {
		return nil
	}
	return q.segs[0]
}

// removeOldest removes the oldest segment from list and disk. Nothing in it waits.
func (q *Queue) removeOldest() error {
	s := q.segs[0]
	q.forgetReader(s.first)
	q.mu.Lock()
	known := s.last <= max(q.saved, q.head.evicted)
	q.mu.Unlock()
	remove := q.o.fs.Remove
	if !known {
		remove = q.turnIntoMark
	}
	if err := remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // for instance open in a virus scanner: tried again later
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.segs = q.segs[1:]
	return nil
}

// The oldest segment may have to go before a commit has taken the cursor to the
// disk: a full disk takes none. Else the next start would miss it. So the file is
// renamed to delivered-<its last position, 16 hex digits> and emptied; the mark
// goes when a commit has the cursor.
const markPrefix = "delivered-"

func (q *Queue) turnIntoMark(path string) error {
	mark := filepath.Join(q.o.Dir, fmt.Sprintf("%s%016x", markPrefix, q.segs[0].last))
	if err := q.o.fs.Rename(path, mark); err != nil {
		return err
	}
	err := q.o.fs.SyncDir(q.o.Dir)
	if err == nil { // or the old name might come back with an empty file
		err = q.o.fs.Truncate(mark, 0)
	}
	if err != nil {
		q.warn("empty a delivered segment", err)
	}
	q.marked = true
	return nil
}

// readMark is the position up to which the marks in a folder say that everything
// is delivered, 0 without any.
func readMark(dir string) (upto uint64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, markPrefix+"*"))
	for _, name := range names {
		pos, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(name), markPrefix), 16, 64)
		if err == nil {
			upto = max(upto, pos)
		}
	}
	return upto, err
}

// removeMarks follows a commit: the cursor is on disk.
func (q *Queue) removeMarks() {
	if !q.marked {
		return
	}
	names, _ := filepath.Glob(filepath.Join(q.o.Dir, markPrefix+"*"))
	for _, name := range names {
		if err := q.o.fs.Remove(name); err != nil {
			q.warn("remove the mark of a delivered segment", err)
			return // tried again after the next commit
		}
	}
	q.marked = false
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
