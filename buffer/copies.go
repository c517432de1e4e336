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
	copyMark  = ".corrupt-"
	maxCopies = 16
)

type brokenCopy struct {
	path string
	size int64
}

// loadCopies finds the broken segments that are kept, oldest first. Before Open returns.
func (q *Queue) loadCopies() error {
	entries, err := os.ReadDir(q.o.Dir)
	if err != nil {
		return err
	}
	var list []brokenCopy
	for _, e := range entries {
		if !strings.Contains(e.Name(), copyMark) || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		if st, err := e.Info(); err == nil {
			list = append(list, brokenCopy{filepath.Join(q.o.Dir, e.Name()), st.Size()})
		}
	}
	since := func(a brokenCopy) string { _, at, _ := strings.Cut(filepath.Base(a.path), copyMark); return at }
	sort.SliceStable(list, func(i, j int) bool { return since(list[i]) < since(list[j]) })
	q.mu.Lock()
	defer q.mu.Unlock()
	q.copies = list
	return nil
}

// copyBytes is the size of the broken segments that are kept. Under mu.
func (q *Queue) copyBytes() (n int64) {
	for _, a := range q.copies {
		n += a.size
	}
	return n
}

// trimCopies removes the oldest of the kept broken segments until they are within their
// bounds. Under wmu, or before Open returns.
func (q *Queue) trimCopies() {
	for {
		q.mu.Lock()
		n := len(q.copies)
		over := n > maxCopies || n > 1 && q.copyBytes() > q.o.MaxBytes/8
		q.mu.Unlock()
		if !over || !q.dropOldestCopy() {
			return
		}
	}
}

// dropOldestCopy makes room by removing the oldest broken segment that is kept. It says
// whether there was one. Under wmu, or before Open returns.
func (q *Queue) dropOldestCopy() bool {
	q.mu.Lock()
	list := q.copies
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
	q.copies = slices.Clone(list[1:])
	return true
}

// fromCopies adds to what a scan has found of a segment the records that only an
// earlier copy has. Under wmu, or before Open returns.
func (q *Queue) fromCopies(found *finding, first, last uint64, byPage bool) (failed error) {
	have := map[uint64]bool{}
	for _, r := range found.records {
		have[r.Pos] = true
	}
	q.mu.Lock()
	list := q.copies
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
				found.records, found.payloadBytes = append(found.records, r), found.payloadBytes+uint64(len(r.Payload))
			}
		}
	}
	sort.Slice(found.records, func(i, j int) bool { return found.records[i].Pos < found.records[j].Pos })
	return failed
}
