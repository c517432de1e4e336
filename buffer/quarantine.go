package buffer

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"roomcall/durable"
)

// The quarantine is one small file a record, named poison-<position, 16 hex>.rec. The
// rename that gives the file its name is what takes the record out of the queue,
// so it is never in both or in neither. The name says poison because format 1 does.
const (
	maxQuarantined = 1000
	maxReason      = 1000 // bytes
)

// Quarantined is a record in the quarantine.
type Quarantined struct {
	Item
	Reason string
	Since  time.Time
}

// Quarantine takes a waiting record out of the queue, for instance one that the broker
// will not accept. The queue goes on without it; it survives restarts. When the quarantine
// has more than 1000 records or MaxBytes/8, MakeRoom says that the oldest of them have
// to go.
// ErrBusy: a commit has not returned for a second; nothing was done.
func (q *Queue) Quarantine(pos uint64, reason string) error {
	if !q.lockWithin(busyPatience) {
		return fmt.Errorf("quarantine position %d: %w", pos, ErrBusy)
	}
	defer q.wmu.Unlock()
	err := q.quarantine(pos, reason)
	if err != nil {
		return fmt.Errorf("quarantine position %d: %w", pos, asFull(err))
	}
	return nil
}

// quarantine is Quarantine. Under wmu.
func (q *Queue) quarantine(pos uint64, reason string) error {
	q.mu.Lock()
	closed, waits := q.closed, pos > q.progress.done() && pos < q.head.next && !q.outOfQueue[pos]
	q.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case !waits:
		return ErrNotFound
	}
	for it, err := range q.records(pos, pos, 1, q.repairLocked) {
		if err != nil {
			return err
		}
		b := encodeQuarantined(Quarantined{Item: it, Reason: reason[:min(len(reason), maxReason)], Since: q.o.Now()})
		if err := durable.Write(q.o.fs, q.quarantinePath(pos), b, 0o600); err != nil {
			return err
		}
		q.mu.Lock()
		q.outOfQueue[pos] = true
		q.quarantined[pos] = int64(len(b))
		q.mu.Unlock()
		q.knowOldest()
		return nil
	}
	return ErrNotFound
}

func (q *Queue) quarantinePath(pos uint64) string {
	return filepath.Join(q.o.Dir, fmt.Sprintf("poison-%016x.rec", pos))
}

// isOutOfQueue says whether the record at a position is out of the queue because it is
// or was in the quarantine.
func (q *Queue) isOutOfQueue(pos uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.outOfQueue[pos]
}

// Quarantined lists the records in the quarantine, oldest first. One that cannot be read
// hides none of the others: the list has all that can be read, and the error names the
// files of those that cannot.
func (q *Queue) Quarantined() (list []Quarantined, failed error) {
	q.mu.Lock()
	all := slices.Sorted(maps.Keys(q.quarantined))
	q.mu.Unlock()
	for _, pos := range all {
		one, err := q.readQuarantined(pos)
		switch {
		case errors.Is(err, os.ErrNotExist): // requeued or evicted meanwhile
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("read the quarantine: %w", err))
		default:
			list = append(list, one)
		}
	}
	return list, failed
}

func (q *Queue) readQuarantined(pos uint64) (Quarantined, error) {
	path := q.quarantinePath(pos)
	b, err := os.ReadFile(path)
	if err != nil {
		return Quarantined{}, err
	}
	one, err := decodeQuarantined(b)
	if err != nil {
		return Quarantined{}, fmt.Errorf("%s: %w", path, err)
	}
	return one, nil
}

// Requeue puts a record from the quarantine at the end of the queue, with its old
// number and a new position. A kill in between may leave it in both.
func (q *Queue) Requeue(pos uint64) error {
	one, err := q.readQuarantined(pos)
	if errors.Is(err, os.ErrNotExist) {
		err = ErrNotFound
	}
	if err == nil {
		err = q.appendBatch(Batch{Records: []Record{one.Record}}, true)
	}
	if err == nil {
		q.wmu.Lock()
		defer q.wmu.Unlock()
		err = q.removeQuarantined(pos)
	}
	if err != nil {
		return fmt.Errorf("requeue position %d: %w", pos, err)
	}
	return nil
}

// removeQuarantined removes the file of a record that was requeued or evicted. Under wmu.
func (q *Queue) removeQuarantined(pos uint64) error {
	if err := q.o.fs.Remove(q.quarantinePath(pos)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.quarantined, pos)
	return nil
}

// maxQuarantineGaps bounds the records of the quarantine that one eviction takes.
const maxQuarantineGaps = 100

// quarantineOverBounds says what has to go from the quarantine to keep it within its bounds,
// oldest first. Under wmu.
func (q *Queue) quarantineOverBounds() (positions []uint64, gaps []Gap) {
	q.mu.Lock()
	sizes := maps.Clone(q.quarantined)
	q.mu.Unlock()
	all, total := slices.Sorted(maps.Keys(sizes)), int64(0)
	for _, size := range sizes {
		total += size
	}
	for i, pos := range all[:min(len(all), maxQuarantineGaps)] {
		if len(all)-i <= maxQuarantined && total <= q.o.MaxBytes/8 {
			break
		}
		one, err := q.readQuarantined(pos)
		if err == nil {
			gaps = append(gaps, Gap{one.Lane, one.Num, one.Num, 1, ReasonMaxBytes})
		} else if !q.lostInQuarantine(pos, err) {
			continue
		}
		total -= sizes[pos]
		positions = append(positions, pos)
	}
	return positions, gaps
}

// lostInQuarantine reports a record of the quarantine that has to go and cannot be read,
// once: nothing tells its lane and number. False = it stays, because the read may work
// later, or because the disk does not take the report. Under wmu.
func (q *Queue) lostInQuarantine(pos uint64, cause error) bool {
	path := q.quarantinePath(pos)
	d := Damage{Segment: filepath.Base(path), At: q.o.Now(), Reason: cause.Error(), Lost: 1}
	if _, reported := q.reports[d.Segment]; reported {
		return true
	}
	failed := unreadable(cause)
	if errors.Is(failed, errUnreadable) && !q.noteRead(segment{path: path}, pos, pos, failed) {
		return false
	}
	if err := q.keepReport(d); err != nil {
		q.warn("keep the report of a record of the quarantine that cannot be read", err)
		return false
	}
	q.report(d)
	return true
}

// loadQuarantine finds the files of the quarantine. Before Open returns.
func (q *Queue) loadQuarantine() error {
	entries, err := os.ReadDir(q.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		pos, ok := named(e.Name(), "poison-", ".rec")
		if !ok {
			continue
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		q.quarantined[pos] = st.Size()
		q.outOfQueue[pos] = pos > q.progress.cursor
	}
	return nil
}
