package buffer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Broken segments are kept as they were found, for the operator and for a later
// salvage, within these bounds and MaxBytes/8; the newest one always stays, until
// MaxBytes is reached. They count for MaxBytes, and go before any record does.
const (
	asideMark = ".corrupt-"
	maxAsides = 16
)

type aside struct {
	path string
	size int64
}

// loadAsides finds the files that were set aside, oldest first.
func (q *Queue) loadAsides() error {
	entries, err := os.ReadDir(q.o.Dir)
	if err != nil {
		return err
	}
	var list []aside
	for _, e := range entries {
		if !strings.Contains(e.Name(), asideMark) || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		if st, err := e.Info(); err == nil {
			list = append(list, aside{filepath.Join(q.o.Dir, e.Name()), st.Size()})
		}
	}
	since := func(a aside) string { _, at, _ := strings.Cut(filepath.Base(a.path), asideMark); return at }
	sort.SliceStable(list, func(i, j int) bool { return since(list[i]) < since(list[j]) })
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asides = list
	return nil
}

// asideBytes is the size of what was set aside. Under mu.
func (q *Queue) asideBytes() (n int64) {
	for _, a := range q.asides {
		n += a.size
	}
	return n
}

// trimAsides keeps what was set aside within its bounds.
func (q *Queue) trimAsides() {
	for {
		q.mu.Lock()
		n := len(q.asides)
		over := n > maxAsides || n > 1 && q.asideBytes() > q.o.MaxBytes/8
		q.mu.Unlock()
		if !over || !q.dropOldestAside() {
			return
		}
	}
}

// dropOldestAside removes the oldest file that was set aside. It says whether there
// was one.
func (q *Queue) dropOldestAside() bool {
	q.mu.Lock()
	list := q.asides
	q.mu.Unlock()
	if len(list) == 0 {
		return false
	}
	if err := q.o.fs.Remove(list[0].path); err != nil && !errors.Is(err, os.ErrNotExist) {
		q.warn("remove the oldest damaged segment that was kept", err)
		return false
	}
	q.o.Logger.Warn("the oldest damaged segment that was kept is removed to stay within max_bytes",
		"file", list[0].path, "bytes", list[0].size)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asides = slices.Clone(list[1:])
	return true
}

// fromCopies adds to what a scan has found of a segment the records that only an
// earlier copy has.
func (q *Queue) fromCopies(found *finding, first, last uint64, byPage bool) (failed error) {
	have := map[uint64]bool{}
	for _, r := range found.records {
		have[r.Pos] = true
	}
	q.mu.Lock()
	list := q.asides
	q.mu.Unlock()
	for _, a := range list {
		if uint64(len(have)) > last-first {
			break
		}
		copied, err := scanFile(a.path, first, last, byPage)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
		for _, r := range copied.records {
			if !have[r.Pos] {
				have[r.Pos] = true
				found.records, found.bytes = append(found.records, r), found.bytes+uint64(len(r.Payload))
			}
		}
	}
	sort.Slice(found.records, func(i, j int) bool { return found.records[i].Pos < found.records[j].Pos })
	return failed
}
