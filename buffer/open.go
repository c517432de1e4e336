package buffer

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"roomcall/durable"
)

const (
	lockName  = "LOCK"
	cleanName = "CLEAN"
)

// Open opens the store in o.Dir and creates it when the folder is empty. Errors
// that errors.Is tells apart: ErrLocked, ErrNewer, ErrFull, and those of the
// operating system (fs.ErrPermission and so on). Damage is no error: see Damage.
func Open(o Options) (*Queue, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(o.fs, o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create store folder: %w", asFull(err))
	}
	q, err := lockStore(o, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Dir, asFull(err))
	}
	pause, waited := 100*time.Millisecond, time.Duration(0)
	for {
		err := q.load()
		if err == nil {
			q.knowOldest()
			return q, nil
		}
		if q.w != nil {
			q.w.db.Close()
		}
		if !openAgain(err) || q.giveUp {
			q.lock.Close()
			return nil, fmt.Errorf("open store %s: %w", o.Dir, asFull(err))
		}
		if waited == 0 {
			q.warn("the store cannot be read now; trying again for "+readPatience.String(), err)
		}
		select {
		case <-o.Context.Done():
			q.lock.Close()
			return nil, fmt.Errorf("open store %s: %w, while it cannot be read: %w", o.Dir, o.Context.Err(), err)
		case <-time.After(pause):
		}
		waited += pause
		pause = min(2*pause, maxOpenPause)
		q = newQueue(o, q.lock, false)
		q.giveUp = waited >= readPatience
	}
}

