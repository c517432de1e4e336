package buffer

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
)

// Append commits a batch: its records, its state and its eviction together, or
// nothing. It returns after fsync. The cursor rides along. ErrFull means that the
// disk is full: nothing was written, delivered records have been dropped already,
// and the batch may be tried again later.
func (q *Queue) Append(b Batch) error {
	if err := checkBatch(b); err != nil {
		return err
	}
	q.wmu.Lock()
	defer q.wmu.Unlock()
	if q.isClosed() {
		return ErrClosed
	}
	if err := q.checkState(b.State); err != nil {
		return err
	}
	err := asFull(q.commit(b))
	for errors.Is(err, ErrFull) && q.dropOldestDelivered() {
		err = asFull(q.commit(b))
	}
	if err != nil {
		return fmt.Errorf("append to store %s: %w", q.o.Dir, err)
	}
	q.finishEviction(b.Evict)
	q.announced(b.Damage)
	select {
	case q.changed <- struct{}{}:
	default:
	}
	return nil
}

// finishEviction removes what a committed eviction takes. What cannot be removed
// now goes later.
func (q *Queue) finishEviction(ev *Eviction) {
	if ev == nil {
		return
	}
	if err := q.removeDone(q.o.Now()); err != nil {
		q.warn("remove evicted segments", err)
	}
	for _, pos := range ev.aside {
		if err := q.removeQuarantined(pos); err != nil {
			q.warn("remove an evicted record from the quarantine", err)
		}
	}
}

func (q *Queue) checkState(change map[string][]byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	total := 0
	for k, v := range q.mergedState(change) {
		if len(k) > MaxLane {
			return fmt.Errorf("append: %w: state key has %d bytes, at most %d are allowed", ErrRefused, len(k), MaxLane)
		}
		total += len(k) + len(v)
	}
	if total > MaxState {
		return fmt.Errorf("append: %w: state has %d bytes, at most %d are allowed", ErrRefused, total, MaxState)
	}
	return nil
}

// commit writes a batch to the newest segment, or to a new one when that is full
// or may not be written any more. Under wmu.
func (q *Queue) commit(b Batch) error {
	size := batchSize(b)
	if q.w != nil && q.w.size+size > q.segmentRoom() && q.segs[len(q.segs)-1].count > 0 {
		q.sealWriter(false)
	}
	if q.w == nil {
		if err := q.rotate(); err != nil {
			return err
		}
	}
	if err := q.w.reserve(size, growStep(q.o.SegmentBytes)); err != nil {
		return fmt.Errorf("grow segment: %w", err)
	}
	h, items := q.prepare(b)
	if err := q.w.commit(items, b.State, h); err != nil {
		q.sealWriter(true)
		return err
	}
	q.committed(b, h)
	q.removeMarks()
	return nil
}

// segmentRoom is how large a segment may get: each has a copy of the state, which
// commits write anew before the old pages are free. Under wmu.
func (q *Queue) segmentRoom() int64 { return q.o.SegmentBytes + 3*q.stateBytes() }

func (q *Queue) stateBytes() (n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, v := range q.state {
		n += int64(len(k) + len(v))
	}
	return n
}

// prepare gives the batch its positions and the head that goes with it.
func (q *Queue) prepare(b Batch) (head, []Item) {
	now := q.o.Now()
	q.mu.Lock()
	h := q.head
	q.mu.Unlock()
	h.batch++
	h.clock, h.wall = max(h.clock, q.clock.at(now)), now.UnixMilli()
	s := q.segs[len(q.segs)-1]
	h.count, h.bytes = s.count, s.bytes
	items := make([]Item, len(b.Records))
	for i, r := range b.Records {
		items[i] = Item{Pos: h.next, Record: r, kept: h.clock}
		h.next++
		h.count++
		h.bytes += uint64(len(r.Payload))
	}
	if b.Evict != nil {
		h.evicted = max(h.evicted, min(b.Evict.upto, h.next-1))
	}
	return h, items
}

// committed takes over what is on disk now.
func (q *Queue) committed(b Batch, h head) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.segs[len(q.segs)-1]
	s.last, s.count, s.bytes, s.file = h.next-1, h.count, h.bytes, q.w.file
	q.saved, q.savedAt = h.cursor, q.o.Now()
	h.cursor = max(h.cursor, q.head.cursor) // an Ack may have come meanwhile
	q.head = h
	q.applyState(b.State)
}

// sealWriter ends the newest segment; the next append starts a new one.
func (q *Queue) sealWriter(failed bool) {
	w, s := q.w, q.segs[len(q.segs)-1]
	q.setWriter(nil)
	if err := w.seal(failed); err != nil {
		q.warn("close segment "+w.path, err)
	}
	size := fileSize(s.path)
	q.mu.Lock()
	s.file = size
	q.mu.Unlock()
}

// rotate starts a new segment with a copy of head and state. A segment without
// records has the same first position and is replaced. Under wmu.
func (q *Queue) rotate() error {
	q.mu.Lock()
	h, state := q.head, q.mergedState(nil)
	q.mu.Unlock()
	h.count, h.bytes = 0, 0
	if h.wall == 0 {
		h.wall = q.o.Now().UnixMilli()
	}
	q.forgetReader(h.next)
	if err := createSegment(q.o, h.next, h, state); err != nil {
		return fmt.Errorf("start segment: %w", err)
	}
	path := filepath.Join(q.o.Dir, segName(h.next))
	w, err := openWriter(q.o, path, h.next)
	if err != nil {
		return fmt.Errorf("start segment: %w", err)
	}
	q.addSegment(&segment{path: path, first: h.next, last: h.next - 1, file: w.file})
	q.setWriter(w)
	return nil
}

// addSegment puts a new segment at the end of the list, in place of an empty one of
// the same name.
func (q *Queue) addSegment(s *segment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.segs); n > 0 && q.segs[n-1].first == s.first {
		q.segs = q.segs[:n-1]
	}
	q.segs = append(q.segs, s)
}

// forgetReader closes Peek's file if it is the segment that starts at first.
func (q *Queue) forgetReader(first uint64) {
	q.rmu.Lock()
	defer q.rmu.Unlock()
	if q.r != nil && filepath.Base(q.r.path) == segName(first) {
		q.r.close()
		q.r = nil
	}
}

// batchSize is an upper bound of what a batch adds to a segment: full pages, and
// the pages that each commit writes anew.
func batchSize(b Batch) int64 {
	n := int64(0)
	for _, r := range b.Records {
		n += int64(envOverhead + len(r.Lane) + len(r.Payload) + 8 + 16)
	}
	for k, v := range b.State {
		n += int64(len(k) + len(v) + 32)
	}
	return n + n/4 + 8*pageSize
}

// growth is by how much the files would grow for so many bytes. Under wmu.
func (q *Queue) growth(add int64) int64 {
	add += 10 * pageSize
	size, file := int64(4*pageSize)+q.stateBytes()*5/4, int64(0)
	if q.w != nil && q.w.size+add <= q.segmentRoom() {
		size, file = q.w.size, q.w.file
	}
	if size+add <= file {
		return 0
	}
	if runtime.GOOS != "windows" {
		return size + add + growStep(q.o.SegmentBytes) - file // at most: growth is in steps
	}
	n := int64(32 << 10)
	for n < size+add {
		n *= 2
	}
	return n - file
}
