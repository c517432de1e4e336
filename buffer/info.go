package buffer

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Info is what a store holds.
type Info struct {
	Dir              string
	Epoch            int64     // names the life of the store, see NewEpoch
	Waiting          uint64    // records that are not delivered
	WaitingBytes     uint64    // their payload; an estimate within one segment
	Oldest           time.Time // time of the oldest waiting record; zero = none waits
	First, Next      uint64    // first position on disk, position of the next record
	Cursor           uint64    // everything up to it is delivered
	Segments         int
	DiskBytes        int64  // size of all files that count for MaxBytes
	MaxBytes         int64  // the limit; 0 = not known (InfoDir)
	DeliveredKept    uint64 // delivered records that are still there for replay
	Quarantined      int    // records in the quarantine
	QuarantinedBytes int64
	Damage           []Damage // what was found broken since Open
}

// Info reports the state of the store, from memory only.
func (q *Queue) Info() Info {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.progress
	in := Info{
		Dir: q.o.Dir, MaxBytes: q.o.MaxBytes, Epoch: q.head.epoch,
		First: q.head.next, Next: q.head.next, Cursor: p.cursor,
		Segments: len(q.segs), DiskBytes: q.diskBytes(), Waiting: q.waiting(),
		Quarantined: len(q.quarantined), QuarantinedBytes: q.quarantineBytes(),
		Damage: append([]Damage(nil), q.damage...),
	}
	if len(q.segs) > 0 {
		in.First = q.segs[0].first
	}
	for _, s := range q.segs {
		wait := s.waiting(p.done())
		if s.count > 0 {
			in.WaitingBytes += uint64(float64(s.payloadBytes) * float64(wait) / float64(s.count))
		}
		if s.first <= p.cursor {
			in.DeliveredKept += min(s.count-wait, p.cursor-s.first+1)
		}
	}
	if in.Waiting > 0 && len(q.peeked) > 0 {
		in.Oldest = q.peeked[0].at
	}
	return in
}

// waiting is how many records of the segment are above a position. Positions have
// no holes but for damage, so a segment that is delivered in part is split by
// position.
func (s *segment) waiting(done uint64) uint64 {
	switch {
	case s.last <= done:
		return 0
	case s.first <= done:
		return min(s.count, s.last-done)
	}
	return s.count
}

// waiting is how many records wait. Under mu.
func (q *Queue) waiting() (n uint64) {
	done := q.progress.done()
	for _, s := range q.segs {
		n += s.waiting(done)
	}
	for pos := range q.outOfQueue {
		if pos > done && n > 0 {
			n--
		}
	}
	return n
}

// Waits tells whether a record waits for delivery, from memory only.
func (q *Queue) Waits() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting() > 0
}

// Progress returns the position up to which all is delivered, and that of the newest
// record, from memory only.
func (q *Queue) Progress() (delivered, newest uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.progress.cursor, q.head.next - 1
}

// diskBytes is the size of all files that count for MaxBytes. Under mu.
func (q *Queue) diskBytes() int64 {
	total := q.quarantineBytes() + q.copyBytes() + q.reportBytes
	for _, s := range q.segs {
		total += s.fileBytes
	}
	return total
}

// quarantineBytes is the size of the quarantine. Under mu.
func (q *Queue) quarantineBytes() (n int64) {
	for _, size := range q.quarantined {
		n += size
	}
	return n
}

// peekedItem is a record that waits and whose time is known.
type peekedItem struct {
	pos uint64
	at  time.Time
}

// maxPeeked bounds the list of them; there are usually as many as are in flight.
const maxPeeked = 10_000

// notePeeked keeps the times of what Peek has returned, so that Info knows the
// oldest waiting record without reading the disk.
func (q *Queue) notePeeked(after uint64, items []Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := q.progress.done()
	if n := len(q.peeked); n > 0 {
		last = q.peeked[n-1].pos
	}
	if after > last {
		return // records in between are not known
	}
	for _, it := range items {
		if it.Pos > last && len(q.peeked) < maxPeeked {
			q.peeked = append(q.peeked, peekedItem{it.Pos, it.Time})
		}
	}
}

