package buffer

import "time"

// Info is what a store holds.
type Info struct {
	Dir              string
	Epoch            int64     // Unix second of the store's creation
	Waiting          uint64    // records that are not delivered
	WaitingBytes     uint64    // their payload; an estimate within one segment
	Oldest           time.Time // time of the oldest waiting record; zero = none waits
	First, Next      uint64    // first position on disk, position of the next record
	Cursor           uint64    // everything up to it is delivered
	Segments         int
	DiskBytes        int64  // size of all files that count for MaxBytes
	MaxBytes         int64  // the limit; 0 = not known (InfoDir)
	DeliveredKept    uint64 // delivered records that are still there for replay
	Quarantined      int    // records set aside, see Quarantine
	QuarantinedBytes int64
	Damage           []Damage // what was found broken since Open
}

// Info reports the state of the store. Its cost does not depend on how many
// records wait.
func (q *Queue) Info() Info {
	q.mu.Lock()
	in := q.infoLocked()
	q.mu.Unlock()
	in.DiskBytes = q.diskBytes()
	if in.Waiting > 0 {
		if items, err := q.Peek(0, 1, 1); err == nil && len(items) > 0 {
			in.Oldest = items[0].Time
		}
	}
	return in
}

func (q *Queue) infoLocked() Info {
	in := summary(q.segs, q.head)
	in.Dir, in.MaxBytes = q.o.Dir, q.o.MaxBytes
	in.Damage = append(in.Damage, q.damage...)
	in.Quarantined, in.QuarantinedBytes = len(q.aside), q.asideBytes()
	done := q.done()
	for pos := range q.skip {
		if pos > done && in.Waiting > 0 {
			in.Waiting--
		}
	}
	return in
}

// summary counts from what is known of each segment. Positions have no holes but
// for damage, so a segment that is delivered in part is split by position.
func summary(segs []*segment, h head) Info {
	in := Info{Epoch: h.epoch, Next: h.next, First: h.next, Cursor: h.cursor, Segments: len(segs)}
	done := max(h.cursor, h.evicted)
	for i, s := range segs {
		if i == 0 {
			in.First = s.first
		}
		wait := s.count
		if s.last <= done {
			wait = 0
		} else if s.first <= done {
			wait = min(s.count, s.last-done)
		}
		in.Waiting += wait
		if s.count > 0 {
			in.WaitingBytes += uint64(float64(s.bytes) * float64(wait) / float64(s.count))
		}
		if s.first <= h.cursor {
			in.DeliveredKept += min(s.count-wait, h.cursor-s.first+1)
		}
	}
	return in
}

// InfoDir is Info for a store that no process has open. It changes and creates
// nothing.
func InfoDir(dir string) (Info, error) {
	var in Info
	err := withDir(dir, func(segs []*segment, h head) error {
		for i, s := range segs {
			r, err := openReader(s.path)
			if err != nil {
				return err
			}
			r.close()
			s.last, s.count, s.bytes = r.head.next-1, r.head.count, r.head.bytes
			if i+1 < len(segs) {
				s.last = segs[i+1].first - 1
			}
		}
		in = summary(segs, h)
		for _, s := range segs {
			in.DiskBytes += s.file
		}
		return nil
	})
	in.Dir = dir
	if err != nil || in.Waiting == 0 {
		return in, err
	}
	err = enough(ScanDir(dir, func(it Item, delivered bool) error {
		if delivered {
			return nil
		}
		in.Oldest = it.Time
		return errEnough
	}))
	return in, err
}

// Waits tells whether a record waits for delivery, without touching the disk.
func (q *Queue) Waits() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.infoLocked().Waiting > 0
}