// openForReading opens a store that no process has open. It changes and creates
// nothing, and holds the lock only while it reads, see borrow.
func openForReading(dir string) (*Queue, error) {
	o, err := Options{Dir: dir}.withDefaults()
	if err != nil {
		return nil, err
	}
	o.MaxBytes = 0 // not known
	q, err := lockStore(o, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	defer q.lock.Close()
	if err := tryRead(q.loadForReading); err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	q.borrowed = true
	q.knowOldest()
	q.borrowed = false
	return q, nil
}

// borrow reads a part of a store that was opened for reading. It has the lock only
// meanwhile, so that an agent which starts waits for moments, however slow the one is
// who reads. ErrLocked: an agent has started.
func (q *Queue) borrow(read func() error) error {
	if !q.readOnly || q.borrowed {
		return read()
	}
	q2, err := lockStore(q.o, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer q2.lock.Close()
	return read()
}

// lockStore makes a Queue that has the folder for itself, or with other readers.
func lockStore(o Options, flag int) (*Queue, error) {
	lock, err := os.OpenFile(filepath.Join(o.Dir, lockName), flag, 0o600)
	if err != nil {
		return nil, err
	}
	readOnly := flag == os.O_RDONLY
	if err := lockFile(lock, !readOnly); err != nil {
		lock.Close()
		return nil, err
	}
	return newQueue(o, lock, readOnly), nil
}

func newQueue(o Options, lock *os.File, readOnly bool) *Queue {
	return &Queue{o: o, lock: lock, readOnly: readOnly, changed: make(chan struct{}, 1), failing: map[string]failing{},
		state: map[string][]byte{}, outOfQueue: map[uint64]bool{}, quarantined: map[uint64]int64{}, reports: map[string]time.Time{}}
}

func (q *Queue) loadForReading() (err error) {
	if q.segs, err = listSegments(q.o.Dir); err != nil {
		return err
	}
	if err := q.loadCopies(); err != nil {
		return err
	}
	if len(q.segs) == 0 {
		q.head.next = 1
		return nil
	}
	if _, err := q.readNewest(); errors.Is(err, errDamaged) {
		q.unreadable = err
	} else if err != nil {
		return err
	}
	for _, s := range q.segs[:len(q.segs)-1] {
		if err := readOlder(s); errors.Is(err, errDamaged) {
			q.unreadable = errors.Join(q.unreadable, err)
		} else if err != nil {
			return err
		}
	}
	return q.loadQuarantine()
}

// load finds out what the folder holds. It changes nothing before it is sure
// that this program may write the store. What it does depends on the newest
// segment:
//
//	there is none             a new store begins
//	sound, the mark names it  the last stop was clean: it is written on, but not in an older format
//	sound                     a kill: it is flushed, because what it holds counts from now on, and
//	                          stays as it is; the next append starts a new one
//	sound, but commits that   the disk has lost them: salvaged, with a new epoch and an empty
//	were on disk are missing  state, because numbers of an older state would be used twice
//	broken, head and state    salvaged: its whole records, head and state go on
//	are those of the end
//	broken                    salvaged, with a new epoch and an empty state
//	of a newer format, or it  refused, and nothing is changed
//	cannot be read just now
func (q *Queue) load() error {
	segs, err := listSegments(q.o.Dir)
	if err != nil {
		return err
	}
	q.segs = segs
	now := q.o.Now()
	if err := q.loadCopies(); err != nil {
		return err
	}
	if len(segs) == 0 {
		q.trimCopies()
		q.clean, q.head = true, head{epoch: NewEpoch(now, 0), next: 1}
		q.startClock(now)
		return q.rotate()
	}
	mark, err := readClean(q.o.Dir)
	if err != nil {
		return err
	}
	if err := q.loadQuarantine(); err != nil {
		return err
	}
	s := q.newest()
	trusted, err := q.readNewest()
	q.clean = err == nil && mark == cleanMark{filepath.Base(s.path), q.head.batch}
	if err == nil && !q.clean {
		err = errors.Join(durable.SyncFile(q.o.fs, s.path), q.o.fs.SyncDir(q.o.Dir))
	}
	if err == nil && !q.clean {
		if err = q.nothingMissing(mark); err != nil && !errors.Is(err, errDamaged) {
			return err
		}
		trusted = err == nil // without the lost commits they are those of an older state
	}
	switch {
	case errors.Is(err, errDamaged):
		if err := q.salvage(len(q.segs)-1, trusted, err); err != nil {
			return err
		}
	case q.giveUp && trusted && errors.Is(err, errUnreadable):
		if err := q.salvage(len(q.segs)-1, true, damagedf("%w: %w", errGivenUp, err)); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	for i, s := range q.segs[:len(q.segs)-1] {
		err := readOlder(s)
		if q.giveUp && errors.Is(err, errUnreadable) {
			err = damagedf("%w: %w", errGivenUp, err)
		}
		if errors.Is(err, errDamaged) {
			err = q.salvage(i, true, err)
		}
		if err != nil {
			return err
		}
	}
	q.missingFirst()
	if err := q.loadReports(); err != nil {
		return err
	}
	q.progress.savedAt = now
	q.startClock(now)
	if err := q.loadQuarantine(); err != nil {
		return err
	}
	if err := removeClean(q.o); err != nil {
		return err
	}
	if q.clean && q.head.format == FormatVersion {
		w, err := openWriter(q.o, s.path)
		if err != nil {
			return unreadable(asFull(err))
		}
		q.setWriter(w)
	}
	q.removeLeftovers()
	q.trimCopies()
	if len(q.unnamed) > 0 {
		q.nameLosses()
	}
	return q.removeDelivered(now)
}

// readNewest reads all of the newest segment and sets head, state and progress
// from it. Before Open returns. It finds one of these:
//
//	trusted, no error      sound
//	trusted, an error      broken, or not to be read just now, but head and state are
//	                       those of the last commit
//	not trusted, an error  broken, or not to be read just now, and nothing is set
func (q *Queue) readNewest() (trusted bool, err error) {
	s := q.newest()
	toItsEnd := *s
	toItsEnd.last = asHeadSays
	h, state, used, err := checkSegment(toItsEnd)
	if state == nil {
		return false, err
	}
	marked, markErr := readMarks(q.o.Dir)
	if markErr != nil {
		return false, markErr
	}
	q.head, q.state = h, state
	q.progress = progress{cursor: min(max(h.cursor, marked), h.next-1), evicted: h.evicted, saved: h.cursor, marked: marked > 0}
	s.last, s.count, s.payloadBytes, s.usedBytes, s.checked = h.next-1, h.count, h.payloadBytes, used, err == nil
	return true, err
}

// nothingMissing looks for traces of commits that the newest segment, which is
// sound, does not hold. One batch beyond the head is the one that the stop cut off.
func (q *Queue) nothingMissing(mark cleanMark) error {
	found, err := scanFile(q.newest().path, q.newest().first, math.MaxUint64, q.giveUp)
	if q.giveUp && errors.Is(err, errUnreadable) {
		err = nil // the segment itself is sound
	}
	if err == nil && (mark.batch > q.head.batch || found.batch > q.head.batch+1) {
		err = damagedf("the disk has lost commits after batch %d", q.head.batch)
	}
	return err
}

// readOlder reads the counts of a sealed segment.
func readOlder(s *segment) error {
	h, _, used, err := readHead(s.path)
	if err != nil {
		return err
	}
	// What is beyond the end is of a commit that failed: it was never accepted.
	s.count, s.payloadBytes, s.usedBytes = min(h.count, s.last+1-s.first), h.payloadBytes, used
	if h.next <= s.last {
		return &damagedError{s.path, damagedf("it ends at position %d, expected %d", h.next-1, s.last)}
	}
	return nil
}

// reset makes head, state and progress of a store whose newest head is lost:
// cursor and eviction mark only rise, so the highest that is still to be found is
// right. Before Open returns.
func (q *Queue) reset(found *finding) error {
	heads := found.heads
	if n := len(q.segs); n > 1 {
		h, _, _, err := readHead(q.segs[n-2].path)
		if err == nil {
			heads = append(heads, h)
		} else if errors.Is(err, errUnreadable) {
			return err // it may have the highest epoch
		}
	}
	h := head{next: q.newest().first, batch: found.batch}
	for _, o := range heads {
		h.epoch = max(h.epoch, o.epoch)
		h.batch = max(h.batch, o.batch)
		h.cursor = max(h.cursor, o.cursor)
		h.evicted = max(h.evicted, o.evicted)
		h.next = max(h.next, o.next)
		h.clock, h.wall = max(h.clock, o.clock), max(h.wall, o.wall)
	}
	if n := len(found.records); n > 0 {
		h.next = max(h.next, found.records[n-1].Pos+1)
	}
	h.epoch = NewEpoch(q.o.Now(), h.epoch)
	h.wall = max(h.wall, 1)
	marked, err := readMarks(q.o.Dir)
	q.head, q.state = h, map[string][]byte{livesKey: withLife(nil, h.next)}
	q.progress = progress{cursor: min(max(h.cursor, marked), h.next-1), evicted: min(h.evicted, h.next-1), marked: marked > 0}
	q.progress.saved = q.progress.cursor
	return err
}

// missingFirst reports waiting positions that no file has. Before Open returns.
func (q *Queue) missingFirst() {
	first, done := q.segs[0].first, q.progress.done()
	if first <= done+1 {
		return
	}
	d := Damage{Segment: segName(done + 1), At: q.o.Now(), Reason: "the oldest segments are missing", Lost: first - 1 - done}
	if err := q.keepReport(d); err != nil {
		q.warn("keep the report of missing segments", err) // found again until a commit has the mark
	}
	q.report(d)
	q.progress.evicted = first - 1
}

// removeLeftovers removes files that were not finished when a process ended, and
// returns the room that segments had reserved. Before Open returns.
func (q *Queue) removeLeftovers() {
	names, _ := filepath.Glob(filepath.Join(q.o.Dir, "*.tmp"))
	for _, name := range names {
		q.o.fs.Remove(name)
	}
	for i, s := range q.segs {
		if s.usedBytes == 0 || s.usedBytes >= s.fileBytes || i == len(q.segs)-1 && q.w != nil {
			continue
		}
		if err := q.o.fs.Truncate(s.path, s.usedBytes); err != nil {
			q.warn("return the unused room of a segment", err)
			continue
		}
		s.fileBytes = s.usedBytes
	}
}

// cleanMark is what a clean stop leaves: the newest segment and its last commit.
type cleanMark struct {
	segment string
	batch   uint64
}

func (m cleanMark) String() string { return fmt.Sprintf("%s %d\n", m.segment, m.batch) }

// readClean reads the mark of a clean stop; it is empty when there is none.
func readClean(dir string) (m cleanMark, err error) {
	b, err := os.ReadFile(filepath.Join(dir, cleanName))
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if _, err := fmt.Sscanf(string(b), "%s %d\n", &m.segment, &m.batch); err != nil {
		return cleanMark{}, nil // not whole: not a clean stop
	}
	return m, nil
}

// removeClean removes the mark before anything is written.
func removeClean(o Options) error {
	err := o.fs.Remove(filepath.Join(o.Dir, cleanName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = o.fs.SyncDir(o.Dir)
	}
	return err
}
