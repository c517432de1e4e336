package buffer

import (
	"errors"
	"math"
	"path/filepath"

	"roomcall/durable"
)

// loadNewest takes head and state from the newest segment, after reading all of
// it. clean says that it may be written on.
func (q *Queue) loadNewest(mark cleanMark) (clean bool, err error) {
	s := q.segs[len(q.segs)-1]
	trusted, err := q.readNewest(s)
	if errors.Is(err, ErrNewer) || err != nil && !errors.Is(err, errDamaged) {
		return false, err
	}
	if err == nil && mark == q.mark() {
		return true, nil
	}
	if err == nil {
		// What a killed process had written is seen here whether it was flushed or
		// not; the numbers go on from it, so a power cut must not take it back.
		if err = errors.Join(durable.SyncFile(q.o.fs, s.path), q.o.fs.SyncDir(q.o.Dir)); err != nil {
			return false, err
		}
	}
	var found *finding
	if err == nil {
		if found, err = scanFile(s.path, s.first, math.MaxUint64); err != nil {
			return false, err
		}
		lost := mark.batch > q.head.batch || found.batch > q.head.batch+1
		if lost { // one batch beyond the head is the one that the stop cut off
			trusted, err = false, damagedf("the disk has lost commits after batch %d", q.head.batch)
		} else {
			err = q.verify(s.path)
		}
	}
	if !errors.Is(err, errDamaged) {
		return false, err
	}
	return false, q.salvageNewest(s, trusted, err)
}

// readNewest reads and checks the newest segment. When that finds damage, trusted
// says whether head and state are those of the last commit nevertheless.
func (q *Queue) readNewest(s *segment) (trusted bool, err error) {
	r, err := openReader(s.path)
	if err != nil {
		return false, err
	}
	defer r.close()
	state, err := r.state()
	if err != nil {
		return false, err
	}
	q.state, q.head, q.saved = state, r.head, r.head.cursor
	q.head.cursor = r.head.delivered(q.delivered)
	s.last, s.count, s.bytes, s.used = r.head.next-1, r.head.count, r.head.bytes, r.pg.used()
	return r.pg.metas == 2, r.check(s.last)
}

// salvageNewest rebuilds the newest segment from its whole records. When the head
// cannot be trusted, the store gets a new epoch and an empty state: numbers from
// an older state would be given out twice.
func (q *Queue) salvageNewest(s *segment, trusted bool, cause error) error {
	upto := uint64(math.MaxUint64)
	if trusted {
		upto = s.last
	}
	found, err := scanFile(s.path, s.first, upto)
	if err != nil {
		return err
	}
	if !trusted {
		q.head, q.state = q.resetHead(s, found), map[string][]byte{}
	}
	s.last = q.head.next - 1
	d := q.describe(s, found, cause, q.done())
	d.Reset = !trusted
	d.Gaps = q.lostLanes(len(q.segs)-1, found, q.done())
	if err := q.swap(s.path, found, q.head, q.state, &d); err != nil {
		return err
	}
	s.count, s.bytes, s.file, s.used = uint64(len(found.records)), found.bytes, fileSize(s.path), 0
	q.report(d)
	return nil
}

// resetHead makes the head of a store whose newest head is lost: cursor and
// eviction mark only rise, so the highest that is still to be found is right.
func (q *Queue) resetHead(s *segment, found *finding) head {
	heads := found.heads
	if n := len(q.segs); n > 1 {
		if r, err := openReader(q.segs[n-2].path); err == nil {
			heads = append(heads, r.head)
			r.close()
		}
	}
	h := head{next: s.first, batch: found.batch}
	for _, o := range heads {
		h.epoch = max(h.epoch, o.epoch)
		h.batch = max(h.batch, o.batch)
		h.cursor = max(h.cursor, o.cursor)
		h.evicted = max(h.evicted, o.evicted)
		h.next = max(h.next, o.next)
		h.clock, h.wall = max(h.clock, o.clock), max(h.wall, o.wall)
	}
	if n := len(found.records); n > 0 {
		h.next = max(h.next, found.records[n-1].it.Pos+1)
	}
	h.cursor, h.evicted = h.delivered(q.delivered), min(h.evicted, h.next-1)
	h.epoch = max(h.epoch+1, q.o.Now().Unix())
	h.wall = max(h.wall, 1)
	return h
}

// verify has the segment checked by bbolt in a child process, when there is a
// command for that.
func (q *Queue) verify(path string) error {
	if len(q.o.VerifyCommand) == 0 {
		return nil
	}
	err := runVerify(q.o.VerifyCommand, path, verifyTimeout)
	if err == nil || errors.Is(err, errDamaged) {
		return err
	}
	q.warn("verify "+filepath.Base(path)+" in a child process", err)
	return nil // it could not be run: our own reading found nothing wrong
}
