package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A record that was accepted leaves the store in one of these ways, and in no other:
//
//	way          what does it                     who says so
//	delivered    Ack: the broker has it. Its      the caller
//	             segment stays for KeepDelivered
//	             or until room is needed
//	evicted      MakeRoom chooses; an Append with Eviction.Gaps, which the same batch announces
//	             that as Evict does it
//	rewritten    an Append with Replaced as Evict nobody: the same batch holds the record again
//	             and a new Epoch
//	quarantined  Quarantine: it is in a file of   the caller
//	             its own. Requeue puts it back at
//	             the end; or it is evicted there
//	lost         damage: salvage, and at Open     a Damage, on disk until a batch announces it
//	             missingFirst and reset
//
// progress says how far that has come: cursor and evicted are the front of the queue. It
// is guarded by Queue.mu. This file has its rules; what moves it:
//
//	cursor   Ack; readNewest and reset at Open
//	evicted  commit, with the batch's Evict; readNewest, reset and missingFirst at Open
//	saved    commit; readNewest and reset at Open
//	savedAt  commit; load at Open
//	retryAt  Ack, when the cursor could not be saved
//	marked   removeOldest and removeMarks; readNewest and reset at Open
//
//		segments   | seg-01        | seg-29        | seg-51        | seg-7a (written)
//		positions  1 ............. 41 ............ 81 ........... 122 ............ 150
//		           ^ First                  ^ saved     ^ cursor  ^ in flight     ^ next
//		           |-- kept for replay -----------------|-- waiting --------------|
//		           |-- removable -|                     |-- peeked --|
//
//	  - The cursor moves when Ack says that everything up to it is delivered, and
//	    never back. Saved is where the last commit has put it on disk: after a kill
//	    everything above saved is delivered again.
//	  - Evicted moves with the commit that carries an eviction. What is above the
//	    cursor and not above evicted was not delivered and is gone.
//	    Nothing up to evicted is shown or replayed any more, also once the cursor has
//	    passed it.
//	  - A record waits when it is above both, not above the last commit, and not in
//	    the quarantine.
//	  - A segment may be removed when nothing in it waits: at once if it was
//	    evicted, after KeepDelivered or when space is needed if it was delivered. The
//	    newest one stays, because it has the state.
//	  - A segment that has to go before saved is beyond it leaves a mark, an empty
//	    file that says up to where it was delivered; the next start takes the cursor
//	    from there. The mark goes after the next commit.
type progress struct {
	cursor  uint64
	evicted uint64
	saved   uint64
	savedAt time.Time
	retryAt time.Time // a failed save is not tried again before
	marked  bool      // there are marks on disk
}

// The cursor is saved with every Append, at Close, and by Ack itself when so many
// records or so much time have passed since. After a kill at most that much is
// delivered again.
const (
	cursorRecords = 1000
	cursorEvery   = 5 * time.Second
)

// done is the position up to which nothing waits any more.
func (p progress) done() uint64 { return max(p.cursor, p.evicted) }

// unsaved is how many positions a kill now would deliver again.
func (p progress) unsaved() uint64 { return p.cursor - min(p.saved, p.cursor) }

// saveDue says that Ack has to save the cursor itself.
func (p progress) saveDue(now time.Time) bool {
	return (p.unsaved() >= cursorRecords || p.unsaved() > 0 && now.Sub(p.savedAt) >= cursorEvery) && !now.Before(p.retryAt)
}

// removable says whether nothing in a segment waits, and whether it has to be
// kept for replay at that time nevertheless.
func (p progress) removable(s *segment, now time.Time, keep time.Duration) (removable, kept bool) {
	return s.last <= p.done(), s.last > p.evicted && now.Sub(s.delivered) < keep
}

