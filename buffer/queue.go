package buffer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"roomcall/durable"
)

// Options say where the store is and how much it may hold.
type Options struct {
	Dir           string           // the store's folder; created when missing, nothing else belongs in it
	MaxBytes      int64            // bound of the store on disk, bytes; 0 = 256 MiB, at least 512 KiB
	MaxAge        time.Duration    // records older than this are evicted; 0 = no limit
	KeepDelivered time.Duration    // how long delivered records stay for replay
	SegmentBytes  int64            // size of a segment beside its copy of the state; 0 = 2 MiB, always at most MaxBytes/8
	Now           func() time.Time // nil = time.Now
	// Uptime is how long the machine has been up, sleep included, and the id of that
	// boot: what ages are counted on. nil, "" and 0 = not known; then the time between
	// two runs does not count, and a run's own time counts by Now.
	Uptime func() (boot string, up time.Duration)
	Logger *slog.Logger // nil = silent
	// Context ends the tries of an Open that cannot read the store; nil = never. What is
	// open does not depend on it.
	Context context.Context

	fs     durable.FS      // nil = the file system of this machine; tests have their own
	opened func(*bbolt.DB) // tests watch here what bbolt writes past fs
}

const (
	defaultMaxBytes     = 256 << 20
	minMaxBytes         = 512 << 10
	defaultSegmentBytes = 2 << 20
	minSegmentBytes     = 64 << 10
)

// withDefaults fills in what is left out. The size of a segment is a power of
// two, because Windows grows files in powers of two.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("open store: no folder is named")
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
	if o.Uptime == nil {
		o.Uptime = func() (string, time.Duration) { return "", 0 }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Context == nil {
		o.Context = context.Background()
	}
	if o.fs == nil {
		o.fs = durable.OS
	}
	if o.opened == nil {
		o.opened = func(*bbolt.DB) {}
	}
	return o, nil
}

// Queue is an open store. Its methods are safe for concurrent use. Append and Peek
// wait for each other only while one of them touches the list of segments.
//
// A function that its caller has to hold a mutex for says so: "Under wmu", "Under mu".
// All others lock what they need. What runs before Open returns needs neither.
type Queue struct {
	o        Options
	lock     *os.File
	giveUp   bool // Open's last try: what could not be read for minutes is given up
	borrowed bool // of a store opened for reading: the lock is held just now
	readOnly bool // opened for reading: nothing is written or repaired
	clean    bool // the last stop was a Close, or the store is new
	clock    storeClock
	before   Moment // see Before
	changed  chan struct{}

	// wmu guards what is written: one writer at a time appends, starts segments,
	// repairs, removes files, closes. It is locked before mu.
	wmu     sync.Mutex
	w       *writer              // nil: the next append starts a new segment
	reports map[string]time.Time // reports on disk: Damage.At by segment
	unnamed []*Damage            // damages whose losses are still to be named
	naming  bool                 // nameLosses is at it
	ageNext int64                // store clock at which the age limit is looked at next

	// mu guards what is in memory, everything below, and is held for moments only.
	// head and state change under both, so either is enough to read them.
	mu          sync.Mutex
	db          *bbolt.DB         // w's handle, for readers
	segs        []*segment        // oldest first; the last one may be w's; the list changes under both
	head        head              // as of the last commit
	state       map[string][]byte // the same
	progress    progress
	peeked      []peekedItem       // times of waiting records, the oldest first
	outOfQueue  map[uint64]bool    // positions above the cursor that are out of the queue: quarantined, whatever came after
	reportBytes int64              // size of the reports on disk
	copies      []brokenCopy       // broken segments that are kept, oldest first
	failing     map[string]failing // places that cannot be read, by path of the segment
	quarantined map[uint64]int64   // sizes of the files of the quarantine by position
	damage      []Damage
	unreadable  error // of a store opened for reading: the first segment that cannot be read
	closed      bool
}

// NewEpoch names a life of the store that begins now: its Unix second x 2^20, plus 20
// random bits, because clocks are wrong at boot and disks are copied. It is larger than
// any epoch up to after, and below 2^53, so that JSON readers keep it exact. (Stores made
// by version 0.1.0 have the Unix second alone.)
func NewEpoch(now time.Time, after int64) int64 {
	second := min(max(now.Unix(), 0), 1<<33-2)
	return max(second<<20|rand.Int64N(1<<20), after+1)
}

// Began is when the life that an epoch names began, by the clock of that time.
func Began(epoch int64) time.Time {
	if epoch < 1<<33 { // a store made by version 0.1.0
		return time.Unix(epoch, 0)
	}
	return time.Unix(epoch>>20, 0)
}

// Epoch names the life of the store, see NewEpoch. It is new when the store had to be
// reset, and when a batch brought a new one, so that numbers used after that are not
// mistaken for old ones.
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
		if k == livesKey {
			continue
		}
		out[k] = append([]byte{}, v...)
	}
	return out
}

// Changed signals after an Append. Its capacity is one: a signal means one or more.
func (q *Queue) Changed() <-chan struct{} { return q.changed }

// Close saves the cursor, marks the stop as clean and frees the folder. A second
// Close does nothing.
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
	if q.readOnly {
		return nil
	}
	err := q.saveCursor()
	if w := q.w; w != nil {
		q.setWriter(nil)
		closeErr := w.db.Close()
		if err = errors.Join(err, closeErr); err == nil {
			mark := cleanMark{filepath.Base(q.newest().path), q.head.batch}
			if err := durable.Write(q.o.fs, filepath.Join(q.o.Dir, cleanName), []byte(mark.String()), 0o600); err != nil {
				q.warn("mark the clean stop: the next start checks the store", err)
			}
		}
	}
	if err = errors.Join(err, q.lock.Close()); err != nil {
		return fmt.Errorf("close store %s: %w", q.o.Dir, asFull(err))
	}
	return nil
}

// busyPatience is how long the drain, which has more to do, waits for a commit that does
// not return because the disk hangs.
const busyPatience = time.Second

// lockWithin locks wmu, or gives up. A mutex has no lock with a bound, so it asks again
// and again.
func (q *Queue) lockWithin(patience time.Duration) bool {
	for until := time.Now().Add(patience); !q.wmu.TryLock(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			return false
		}
	}
	return true
}

func (q *Queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *Queue) warn(what string, err error) {
	q.o.Logger.Warn(what, "store", q.o.Dir, "error", err)
}
