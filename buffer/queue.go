package buffer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"roomcall/durable"
)

// Options say where the store is and how much it may hold.
type Options struct {
	Dir           string        // the store's folder; created when missing, nothing else belongs in it
	MaxBytes      int64         // bound of the store on disk, bytes; 0 = 256 MiB, at least 512 KiB
	MaxAge        time.Duration // records older than this are evicted; 0 = no limit
	KeepDelivered time.Duration // how long delivered records stay for replay
	SegmentBytes  int64         // size of a segment beside its copy of the state; 0 = 8 MiB, always at most MaxBytes/8
	// VerifyCommand is the command line that runs VerifyMain in a child process;
	// the file's name is appended. Empty: no child process.
	VerifyCommand []string
	Now           func() time.Time // nil = time.Now
	Logger        *slog.Logger     // nil = silent

	fs     durable.FS      // nil = the file system of this machine; tests have their own
	opened func(*bbolt.DB) // tests watch here what bbolt writes past fs
}

const (
	defaultMaxBytes     = 256 << 20
	minMaxBytes         = 512 << 10
	defaultSegmentBytes = 8 << 20
	minSegmentBytes     = 64 << 10
)

// withDefaults fills in what is left out. The size of a segment is a power of
// two, because Windows grows files in powers of two.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("open store: no folder given")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxBytes < minMaxBytes {
		return o, fmt.Errorf("open store: %d bytes are too few, at least %d are needed", o.MaxBytes, minMaxBytes)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	limit := min(max(o.SegmentBytes, minSegmentBytes), o.MaxBytes/8, 1<<30)
	o.SegmentBytes = minSegmentBytes
	for o.SegmentBytes*2 <= limit {
		o.SegmentBytes *= 2
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.fs == nil {
		o.fs = durable.OS
	}
	if o.opened == nil {
		o.opened = func(*bbolt.DB) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return o, nil
}

// Queue is an open store. Its methods are safe for concurrent use. Append and Peek
// wait for each other only while one of them touches the list of segments.
type Queue struct {
	o    Options
	lock *os.File

	// The mutexes are taken in this order: wmu, rmu, mu.
	wmu sync.Mutex // one writer: append, rotation, removal of files, close
	w   *writer    // nil: the next append starts a new segment

	rmu sync.Mutex // the open segment of Peek
	r   *reader

	mu        sync.Mutex // everything below, held for moments only
	db        *bbolt.DB  // w's handle, for readers
	segs      []*segment // oldest first; the last one may be w's
	head      head       // as of the last commit, but cursor is the newest
	saved     uint64     // cursor as of the last commit
	savedAt   time.Time
	ackAgain  time.Time // Ack persists the cursor again from then on
	delivered uint64    // what a mark said at Open, see readMark
	marked    bool      // segments were dropped that only a mark knows as delivered; under wmu
	state     map[string][]byte
	skip      map[uint64]bool  // quarantined positions that wait
	aside     map[uint64]int64 // quarantine: sizes of its files by position
	damage    []Damage
	reports   map[string]time.Time // reports on disk: Damage.At by segment; under wmu
	closed    bool
	clean     bool // the last stop was a Close, or the store is new

	clock   storeClock
	ageNext int64 // store clock at which the age limit is looked at next; under wmu
	changed chan struct{}
}

// segment is what the queue knows of a file without opening it.
type segment struct {
	path        string
	first, last uint64 // positions; last is first-1 when it has no record
	count       uint64
	bytes       uint64 // payload bytes
	file        int64  // bytes on disk
	used        int64  // of those in use, as found at Open; 0 = not known
	doneAt      time.Time
}

// Epoch is the Unix second of the store's creation. It is new when the store had
// to be reset, so that numbers given out after that are not taken for old ones.
func (q *Queue) Epoch() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.head.epoch
}

// Clean tells whether the store is new or was left by Close. After a kill or a
// power cut it is false.
func (q *Queue) Clean() bool { return q.clean }

// State returns a copy of the last committed state blobs.
func (q *Queue) State() map[string][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make(map[string][]byte, len(q.state))
	for k, v := range q.state {
		out[k] = append([]byte{}, v...)
	}
	return out
}

// Changed signals after an Append. Its capacity is one: a signal means one or more.
func (q *Queue) Changed() <-chan struct{} { return q.changed }

// Close persists the cursor, marks the stop as clean and frees the folder. A
// second Close does nothing.
func (q *Queue) Close() error {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	q.mu.Lock()
	was := q.closed
	q.closed = true
	q.mu.Unlock()
	if was {
		return nil
	}
	err := q.persistCursor()
	q.closeReader()
	clean := err == nil && q.w != nil
	if q.w != nil {
		w := q.w
		q.setWriter(nil)
		err = errors.Join(err, w.seal(true))
	}
	if clean {
		if err := durable.Write(q.o.fs, filepath.Join(q.o.Dir, cleanName), []byte(q.mark().String()), 0o600); err != nil {
			q.warn("mark the clean stop: the next start checks the store", err)
		}
	}
	if err = errors.Join(err, q.lock.Close()); err != nil {
		return fmt.Errorf("close store %s: %w", q.o.Dir, asFull(err))
	}
	return nil
}

// setWriter makes w the newest segment's writer, also for readers. Under wmu.
func (q *Queue) setWriter(w *writer) {
	q.w = w
	q.mu.Lock()
	defer q.mu.Unlock()
	q.db = nil
	if w != nil {
		q.db = w.db
	}
}

// writing returns the handle of a segment while it is being written.
func (q *Queue) writing(path string) *bbolt.DB {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.db == nil || q.segs[len(q.segs)-1].path != path {
		return nil
	}
	return q.db
}

func (q *Queue) closeReader() {
	q.rmu.Lock()
	defer q.rmu.Unlock()
	if q.r != nil {
		q.r.close()
		q.r = nil
	}
}

// mark names the newest segment and its last commit.
func (q *Queue) mark() cleanMark {
	return cleanMark{filepath.Base(q.segs[len(q.segs)-1].path), q.head.batch}
}

// done is the position up to which nothing waits any more. Call it under mu.
func (q *Queue) done() uint64 { return max(q.head.cursor, q.head.evicted) }

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// applyState merges the committed changes into the copy in memory. Under mu.
func (q *Queue) applyState(change map[string][]byte) {
	for k, v := range change {
		if v == nil {
			delete(q.state, k)
		} else {
			q.state[k] = append([]byte{}, v...)
		}
	}
}

// mergedState is the state as it will be after change. Under mu.
func (q *Queue) mergedState(change map[string][]byte) map[string][]byte {
	out := maps.Clone(q.state)
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// storeClock counts the milliseconds that the store has lived: monotonic time
// while a process runs, wall time between two runs. Ages are counted on it, so a
// wall clock that jumps makes no record old.
type storeClock struct {
	base  int64 // store clock at start, ms
	start time.Time
}

// maxStop is the longest stop that is believed; more means that the wall clock
// was set, for instance from 1970.
const maxStop = 400 * 24 * time.Hour

func newStoreClock(h head, now time.Time) storeClock {
	stop := time.Duration(now.UnixMilli()-h.wall) * time.Millisecond
	if h.wall == 0 || stop < 0 || stop > maxStop {
		stop = 0
	}
	return storeClock{base: h.clock + stop.Milliseconds(), start: now}
}

func (c storeClock) at(now time.Time) int64 {
	return c.base + max(now.Sub(c.start).Milliseconds(), 0)
}