// Ack says that everything up to and including position upto is delivered. It
// moves the cursor in memory; on disk it follows with the next Append, here when
// 1000 records or 5 seconds have passed since, and at Close. The drain loop calls it,
// there is no goroutine behind it. So it may write: the time of the files that are now
// delivered, and the cursor; it may read, when the oldest record that still waits was
// never peeked, because Info tells its time; and once 2000 records are not saved, it
// waits for a commit that is under way, a second at most, every 5 s. An error of the disk is logged, not returned.
func (q *Queue) Ack(upto uint64) error {
	now := q.o.Now()
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
	var delivered []string
	for _, s := range q.segs {
		if s.last > q.progress.cursor && s.last <= upto {
			s.delivered = now
			delivered = append(delivered, s.path)
		}
	}
	q.progress.cursor = max(q.progress.cursor, upto)
	for pos := range q.outOfQueue {
		if pos <= upto {
			delete(q.outOfQueue, pos)
		}
	}
	due, far := q.progress.saveDue(now), q.progress.unsaved() >= 2*cursorRecords
	q.mu.Unlock()
	for _, path := range delivered { // the file's time says so to the next start; it is only a hint
		os.Chtimes(path, now, now)
	}
	q.knowOldest()
	switch {
	case !due:
		return nil
	case far: // a commit that waits for the disk has an old cursor: wait for it
		if !q.lockWithin(busyPatience) {
			q.retryCursorLater()
			return nil
		}
	case !q.wmu.TryLock(): // most likely an append, whose commit saves the cursor too; else a later Ack does
		return nil
	}
	defer q.wmu.Unlock()
	if q.isClosed() {
		return nil // Close has saved it
	}
	if err := q.saveCursor(); err != nil {
		q.warn("save the cursor", err)
		q.retryCursorLater()
	}
	return nil
}

// retryCursorLater follows a disk that is full or hangs: Ack must not try, and log or
// wait, each time.
func (q *Queue) retryCursorLater() {
	q.mu.Lock()
	q.progress.retryAt = q.o.Now().Add(cursorEvery)
	q.mu.Unlock()
}

// saveCursor commits the cursor when it has moved since the last commit. Under wmu.
func (q *Queue) saveCursor() error {
	q.mu.Lock()
	moved := q.progress.unsaved() > 0
	q.mu.Unlock()
	if !moved {
		return nil
	}
	return asFull(q.commit(Batch{}))
}

// removeDelivered removes what no longer has to be kept, oldest first. Under wmu,
// or before Open returns.
func (q *Queue) removeDelivered(now time.Time) error {
	for {
		q.mu.Lock()
		removable, kept := q.progress.removable(q.segs[0], now, q.o.KeepDelivered)
		last := len(q.segs) == 1
		q.mu.Unlock()
		if last || !removable || kept {
			return nil
		}
		if err := q.removeOldest(); err != nil {
			return err
		}
	}
}

// dropOldestDelivered makes room by removing the oldest segment that is delivered
// but kept. It says whether there was one. Under wmu.
func (q *Queue) dropOldestDelivered() bool {
	q.mu.Lock()
	removable, _ := q.progress.removable(q.segs[0], time.Time{}, 0)
	last := len(q.segs) == 1
	q.mu.Unlock()
	if last || !removable {
		return false
	}
	err := q.removeOldest()
	if err != nil {
		q.warn("remove delivered segment", err)
	}
	return err == nil
}

// markPrefix and the last position of a segment, 16 hex digits, are the name of a
// mark.
const markPrefix = "delivered-"

// removeOldest removes the oldest segment, in which nothing waits, or turns it into
// a mark when the disk does not know yet that it was delivered. Under wmu, or before
// Open returns.
func (q *Queue) removeOldest() error {
	s := q.segs[0]
	q.mu.Lock()
	known := s.last <= max(q.progress.saved, q.progress.evicted)
	q.mu.Unlock()
	if known {
		if err := q.o.fs.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err // for instance open in a virus scanner: tried again later
		}
	} else {
		mark := filepath.Join(q.o.Dir, fmt.Sprintf("%s%016x", markPrefix, s.last))
		if err := q.o.fs.Rename(s.path, mark); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		err := q.o.fs.SyncDir(q.o.Dir)
		if err == nil { // or the old name might come back with an empty file
			err = q.o.fs.Truncate(mark, 0)
		}
		if err != nil {
			q.warn("empty a delivered segment", err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.segs = q.segs[1:]
	q.progress.marked = q.progress.marked || !known
	return nil
}

// readMarks returns the position up to which the marks in a folder say that
// everything is delivered, 0 without any.
func readMarks(dir string) (upto uint64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, markPrefix+"*"))
	for _, name := range names {
		if pos, ok := named(filepath.Base(name), markPrefix, ""); ok {
			upto = max(upto, pos)
		}
	}
	return upto, err
}

// removeMarks follows a commit: the cursor is on disk. Under wmu.
func (q *Queue) removeMarks() {
	q.mu.Lock()
	marked := q.progress.marked
	q.mu.Unlock()
	if !marked {
		return
	}
	names, _ := filepath.Glob(filepath.Join(q.o.Dir, markPrefix+"*"))
	for _, name := range names {
		if err := q.o.fs.Remove(name); err != nil {
			q.warn("remove the mark of a delivered segment", err)
			return // tried again after the next commit
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.progress.marked = false
}
