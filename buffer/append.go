package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Append commits a batch: its records, its state and its eviction together, or
// nothing. It returns after fsync. The cursor rides along. ErrFull means that the
// disk is full: nothing was written, delivered records have been dropped already,
// and the batch may be tried again later.
func (q *Queue) Append(b Batch) error { return q.appendBatch(b, false) }

// appendBatch appends; requeued says that the records come from the quarantine.
func (q *Queue) appendBatch(b Batch, requeued bool) error {
	b.requeued = requeued
	if err := b.check(); err != nil {
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
	for errors.Is(err, ErrFull) && (q.dropOldestCopy() || q.dropOldestDelivered()) {
		err = asFull(q.commit(b))
	}
	if err != nil {
		return fmt.Errorf("append to store %s: %w", q.o.Dir, err)
	}
	if b.Evict != nil { // what cannot be removed now goes later
		if err := q.removeDelivered(q.o.Now()); err != nil {
			q.warn("remove evicted segments", err)
		}
		for _, pos := range b.Evict.quarantined {
			if err := q.removeQuarantined(pos); err != nil {
				q.warn("remove an evicted record from the quarantine", err)
			}
		}
	}
	q.removeReports(b.Damage)
	q.knowOldest()
	select {
	case q.changed <- struct{}{}:
	default:
	}
	return nil
}

// checkState refuses a change after which the state breaks a bound. Under wmu.
func (q *Queue) checkState(change map[string][]byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	total := 0
	for k, v := range q.state {
		if _, replaced := change[k]; !replaced {
			total += len(k) + len(v)
		}
	}
	for k, v := range change {
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
	b.State = q.withClock(b.State)
	if b.Epoch > q.head.epoch {
		with := map[string][]byte{livesKey: withLife(q.state[livesKey], q.head.next)}
		for k, v := range b.State {
			with[k] = v
		}
		b.State = with
	}
	h, items := q.number(b)
	packs := packed(items)
	size := sizeOnDisk(packs, b.State)
	if q.w != nil && q.w.usedBytes+size > q.segmentRoom() && q.newest().count > 0 {
		q.closeWriter(true)
	}
	if q.w == nil {
		if err := q.rotate(); err != nil {
			return err
		}
	}
	if err := q.w.reserve(size); err != nil {
		return fmt.Errorf("grow segment: %w", err)
	}
	s := q.newest()
	h.count, h.payloadBytes = s.count+uint64(len(items)), s.payloadBytes
	for _, it := range items {
		h.payloadBytes += uint64(len(it.Payload))
	}
	if err := q.w.commit(packs, b.State, h); err != nil {
		// The handle may be dead, and the file longer than known: it stays as it is.
		q.closeWriter(false)
		return err
	}
	q.mu.Lock()
	s.last, s.count, s.payloadBytes, s.fileBytes = h.next-1, h.count, h.payloadBytes, q.w.fileBytes
	q.head = h
	q.progress.saved, q.progress.savedAt = h.cursor, q.o.Now()
	q.progress.evicted = h.evicted
	for k, v := range b.State {
		if v == nil {
			delete(q.state, k)
		} else {
			q.state[k] = append([]byte{}, v...)
		}
	}
	q.mu.Unlock()
	q.removeMarks()
	return nil
}

// number gives the records of a batch their positions and makes the head that goes with
// it, but for what it says of its segment. Under wmu.
func (q *Queue) number(b Batch) (head, []Item) {
	now, h := q.o.Now(), q.headNow()
	h.batch++
	h.clock, h.wall = max(h.clock, q.at(now)), now.UnixMilli()
	items := make([]Item, len(b.Records))
	for i, r := range b.Records {
		items[i] = Item{Pos: h.next, Record: r, batch: h.batch, acceptedAt: h.clock, requeued: b.requeued}
		h.next++
	}
	h.epoch = max(h.epoch, b.Epoch)
	if b.Evict != nil {
		h.evicted = max(h.evicted, min(b.Evict.upto, h.next-1))
	}
	return h, items
}

// headNow is the head with what delivery has reached since the last commit.
func (q *Queue) headNow() head {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.head
	h.cursor, h.evicted = q.progress.cursor, q.progress.evicted
	return h
}

// newest is the last segment. Under wmu or mu.
func (q *Queue) newest() *segment { return q.segs[len(q.segs)-1] }

// rotate starts a new segment with a copy of head and state. A segment without
// records has the same first position and is replaced. Under wmu.
func (q *Queue) rotate() error {
	h := q.headNow()
	if h.wall == 0 {
		h.wall = q.o.Now().UnixMilli()
	}
	path := filepath.Join(q.o.Dir, segName(h.next))
	err := createSegment(q.o, path, h, q.state, nil, func(tmp string) error { return rewriteByPage(q.o.fs, tmp) })
	if err != nil {
		return fmt.Errorf("start segment: %w", err)
	}
	w, err := openWriter(q.o, path)
	if err != nil {
		return fmt.Errorf("start segment: %w", err)
	}
	q.mu.Lock()
	if n := len(q.segs); n > 0 && q.segs[n-1].first == h.next {
		q.segs = q.segs[:n-1]
	}
	q.segs = append(q.segs, &segment{path: path, first: h.next, last: h.next - 1, fileBytes: w.fileBytes, checked: true})
	q.mu.Unlock()
	q.setWriter(w)
	return nil
}

// setWriter makes w the newest segment's writer, also for readers. Under wmu.
func (q *Queue) setWriter(w *writer) {
	q.w = w
	q.mu.Lock()
	defer q.mu.Unlock()
	q.db = nil
	if w != nil {
		q.db = w.db
	}
}

// closeWriter ends the newest segment, and when its last commit went well returns
// the room that it did not use; the next append starts a new one. Under wmu.
func (q *Queue) closeWriter(trim bool) {
	w, s := q.w, q.newest()
	q.setWriter(nil)
	err := w.db.Close()
	if err == nil && trim {
		err = w.trim()
	}
	if err != nil {
		q.warn("close segment "+w.path, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s.fileBytes = fileSize(s.path)
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
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

// growth is by how much the files would grow for so many bytes. Under wmu.
func (q *Queue) growth(add int64) int64 {
	add += 10 * pageSize
	size, file := int64(4*pageSize)+q.stateBytes()*5/4, int64(0)
	if q.w != nil && q.w.usedBytes+add <= q.segmentRoom() {
		size, file = q.w.usedBytes, q.w.fileBytes
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
