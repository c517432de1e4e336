package buffer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"roomcall/durable"
)

// ReasonDamaged marks the gaps of a Damage.
const ReasonDamaged = "damaged"

// Damage reports one broken segment, or one record of the quarantine, and what became of
// its records. The broken segment itself is kept for the operator for a while, see
// maxCopies; it counts for MaxBytes.
type Damage struct {
	Segment  string    // name of the file
	KeptAs   string    `json:"Aside"` // where the broken segment is now, inside the store's folder; "" = nothing is kept
	At       time.Time // when it was found
	Reason   string    // what was wrong with it
	Salvaged uint64    // records that were found whole and go on in the queue
	Lost     uint64    // waiting records that were not, as far as positions tell
	Gaps     []Gap     // which ones, by lane, as far as the neighbours tell
	// Reset: the newest state could not be trusted. The state is empty and Epoch is
	// new, so that no number is used twice.
	Reset bool
	// Unnamed: Gaps are still to be found. Damage returns no such report.
	Unnamed bool `json:",omitempty"`
}

// Damage returns what was found broken since Open, oldest first, after what no
// batch had announced before it: a report stays on disk until a Batch carries it.
// It grows when Peek or Scan meets a broken segment.
func (q *Queue) Damage() []Damage {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]Damage{}, q.damage...)
}

// repair replaces the broken segment that cause names by one with its whole
// records. It returns nil when the segment can be read again or is gone.
func (q *Queue) repair(cause error) error {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	return q.repairLocked(cause)
}

// repairLocked is repair for those who hold wmu. A broken newest segment is closed
// first; what is in memory is its right state.
func (q *Queue) repairLocked(cause error) error {
	var damaged *damagedError
	if q.readOnly || !errors.As(cause, &damaged) {
		return cause
	}
	s, there := q.segmentByPath(damaged.path)
	if !there || q.isClosed() {
		return nil
	}
	newest := s.path == q.newest().path
	if newest && q.w != nil {
		q.closeWriter(false)
	}
	_, _, _, err := checkSegment(s)
	switch {
	case err == nil:
		return nil // another reader has repaired it, or it was the device
	case errors.Is(err, os.ErrNotExist):
		if !q.sameFolder() {
			return err
		}
	case !errors.Is(err, errDamaged) && !errors.Is(cause, errGivenUp):
		return err
	}
	if newest {
		empty := s.last < s.first // a new one takes its place
		if err := q.rotate(); err != nil || empty {
			return asFull(err)
		}
	}
	q.mu.Lock()
	i := q.index(s.path)
	q.mu.Unlock()
	if err := q.salvage(i, true, cause); err != nil {
		return asFull(err)
	}
	if !q.naming {
		q.nameLosses()
	}
	return nil
}

