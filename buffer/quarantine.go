package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"roomcall/durable"
)

// The quarantine is one small file a record, poison-<position, 16 hex>.rec. The
// rename that publishes the file is what takes the record out of the queue, so it
// is never in both or in neither.
const (
	maxQuarantined = 1000
	maxReason      = 1000 // bytes
)

// Quarantined is a record that was set aside.
type Quarantined struct {
	Item
	Reason string
	Since  time.Time
}

// Quarantine sets a waiting record aside, for instance one that the broker will
// not take. The queue goes on without it; it survives restarts. When more than
// 1000 records or MaxBytes/8 are set aside, Due tells to evict the oldest of them.
func (q *Queue) Quarantine(pos uint64, reason string) error {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	it, err := q.waitingItem(pos)
	if err != nil {
		return fmt.Errorf("quarantine position %d: %w", pos, err)
	}
	b := encodeQuarantined(Quarantined{Item: it, Reason: reason[:min(len(reason), maxReason)], Since: q.o.Now()})
	path := q.poisonPath(pos)
	if err := durable.Write(q.o.fs, path, b, 0o600); err != nil {
		return fmt.Errorf("quarantine position %d: %w", pos, asFull(err))
	}
	q.mu.Lock()
	q.skip[pos] = true
	q.aside[pos] = int64(len(b))
	q.mu.Unlock()
	return nil
}

func (q *Queue) poisonPath(pos uint64) string {
	return filepath.Join(q.o.Dir, fmt.Sprintf("poison-%016x.rec", pos))
}

func (q *Queue) waitingItem(pos uint64) (found Item, err error) {
	if q.isClosed() {
		return found, ErrClosed
	}
	q.mu.Lock()
	waits := pos > q.done() && pos < q.head.next && !q.skip[pos]
	q.mu.Unlock()
	if !waits {
		return found, ErrNotFound
	}
	err = q.each(pos, pos, func(it Item) error {
		found = it
		return nil
	})
	if err == nil && found.Pos != pos {
		err = ErrNotFound
	}
	return found, err
}

// Quarantined lists the records that were set aside, oldest first.
func (q *Queue) Quarantined() ([]Quarantined, error) {
	q.mu.Lock()
	all := q.asidePositions()
	q.mu.Unlock()
	var out []Quarantined
	for _, pos := range all {
		one, err := readQuarantined(q.poisonPath(pos))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return out, fmt.Errorf("read quarantine: %w", err)
		}
		out = append(out, one)
	}
	return out, nil
}

// asidePositions lists what is in the quarantine, oldest first. Under mu.
func (q *Queue) asidePositions() []uint64 {
	all := make([]uint64, 0, len(q.aside))
	for pos := range q.aside {
		all = append(all, pos)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all
}

// Requeue puts a record from the quarantine at the end of the queue, with its old
// number and a new position. A kill in between may leave it in both.
func (q *Queue) Requeue(pos uint64) error {
	one, err := readQuarantined(q.poisonPath(pos))
	if errors.Is(err, os.ErrNotExist) {
		err = ErrNotFound
	}
	if err == nil {
		err = q.Append(Batch{Records: []Record{one.Record}})
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

func (q *Queue) removeQuarantined(pos uint64) error {
	if err := q.o.fs.Remove(q.poisonPath(pos)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.aside, pos)
	return nil
}

// maxAsideGaps bounds the records of the quarantine that one eviction takes.
const maxAsideGaps = 100

// dueAside says what has to go from the quarantine to keep it within its bounds,
// oldest first. Under wmu.
func (q *Queue) dueAside() (positions []uint64, gaps []Gap) {
	q.mu.Lock()
	all, total := q.asidePositions(), q.asideBytes()
	q.mu.Unlock()
	for i, pos := range all[:min(len(all), maxAsideGaps)] {
		if len(all)-i <= maxQuarantined && total <= q.o.MaxBytes/8 {
			break
		}
		one, err := readQuarantined(q.poisonPath(pos))
		if err != nil {
			q.warn("read a record of the quarantine that has to go", err)
		} else {
			gaps = append(gaps, Gap{one.Lane, one.Num, one.Num, 1, ReasonMaxBytes})
		}
		q.mu.Lock()
		total -= q.aside[pos]
		q.mu.Unlock()
		positions = append(positions, pos)
	}
	return positions, gaps
}

// asideBytes is the size of the quarantine. Under mu.
func (q *Queue) asideBytes() (n int64) {
	for _, size := range q.aside {
		n += size
	}
	return n
}

// loadQuarantine finds the files of the quarantine at Open.
func (q *Queue) loadQuarantine() error {
	entries, err := os.ReadDir(q.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		hex, is := strings.CutPrefix(e.Name(), "poison-")
		hex, ends := strings.CutSuffix(hex, ".rec")
		pos, err := strconv.ParseUint(hex, 16, 64)
		if !is || !ends || err != nil {
			continue
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		q.aside[pos] = st.Size()
		if pos > q.head.cursor {
			q.skip[pos] = true
		}
	}
	return nil
}

// A quarantine file is magic "rcq" and version, time (Unix ms, 8 bytes), length of
// the reason (2), reason, the record's envelope, CRC-32C over all of it.
func encodeQuarantined(o Quarantined) []byte {
	b := append([]byte{}, 'r', 'c', 'q', FormatVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Since.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(o.Reason)))
	b = append(b, o.Reason...)
	b = append(b, encodeEnvelope(&o.Item, 0)...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func readQuarantined(path string) (o Quarantined, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return o, err
	}
	if len(b) < 14 || string(b[:4]) != "rcq\x01" || !crcOK(b) {
		return o, damagedf("%s", path)
	}
	o.Since = time.UnixMilli(int64(binary.BigEndian.Uint64(b[4:]))).UTC()
	n := 14 + int(binary.BigEndian.Uint16(b[12:]))
	if n > len(b) {
		return o, damagedf("%s", path)
	}
	o.Reason = string(b[14:n])
	o.Item, _, _, err = decodeEnvelope(b[n : len(b)-4])
	return o, err
}
