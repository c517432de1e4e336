package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"roomcall/durable"
)

// ReasonDamaged marks the gaps of a Damage.
const ReasonDamaged = "damaged"

// Damage reports one broken segment and what became of its records. The broken
// file itself is kept for the operator; it does not count for MaxBytes.
type Damage struct {
	Segment  string    // name of the segment
	Aside    string    // where the broken file is now, inside the store's folder
	At       time.Time // when it was found
	Reason   string    // what was wrong with it
	Salvaged uint64    // records that were found whole and go on in the queue
	Lost     uint64    // waiting records that were not, as far as positions tell
	Gaps     []Gap     // which ones, by lane, as far as the neighbours tell
	// Reset: the newest state could not be trusted. The state is empty and Epoch is
	// new, so that no number is given out twice.
	Reset bool
}

// Damage returns what was found broken since Open, oldest first, after what no
// batch had announced before it: a report stays on disk until a Batch carries it.
// It grows when Peek or Scan meets a broken segment.
func (q *Queue) Damage() []Damage {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]Damage{}, q.damage...)
}

// repair replaces a broken sealed segment by one with its whole records. A broken
// newest segment is sealed first; what is in memory is its right state.
func (q *Queue) repair(path string, cause error) error {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	i := q.indexOf(path)
	if i < 0 || q.isClosed() || !isBroken(path, q.lastOf(i)) {
		return nil // gone, or another reader has seen to it
	}
	if i == len(q.segs)-1 {
		if q.w != nil {
			q.sealWriter(true)
		}
		if q.segs[i].first == q.headNext() {
			return q.rotate() // it had no record: the new one takes its place
		}
		if err := q.rotate(); err != nil {
			return asFull(err)
		}
	}
	q.forgetReader(q.segs[i].first)
	return asFull(q.replaceBroken(i, cause))
}

func (q *Queue) headNext() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.head.next
}

func (q *Queue) indexOf(path string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, s := range q.segs {
		if s.path == path {
			return i
		}
	}
	return -1
}

func (q *Queue) lastOf(i int) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.segs[i].last
}

// isBroken reads a whole segment and says whether it is damaged.
func isBroken(path string, last uint64) bool {
	r, err := openReader(path)
	if err == nil {
		defer r.close()
		err = r.check(last)
	}
	return errors.Is(missing(err), errDamaged)
}

// replaceBroken salvages sealed segment i. Under wmu, or before Open returns.
func (q *Queue) replaceBroken(i int, cause error) error {
	s := q.segs[i]
	found, err := scanFile(s.path, s.first, s.last)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	q.mu.Lock()
	h, done := q.head, q.done()
	q.mu.Unlock()
	h.next = s.last + 1
	d := q.describe(s, found, cause, done)
	d.Gaps = q.lostLanes(i, found, done)
	if err := q.swap(s.path, found, h, nil, &d); err != nil {
		return err
	}
	q.mu.Lock()
	s.count, s.bytes, s.file, s.used = uint64(len(found.records)), found.bytes, fileSize(s.path), 0
	q.mu.Unlock()
	q.report(d)
	return nil
}

func (q *Queue) describe(s *segment, found *finding, cause error, done uint64) Damage {
	d := Damage{
		Segment: filepath.Base(s.path), At: q.o.Now(), Reason: cause.Error(),
		Salvaged: uint64(len(found.records)),
	}
	whole := uint64(0)
	for _, r := range found.records {
		if r.it.Pos > done {
			whole++
		}
	}
	if s.last > done {
		d.Lost = s.last - max(done, s.first-1) - whole
	}
	return d
}

func (q *Queue) report(d Damage) {
	q.o.Logger.Error("a segment of the store was damaged", "store", q.o.Dir, "segment", d.Segment,
		"kept_as", d.Aside, "reason", d.Reason, "salvaged", d.Salvaged, "lost", d.Lost, "reset", d.Reset)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.damage = append(q.damage, d)
}

// swap writes a new segment with the found records, keeps the broken file under
// another name and puts the new one in its place; before that the report is on
// disk. At a kill the name always leads to a file: the broken one, which is found
// again, or the new one.
func (q *Queue) swap(path string, found *finding, h head, state map[string][]byte, d *Damage) error {
	h.count, h.bytes = uint64(len(found.records)), found.bytes
	tmp := path + ".tmp"
	if err := buildSegment(q.o, tmp, h, state, found.records); err != nil {
		return fmt.Errorf("write salvaged segment: %w", err)
	}
	aside := asideName(path, d.At)
	err := linkOrCopy(q.o.fs, path, aside)
	switch {
	case err == nil:
		d.Aside = filepath.Base(aside)
	case !errors.Is(err, os.ErrNotExist): // else nothing is left to keep
		q.o.fs.Remove(tmp)
		return fmt.Errorf("keep damaged segment: %w", err)
	}
	if err = q.keepReport(*d); err == nil {
		err = durable.Publish(q.o.fs, tmp, path)
	}
	if err != nil && sameFile(path, aside) { // it is tried again, and each try would leave a name
		q.o.fs.Remove(aside)
	}
	return err
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// asideName is a free name for a broken file.
func asideName(path string, now time.Time) string {
	base := path + ".corrupt-" + now.UTC().Format("20060102T150405Z")
	name := base
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
}

// linkOrCopy gives a file a second name, or copies it where links are unknown.
func linkOrCopy(fsys durable.FS, from, to string) error {
	if fsys.Link(from, to) == nil {
		return nil
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return durable.Write(fsys, to, b, 0o600)
}
