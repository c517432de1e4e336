package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
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
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create store folder: %w", asFull(err))
	}
	lock, err := takeLock(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Dir, asFull(err))
	}
	q := &Queue{o: o, lock: lock, changed: make(chan struct{}, 1), state: map[string][]byte{}, skip: map[uint64]bool{}}
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
		return q.rotate()
	}
	if err := q.loadNewest(); err != nil {
		return err
	}
	for i, s := range q.segs[:len(q.segs)-1] {
		if err := q.loadOlder(s, q.segs[i+1].first-1); err != nil {
			return err
		}
	}
	q.saved, q.savedAt = q.head.cursor, now
	q.clock = newStoreClock(q.head, now)
	if err := q.openNewest(); err != nil {
		return err
	}
	removeLeftovers(q.o.Dir)
	return q.removeDone(now)
}

// loadNewest takes head and state from the newest segment.
func (q *Queue) loadNewest() error {
	s := q.segs[len(q.segs)-1]
	r, err := openReader(s.path)
	if err != nil {
		return err
	}
	defer r.close()
	if q.state, err = r.state(); err != nil {
		return err
	}
	q.head = r.head
	s.last, s.count, s.bytes = r.head.next-1, r.head.count, r.head.bytes
	return nil
}

// loadOlder takes the counts of a sealed segment. Its last position follows from
// the next segment's name, whatever is in its pages.
func (q *Queue) loadOlder(s *segment, last uint64) error {
	r, err := openReader(s.path)
	if err != nil {
		return err
	}
	defer r.close()
	s.last, s.count, s.bytes = last, r.head.count, r.head.bytes
	return nil
}

// openNewest goes on with the newest segment after a clean stop. After any other
// stop it stays as it is and the next append starts a new one.
func (q *Queue) openNewest() error {
	mark, err := os.ReadFile(filepath.Join(q.o.Dir, cleanName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := os.Remove(filepath.Join(q.o.Dir, cleanName)); err != nil {
			return err
		}
		if err := syncDir(q.o.Dir); err != nil {
			return err
		}
	}
	if string(mark) != q.cleanMark() {
		return nil
	}
	w, err := openWriter(q.segs[len(q.segs)-1].path, q.o.SegmentBytes, q.head.next)
	if err == nil {
		q.setWriter(w)
	}
	return err
}

// writeClean marks a clean stop.
func writeClean(dir, mark string) error {
	tmp := filepath.Join(dir, cleanName+".tmp")
	if err := os.WriteFile(tmp, []byte(mark), 0o600); err != nil {
		return err
	}
	return publishFile(tmp, filepath.Join(dir, cleanName))
}

// removeLeftovers removes files that were not finished when a process ended.
func removeLeftovers(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	for _, n := range names {
		os.Remove(n)
	}
}