// knowOldest forgets the times of records that do not wait any more. When none is left
// although records wait, it reads the oldest one from the disk, one chunk at most unless
// records there are broken or quarantined. It follows whatever moves the front of the
// queue; it repairs nothing. Not under mu.
func (q *Queue) knowOldest() {
	q.mu.Lock()
	for len(q.peeked) > 0 && (q.peeked[0].pos <= q.progress.done() || q.outOfQueue[q.peeked[0].pos]) {
		q.peeked = q.peeked[1:]
	}
	from, to := q.progress.done()+1, q.head.next-1
	known := len(q.peeked) > 0 || q.waiting() == 0
	q.mu.Unlock()
	if known {
		return
	}
	for it, err := range q.records(from, to, 1, func(err error) error { return err }) {
		if errors.Is(err, errDamaged) || err == nil && q.isOutOfQueue(it.Pos) {
			continue // what follows is the oldest that can be read
		}
		if err == nil {
			q.notePeeked(from-1, []Item{it})
		}
		return
	}
}

// InfoDir is Info for a store that no process has open. It changes and creates
// nothing.
func InfoDir(dir string) (Info, error) {
	q, err := openForReading(dir)
	if err != nil {
		return Info{Dir: dir}, err
	}
	defer q.Close()
	return q.Info(), q.unreadable
}

// ScanDir is Scan for a store that no process has open. It changes and creates
// nothing. An agent may open the store meanwhile: the scan then ends with an error,
// which is ErrLocked when fn has not been called yet. Broken segments are passed over;
// the error names them at the end.
func ScanDir(dir string, fn func(it Item, delivered bool) error) error {
	q, err := openForReading(dir)
	if err != nil {
		return err
	}
	defer q.Close()
	if q.head.epoch == 0 && q.unreadable != nil {
		return q.unreadable
	}
	began := false
	err = q.Scan(func(it Item, delivered bool) error {
		began = true
		return fn(it, delivered)
	})
	if began && errors.Is(err, ErrLocked) {
		return fmt.Errorf("another process has opened store %s meanwhile, what came so far is not all: try again", dir)
	}
	return err
}

// VerifyDir is Verify for a store that no process has open. The error says that
// checking was not possible; damage is in the verdicts. progress, nil = nobody wants it,
// is told how many bytes of how many are checked.
func VerifyDir(dir string, progress func(done, total int64)) ([]Verdict, error) {
	q, err := openForReading(dir)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	return q.verify(progress)
}

// Verdict is the result of checking one file: a segment, or a quarantined record.
type Verdict struct {
	Segment string // name of the file
	Records uint64
	Bytes   int64 // of the file
	Err     error // nil = sound
}

// Verify checks every segment, each page of its tree and each record, and the quarantine,
// of which only what fails the check is listed. It waits for no append, changes and
// repairs nothing; a segment that is being written is left out.
func (q *Queue) Verify() []Verdict {
	out, _ := q.verify(nil)
	return out
}

func (q *Queue) verify(progress func(done, total int64)) ([]Verdict, error) {
	q.mu.Lock()
	var segs []segment
	var done, total int64
	for i, s := range q.segs {
		if q.db == nil || i < len(q.segs)-1 {
			segs = append(segs, *s)
			total += s.fileBytes
		}
	}
	q.mu.Unlock()
	var out []Verdict
	for _, s := range segs {
		if progress != nil {
			progress(done, total)
		}
		done += s.fileBytes
		var h head
		err := q.borrow(func() (err error) {
			h, _, _, err = checkSegment(s)
			return err
		})
		if errors.Is(err, ErrLocked) {
			return nil, err
		}
		if q.readOnly && errors.Is(err, os.ErrNotExist) {
			continue // an agent has removed it meanwhile
		}
		if _, there := q.segmentByPath(s.path); there {
			out = append(out, Verdict{Segment: filepath.Base(s.path), Records: h.count, Bytes: s.fileBytes, Err: err})
		}
	}
	q.mu.Lock()
	quarantined := maps.Clone(q.quarantined)
	q.mu.Unlock()
	for _, pos := range slices.Sorted(maps.Keys(quarantined)) {
		err := q.borrow(func() error {
			_, err := q.readQuarantined(pos)
			return err
		})
		if errors.Is(err, ErrLocked) {
			return nil, err
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) { // else it was requeued or evicted meanwhile
			out = append(out, Verdict{Segment: filepath.Base(q.quarantinePath(pos)), Bytes: quarantined[pos], Err: err})
		}
	}
	return out, nil
}

func (q *Queue) segmentByPath(path string) (segment, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := q.index(path); i >= 0 {
		return *q.segs[i], true
	}
	return segment{}, false
}
