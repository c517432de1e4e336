package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is also the child process of some tests.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "-child-append":
			os.Exit(childAppend(os.Args[2]))
		case "-child-write":
			os.Exit(writeForever(os.Args[2]))
		}
	}
	goleak.VerifyTestMain(m)
}

// childAppend is the child that TestOrderSeenFromOutside observes; Linux only.
var childAppend func(dir string) int

// child is the command line of this test binary in a child's role.
func child(t testing.TB, role string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, role}
}

// clock is a handed-in clock.
type clock struct{ t time.Time }

func newClock() *clock               { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time      { return c.t }
func (c *clock) add(d time.Duration) { c.t = c.t.Add(d) }

func rec(lane string, num uint64, at time.Time, size int) Record {
	p := make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(num), byte(num >> 8), byte(num >> 16)})
	random.Read(p) // packing does not make it shorter
	copy(p, fmt.Sprintf("%s#%d ", lane, num))
	return Record{Lane: lane, Num: num, Time: at.Truncate(time.Millisecond), Fresh: 2 * time.Second, Payload: p}
}

func open(t testing.TB, o Options) *Queue {
	t.Helper()
	q, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// fill appends n records of one lane, one batch each.
func fill(t testing.TB, q *Queue, c *clock, lane string, from, n uint64, size int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		b := Batch{Records: []Record{rec(lane, i, c.t, size)}, State: map[string][]byte{lane: []byte(fmt.Sprint(i))}}
		if err := q.Append(b); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
}

// drain reads everything that waits and acknowledges it when ack is true.
func drain(t testing.TB, q *Queue, ack bool) []Item {
	t.Helper()
	var out []Item
	after := uint64(0)
	for {
		items, err := q.Peek(after, 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 {
			return out
		}
		out = append(out, items...)
		after = items[len(items)-1].Pos
		if ack {
			if err := q.Ack(after); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// crash lets go of the folder as a killed process would.
func crash(q *Queue) {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	if w := q.w; w != nil {
		q.setWriter(nil)
		w.db.Close()
	}
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.lock.Close()
}

func wantRecord(t testing.TB, got Item, want Record) {
	t.Helper()
	if got.Lane != want.Lane || got.Num != want.Num || !got.Time.Equal(want.Time) || got.Fresh != want.Fresh || !bytes.Equal(got.Payload, want.Payload) {
		t.Fatalf("got %s#%d at %v with %d bytes, want %s#%d at %v with %d bytes",
			got.Lane, got.Num, got.Time, len(got.Payload), want.Lane, want.Num, want.Time, len(want.Payload))
	}
}

func TestRecordsComeBackInOrderAcrossSegments(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 16 << 20, SegmentBytes: 64 << 10, Now: c.now})
	fill(t, q, c, "room/sample", 1, 800, 400)
	if n := q.Info().Segments; n < 5 {
		t.Fatalf("%d segments, expected several", n)
	}
	items := drain(t, q, true)
	if len(items) != 800 {
		t.Fatalf("%d records, want 800", len(items))
	}
	for i, it := range items {
		wantRecord(t, it, rec("room/sample", uint64(i)+1, c.t, 400))
		if it.Pos != uint64(i)+1 {
			t.Fatalf("record %d is at position %d", i, it.Pos)
		}
	}
	if in := q.Info(); in.Waiting != 0 {
		t.Fatalf("%d wait after everything was acknowledged", in.Waiting)
	}
}

// A state without a byte is one, through a restart and in the segment that follows a kill.
func TestAnEmptyStateIsKept(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, Now: c.now})
	if err := q.Append(Batch{State: map[string][]byte{"empty": {}}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		crash(q)
		q = open(t, Options{Dir: dir, Now: c.now})
		fill(t, q, c, "a", 1, 1, 10)
		if b, there := q.State()["empty"]; !there || b == nil || len(b) > 0 {
			t.Fatalf("there is %v: %v", there, b)
		}
	}
}

func TestAcceptedRecordsAndStateSurviveAKill(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, MaxBytes: 16 << 20, SegmentBytes: 64 << 10, Now: c.now}
	q := open(t, o)
	epoch := q.Epoch()
	next := uint64(1)
	for round := range 5 {
		fill(t, q, c, "a", next, 150, 200)
		next += 150
		crash(q)
		q = open(t, o)
		if got := string(q.State()["a"]); got != fmt.Sprint(next-1) {
			t.Fatalf("round %d: state is %q, want %d", round, got, next-1)
		}
		if q.Epoch() != epoch {
			t.Fatalf("epoch changed from %d to %d", epoch, q.Epoch())
		}
		items := drain(t, q, false)
		if uint64(len(items)) != next-1 {
			t.Fatalf("round %d: %d records, want %d", round, len(items), next-1)
		}
	}
}

func TestCleanStopKeepsTheCursorAndGoesOnInTheSameSegment(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now, KeepDelivered: time.Hour}
	q := open(t, o)
	fill(t, q, c, "a", 1, 10, 50)
	if err := q.Ack(7); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = open(t, o)
	items := drain(t, q, false)
	if len(items) != 3 || items[0].Pos != 8 {
		t.Fatalf("%d records wait after the restart, want 3 from position 8", len(items))
	}
	fill(t, q, c, "a", 11, 1, 50)
	if n := q.Info().Segments; n != 1 {
		t.Fatalf("%d segments after a clean restart, want 1", n)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := shmDir(t)
	open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
	if err := ScanDir(dir, func(Item, bool) error { return nil }); !errors.Is(err, ErrLocked) {
		t.Fatalf("offline scan: %v, want ErrLocked", err)
	}
}

func TestOfflineReadingSeesTheStoreAndChangesNothing(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, MaxBytes: 1 << 20, Now: c.now, KeepDelivered: time.Hour})
	fill(t, q, c, "a", 1, 300, 500)
	q.Ack(100)
	want := q.Info()
	q.Close()
	before := listing(t, dir)
	in, err := InfoDir(dir)
	if err != nil || in.Waiting != 200 || in.Epoch != want.Epoch || !in.Oldest.Equal(want.Oldest) {
		t.Fatalf("InfoDir = %+v, %v; online it was %+v", in, err, want)
	}
	n, delivered := 0, 0
	err = ScanDir(dir, func(it Item, d bool) error {
		n++
		if d {
			delivered++
		}
		return nil
	})
	if err != nil || n-delivered != 200 {
		t.Fatalf("ScanDir: %d records, %d delivered, %v", n, delivered, err)
	}
	if after := listing(t, dir); after != before {
		t.Fatalf("reading changed the folder from %s to %s", before, after)
	}
	if _, err := InfoDir(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("InfoDir of nothing: %v", err)
	}
}

func listing(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := ""
	for _, e := range entries {
		st, _ := e.Info()
		s += fmt.Sprintf("%s %d %v\n", e.Name(), st.Size(), st.ModTime())
	}
	return s
}

func TestChangedSignalsAfterAnAppend(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), Now: c.now})
	fill(t, q, c, "a", 1, 3, 10)
	select {
	case <-q.Changed():
	default:
		t.Fatal("no signal after an append")
	}
	select {
	case <-q.Changed():
		t.Fatal("a second signal for the same appends")
	default:
	}
}

func TestStateLargerThanASegmentDoesNotMakeASegmentOfEachAppend(t *testing.T) {
	c := newClock()
	q := open(t, Options{Dir: shmDir(t), MaxBytes: 4 << 20, SegmentBytes: 64 << 10, Now: c.now})
	state := map[string][]byte{}
	for i := range 100 {
		state[fmt.Sprint("room-", i)] = make([]byte, 2000)
	}
	if err := q.Append(Batch{State: state}); err != nil {
		t.Fatal(err)
	}
	fill(t, q, c, "room-1", 1, 50, 100)
	if n := q.Info().Segments; n > 5 {
		t.Errorf("%d segments for 50 small records", n)
	}
}