// salvage replaces segment i by one with its whole records and reports what is lost.
// The newest segment, which is salvaged at Open only, gets head and state too; when
// those are not trusted, a new epoch and an empty state. Under wmu, or before Open returns.
//
// The broken file is kept under another name. The report is on disk before the new
// segment has the name, and at a kill the name always leads to a file: the broken
// one, which is found again, or the new one.
func (q *Queue) salvage(i int, trusted bool, cause error) error {
	s, upto := q.segs[i], q.segs[i].last
	if !trusted {
		upto = math.MaxUint64
	}
	givenUp := trusted && (errors.Is(cause, errGivenUp) || q.giveUp)
	found, err := scanFile(s.path, s.first, upto, givenUp)
	switch {
	case errors.Is(err, errUnreadable) && givenUp && found.pages > 0: // page by page
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if trusted {
		if err := q.fromCopies(found, s.first, upto, givenUp); err != nil && !givenUp {
			return err
		}
	}
	if !trusted {
		if err := q.reset(found); err != nil {
			return err
		}
		s.last = q.head.next - 1
	}
	h := q.headNow()
	h.next = s.last + 1
	var state map[string][]byte
	if i == len(q.segs)-1 {
		state = q.state
	}
	done, waiting := max(h.cursor, h.evicted), uint64(0)
	have := map[uint64]bool{}
	for _, r := range found.records {
		if have[r.Pos] = true; r.Pos > done {
			waiting++
		}
	}
	for pos := range q.quarantined { // the quarantine has it
		if pos > done && pos >= s.first && pos <= s.last && !have[pos] {
			waiting++
		}
	}
	d := Damage{
		Segment: filepath.Base(s.path), At: q.o.Now(), Reason: cause.Error(), Reset: !trusted,
		Salvaged: uint64(len(found.records)), Unnamed: true,
	}
	if s.last > done {
		d.Lost = s.last - max(done, s.first-1) - waiting
	}
	keptAs := ""
	err = createSegment(q.o, s.path, h, state, found.records, func(string) error {
		keptAs = freeName(s.path + ".corrupt-" + d.At.UTC().Format("20060102T150405Z"))
		err := linkOrCopy(q.o.fs, s.path, keptAs)
		switch {
		case err == nil:
			d.KeptAs = filepath.Base(keptAs)
		case !errors.Is(err, os.ErrNotExist): // else nothing is left to keep
			return fmt.Errorf("keep damaged segment: %w", err)
		}
		return q.keepReport(d)
	})
	if err != nil {
		if sameFile(s.path, keptAs) { // it is tried again, and each try would leave a name
			q.o.fs.Remove(keptAs)
		}
		return fmt.Errorf("write salvaged segment: %w", err)
	}
	q.mu.Lock()
	s.count, s.payloadBytes, s.fileBytes, s.usedBytes, s.checked = uint64(len(found.records)), found.payloadBytes, fileSize(s.path), 0, true
	if d.KeptAs != "" {
		q.copies = append(slices.Clone(q.copies), brokenCopy{keptAs, fileSize(keptAs)})
	}
	q.mu.Unlock()
	q.unnamed = append(q.unnamed, &d)
	q.trimCopies()
	return nil
}

// sameFolder says that the folder is still the one that was opened: without it, for
// instance when the disk was unmounted, a missing file says nothing.
func (q *Queue) sameFolder() bool {
	was, errWas := q.lock.Stat()
	is, errIs := os.Stat(filepath.Join(q.o.Dir, lockName))
	return errWas == nil && errIs == nil && os.SameFile(was, is)
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// freeName is base, or base-2, base-3 and so on when that is in use.
func freeName(base string) string {
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

func (q *Queue) report(d Damage) {
	q.o.Logger.Error("a file of the store was damaged", "store", q.o.Dir, "segment", d.Segment,
		"kept_as", d.KeptAs, "reason", d.Reason, "salvaged", d.Salvaged, "lost", d.Lost, "reset", d.Reset)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.damage = append(q.damage, d)
}

// A report of damage is on disk, as damage-<segment>.json, before the broken
// segment is replaced, and stays there until a batch has announced it: a kill in
// between must not make the loss a silent one. Damage found again in the same
// segment replaces its report, for its count has the earlier losses in it.
const (
	reportPrefix = "damage-"
	reportEnd    = ".json"
)

// measureReports counts the reports for MaxBytes. There is one a segment at most, and it
// is no larger than a segment whose records it names. Under wmu.
func (q *Queue) measureReports() {
	total := int64(0)
	for segment := range q.reports {
		total += fileSize(q.reportPath(segment))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reportBytes = total
}

func (q *Queue) segmentPath(name string) string { return filepath.Join(q.o.Dir, name) }

func (q *Queue) reportPath(segment string) string {
	return filepath.Join(q.o.Dir, reportPrefix+segment+reportEnd)
}

// keepReport writes a report. Under wmu, or before Open returns.
func (q *Queue) keepReport(d Damage) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := durable.Write(q.o.fs, q.reportPath(d.Segment), b, 0o600); err != nil {
		return err
	}
	q.reports[d.Segment] = d.At
	q.measureReports()
	return nil
}

// loadReports reads what is still to be announced, and puts what Open has found
// with it. Before Open returns.
func (q *Queue) loadReports() error {
	names, err := filepath.Glob(filepath.Join(q.o.Dir, reportPrefix+"*"+reportEnd))
	if err != nil {
		return err
	}
	var all []Damage
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		segment := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), reportPrefix), reportEnd)
		var d Damage
		if json.Unmarshal(b, &d) != nil || d.Segment != segment {
			d = Damage{Segment: segment, At: q.o.Now(), Reason: "damage was found here before; its report cannot be read"}
		}
		q.reports[segment] = d.At
		if d.Unnamed { // the last start got no further
			if !slices.ContainsFunc(q.unnamed, func(u *Damage) bool { return u.Segment == segment }) {
				q.unnamed = append(q.unnamed, &d)
			}
			continue
		}
		all = append(all, d)
	}
	for _, d := range q.damage {
		if _, kept := q.reports[d.Segment]; !kept {
			all = append(all, d)
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].At.Before(all[j].At) })
	q.damage = all
	q.measureReports()
	return nil
}

// removeReports removes what a committed batch has announced, unless the segment
// has a newer report. Under wmu.
func (q *Queue) removeReports(announced []Damage) {
	for _, d := range announced {
		if at, kept := q.reports[d.Segment]; !kept || !at.Equal(d.At) {
			continue
		}
		if err := q.o.fs.Remove(q.reportPath(d.Segment)); err != nil && !os.IsNotExist(err) {
			q.warn("remove the report of a damage", err) // it is announced again after the next start
			continue
		}
		delete(q.reports, d.Segment)
	}
	q.measureReports()
}
