package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
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
	lock, err := takeLock(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Dir, asFull(err))
	}
	q := &Queue{o: o, lock: lock, changed: make(chan struct{}, 1), state: map[string][]byte{}, skip: map[uint64]bool{}, aside: map[uint64]int64{},
		reports: map[string]time.Time{}}
	if err := q.load(); err != nil {
		if q.w != nil {
			q.w.db.Close()
		}
		lock.Close()
		return nil, fmt.Errorf("open store %s: %w", o.Dir, asFull(err))
	}
	return q, nil
}

func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f, true); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// listSegments returns the segments of a folder, oldest first, without opening
// them.
func listSegments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var segs []*segment
	for _, e := range entries {
		first, ok := parseSegName(e.Name())
		if !ok {
			continue
		}
		st, err := e.Info()
		if err != nil {
			return nil, err
		}
		segs = append(segs, &segment{
			path: filepath.Join(dir, e.Name()), first: first, last: first - 1,
			file: st.Size(), doneAt: st.ModTime(),
		})
	}
	sort.Slice(segs, func(i, j int) bool { return segs[i].first < segs[j].first })
	return segs, nil
}

func parseSegName(name string) (first uint64, ok bool) {
	hex, found := strings.CutPrefix(name, "seg-")
	hex, ends := strings.CutSuffix(hex, ".db")
	if !found || !ends || len(hex) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(hex, 16, 64)
	return first, err == nil && first > 0 && segName(first) == name
}

// load finds out what the folder holds. It changes nothing before it is sure
// that this program may write the store.
func (q *Queue) load() error {
	segs, err := listSegments(q.o.Dir)
	if err != nil {
		return err
	}
	q.segs = segs
	now := q.o.Now()
	if len(segs) == 0 {
		q.head = head{epoch: now.Unix(), next: 1}
		q.clock = newStoreClock(q.head, now)
		q.clean = true
		return q.rotate()
	}
	mark, err := readClean(q.o.Dir)
	if err != nil {
		return err
	}
	if q.delivered, err = readMark(q.o.Dir); err != nil {
		return err
	}
	q.marked = q.delivered > 0
	clean, err := q.loadNewest(mark)
	if err != nil {
		return err
	}
	q.clean = clean
	for i := range q.segs[:len(q.segs)-1] {
		if err := q.loadOlder(i); err != nil {
			return err
		}
	}
	q.missingFirst()
	if err := q.loadReports(); err != nil {
		return err
	}
	q.savedAt = now
	q.clock = newStoreClock(q.head, now)
	if err := q.loadQuarantine(); err != nil {
		return err
	}
	if err := q.openNewest(clean); err != nil {
		return err
	}
	q.removeLeftovers()
	q.trimSegments()
	return q.removeDone(now)
}

// trimSegments gives back the room that segments had reserved when a kill ended
// them.
func (q *Queue) trimSegments() {
	for i, s := range q.segs {
		if s.used == 0 || s.used >= s.file || i == len(q.segs)-1 && q.w != nil {
			continue
		}
		if err := q.o.fs.Truncate(s.path, s.used); err != nil {
			q.warn("give back the rest of a segment", err)
			continue
		}
		s.file = s.used
	}
}

// loadOlder takes the counts of sealed segment i. Its last position follows from
// the next segment's name, whatever is in its pages.
func (q *Queue) loadOlder(i int) error {
	s := q.segs[i]
	s.last = q.segs[i+1].first - 1
	r, err := openReader(s.path)
	if err == nil {
		defer r.close()
		s.count, s.bytes, s.used = r.head.count, r.head.bytes, r.pg.used()
		if r.head.next <= s.last || r.pg.metas != 2 {
			err = damagedf("segment ends at position %d, expected %d", r.head.next-1, s.last)
		}
	}
	if !errors.Is(err, errDamaged) {
		return err
	}
	return q.replaceBroken(i, err)
}

// missingFirst reports waiting positions that no file has.
func (q *Queue) missingFirst() {
	first, done := q.segs[0].first, q.done()
	if first <= done+1 {
		return
	}
	d := Damage{Segment: segName(done + 1), At: q.o.Now(), Reason: "the oldest segments are missing", Lost: first - 1 - done}
	if err := q.keepReport(d); err != nil {
		q.warn("keep the report of missing segments", err) // found again until a commit has the mark
	}
	q.report(d)
	q.head.evicted = first - 1
}

// openNewest goes on with the newest segment after a clean stop. After any other
// stop it stays as it is and the next append starts a new one.
func (q *Queue) openNewest(clean bool) error {
	err := q.o.fs.Remove(filepath.Join(q.o.Dir, cleanName))
	if err == nil {
		err = q.o.fs.SyncDir(q.o.Dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !clean {
		return nil
	}
	w, err := openWriter(q.o, q.segs[len(q.segs)-1].path, q.head.next)
	if err == nil {
		q.setWriter(w)
	}
	return err
}

// cleanMark says which commit was the last before a clean stop.
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
		return cleanMark{}, nil // torn: not a clean stop
	}
	return m, nil
}

// removeLeftovers removes files that were not finished when a process ended.
func (q *Queue) removeLeftovers() {
	names, _ := filepath.Glob(filepath.Join(q.o.Dir, "*.tmp"))
	for _, n := range names {
		q.o.fs.Remove(n)
	}
}
