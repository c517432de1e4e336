package buffer

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
)

// failingReader is a file whose reads fail when fail says so.
type failingReader struct {
	*os.File
	fail func(path string, off int64, n int) error
}

func (r failingReader) ReadAt(b []byte, off int64) (int, error) {
	if err := r.fail(r.Name(), off, len(b)); err != nil {
		return 0, &os.PathError{Op: "read", Path: r.Name(), Err: err}
	}
	return r.File.ReadAt(b, off)
}

// failReads has all reads of segments ask fail first.
func failReads(t testing.TB, fail func(path string, off int64, n int) error) {
	old := readerOf
	readerOf = func(f *os.File) io.ReaderAt { return failingReader{f, fail} }
	t.Cleanup(func() { readerOf = old })
}

func asides(dir string) []string {
	names, _ := filepath.Glob(filepath.Join(dir, "*.corrupt-*"))
	return names
}

func TestReadsThatFailNowAndThenAreNoDamage(t *testing.T) {
	errnos := []error{syscall.EIO, syscall.EINTR, syscall.EMFILE, syscall.ENOMEM, syscall.EACCES, errors.New("sharing violation")}
	dir := shmDir(t)
	all := damagedStore(t, dir)
	o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10}
	q := open(t, o)
	epoch := q.Epoch()
	crash(q) // the next start scans the newest segment
	var reads, failed atomic.Int64
	failReads(t, func(string, int64, int) error {
		if n := reads.Add(1); n%5 == 0 {
			failed.Add(1)
			return errnos[n/5%int64(len(errnos))]
		}
		return nil
	})
	synctest.Test(t, func(t *testing.T) {
		for i := range 10 {
			q := open(t, o)
			got := drain(t, q, false)
			if !reflect.DeepEqual(got, all) || q.Epoch() != epoch || len(q.Damage()) > 0 || len(asides(dir)) > 0 {
				t.Fatalf("start %d: %d of %d records, epoch %d after %d, damage %v, copies %v", i, len(got), len(all), q.Epoch(), epoch, q.Damage(), asides(dir))
			}
			for _, v := range q.Verify() {
				if v.Err != nil {
					t.Fatal(v.Err)
				}
			}
			crash(q)
		}
	})
	t.Logf("%d of %d reads failed", failed.Load(), reads.Load())
}

// TestReadsThatFailForSecondsChangeNothing: nothing can be read for a while, in a run and
// over a start.
func TestReadsThatFailForSecondsChangeNothing(t *testing.T) {
	dir := shmDir(t)
	all := damagedStore(t, dir)
	synctest.Test(t, func(t *testing.T) {
		o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10}
		until := time.Time{}
		failReads(t, func(string, int64, int) error {
			if time.Now().Before(until) {
				return syscall.EIO
			}
			return nil
		})
		q := open(t, o)
		epoch := q.Epoch()
		until = time.Now().Add(12 * time.Second)
		for time.Now().Before(until) {
			if items, err := q.Peek(0, 1, 1); err == nil && time.Now().Before(until) {
				t.Fatalf("read %d records while no read works", len(items))
			}
			q.MakeRoom(time.Now(), 0)
			time.Sleep(100 * time.Millisecond)
		}
		crash(q)
		until = time.Now().Add(readPatience - maxOpenPause)
		q = open(t, o)
		if got := drain(t, q, false); len(got) != len(all) || q.Epoch() != epoch || len(q.Damage()) > 0 || len(asides(dir)) > 0 {
			t.Fatalf("%d of %d records, damage %v, copies %v", len(got), len(all), q.Damage(), asides(dir))
		}
		crash(q)
	})
}

func TestADiskThatCannotBeReadForMinutesTakesNoEpochAndNoCopy(t *testing.T) {
	dir := shmDir(t)
	all := damagedStore(t, dir)
	before := listing(t, dir)
	for _, which := range []string{"newest head", "all"} {
		synctest.Test(t, func(t *testing.T) {
			o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10}
			segs, _ := listSegments(dir)
			newest, broken := segs[len(segs)-1].path, true
			failReads(t, func(path string, off int64, n int) error {
				if broken && (which == "all" || path == newest && off < 2*pageSize) {
					return syscall.EIO
				}
				return nil
			})
			start := time.Now()
			if q, err := Open(o); err == nil || !errors.Is(err, syscall.EIO) {
				t.Fatalf("%s: open: %v, %v", which, q, err)
			}
			if d := time.Since(start); d < readPatience || d > 2*readPatience {
				t.Errorf("%s: gave up after %v", which, d)
			}
			if listing(t, dir) != before {
				t.Errorf("%s: the folder was changed", which)
			}
			broken = false
		})
	}
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10})
	if got := drain(t, q, false); len(got) != len(all) || len(q.Damage()) > 0 {
		t.Errorf("%d of %d records afterwards, damage %v", len(got), len(all), q.Damage())
	}
}

func TestABrokenNewestStateWithAPageThatCannotBeReadIsLeftAlone(t *testing.T) {
	dir := shmDir(t)
	damagedStore(t, dir)
	segs, _ := listSegments(dir)
	newest := segs[len(segs)-1].path
	b, _ := os.ReadFile(newest)
	clear(b[:2*pageSize])
	os.WriteFile(newest, b, 0o600)
	before := listing(t, dir)
	synctest.Test(t, func(t *testing.T) {
		failReads(t, func(path string, off int64, n int) error {
			if path == newest && off+int64(n) > 4*pageSize {
				return syscall.EIO
			}
			return nil
		})
		if _, err := Open(Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10}); !errors.Is(err, syscall.EIO) {
			t.Errorf("open: %v", err)
		}
	})
	if listing(t, dir) != before {
		t.Error("the folder was changed")
	}
}

func TestAPageThatCannotBeReadForMinutesIsGivenUpAndTheRestSalvaged(t *testing.T) {
	for _, when := range []string{"in a run", "at the start"} {
		t.Run(when, func(t *testing.T) {
			dir := shmDir(t)
			all := damagedStore(t, dir)
			synctest.Test(t, func(t *testing.T) {
				segs, _ := listSegments(dir)
				c := newClock()
				o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now}
				bad, broken := int64(8*pageSize), when == "at the start"
				if broken {
					h, _, _, err := readHead(segs[1].path)
					if err != nil || h.next == 0 {
						t.Fatal(err)
					}
					bad = rootPage(t, segs[1].path)
				}
				failReads(t, func(path string, off int64, n int) error {
					if broken && path == segs[1].path && off < bad+pageSize && off+int64(n) > bad {
						return syscall.EIO
					}
					return nil
				})
				q := open(t, o)
				if !broken {
					broken = true
					bad = rootPage(t, segs[1].path)
					for range readFailures {
						if _, err := q.Peek(segs[1].first-1, 1, 1); err == nil || len(q.Damage()) > 0 {
							t.Fatalf("before the patience is over: %v, %v", err, q.Damage())
						}
					}
					c.add(readPatience)
				}
				got := drain(t, q, false)
				mustBeAmong(t, got, all)
				if d := q.Damage(); len(d) != 1 || d[0].Reset || d[0].Lost != uint64(len(all)-len(got)) || len(asides(dir)) != 1 {
					t.Fatalf("%d of %d records, damage %+v", len(got), len(all), d)
				}
				crash(q)
			})
		})
	}
}

// rootPage is where the root of a file's tree is.
func rootPage(t *testing.T, path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, _, err := checkMeta(f)
	if err != nil {
		t.Fatal(err)
	}
	return int64(root) * pageSize
}

// TestAFaultOfTheDeviceIsNoDamage has real memory faults: the file is cut while bbolt
// has it mapped, and whole again when it is read.
func TestAFaultOfTheDeviceIsNoDamage(t *testing.T) {
	dir := shmDir(t)
	damagedStore(t, dir)
	segs, _ := listSegments(dir)
	path := segs[0].path
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range []error{nil, syscall.EIO} { // what the reads say afterwards, for a while
		faults, most, fails := 0, 1, 0
		if device != nil {
			most, fails = 2, readTries
		}
		put := func() {
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		failReads(t, func(string, int64, int) error {
			if faults > 0 && fails > 0 {
				if fails--; fails == 0 {
					put()
				}
				return device
			}
			if faults > 0 {
				put()
			}
			return nil
		})
		n := 0
		err = viewSegment(path, all, func(tx *bbolt.Tx) error {
			if faults < most {
				faults++
				if err := os.Truncate(path, 2*pageSize); err != nil {
					t.Fatal(err)
				}
			}
			items, err := readRecords(tx, *segs[0], 1, segs[0].last, 1000, 1<<30)
			n = len(items)
			return err
		})
		if err != nil || uint64(n) != segs[0].last {
			t.Errorf("after a fault, reads then fail with %v: %d records, %v", device, n, err)
		}
	}
	// A file that stays cut is damage.
	err = viewSegment(path, all, func(tx *bbolt.Tx) error {
		os.Truncate(path, 2*pageSize)
		_, err := readRecords(tx, *segs[0], 1, segs[0].last, 1000, 1<<30)
		return err
	})
	if !errors.Is(err, errDamaged) {
		t.Errorf("a file that was cut: %v", err)
	}
}

func TestAFolderThatIsGoneIsNoDamage(t *testing.T) {
	c, dir := newClock(), filepath.Join(shmDir(t), "store")
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now})
	fill(t, q, c, "a", 1, 300, 800)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Skipf("SKIPPED: NOBODY WATCHES WHETHER A FOLDER THAT IS GONE IS TAKEN FOR DAMAGE: this system renames no folder with open files: %v", err)
	}
	os.Mkdir(dir, 0o700)
	if _, err := q.Peek(0, 10, 1<<20); err == nil || len(q.Damage()) > 0 {
		t.Fatalf("peek: %v, damage %v", err, q.Damage())
	}
	if err := errors.Join(os.Remove(dir), os.Rename(dir+"-away", dir)); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, q, false); len(got) != 300 || len(q.Damage()) > 0 {
		t.Errorf("%d of 300 records, damage %v", len(got), q.Damage())
	}
}

// TestAPlaceThatFailsWhileTheRestReadsIsNoDamage: a salvage would find every record, and
// is not made.
func TestAPlaceThatFailsWhileTheRestReadsIsNoDamage(t *testing.T) {
	dir := shmDir(t)
	all := damagedStore(t, dir)
	broken := false
	failReads(t, func(_ string, off int64, n int) error {
		if broken && off == 0 && n == 2*pageSize {
			return syscall.EIO
		}
		return nil
	})
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10})
	broken = true
	if _, err := q.Peek(0, 1, 1); !errors.Is(err, errUnreadable) {
		t.Errorf("peek: %v", err)
	}
	broken = false
	if got := drain(t, q, false); len(got) != len(all) || len(q.Damage()) > 0 || len(asides(dir)) > 0 {
		t.Errorf("%d of %d records, damage %v, copies %v", len(got), len(all), q.Damage(), asides(dir))
	}
}

func TestAScanOfWhatCannotBeReadEnds(t *testing.T) {
	dir := shmDir(t)
	damagedStore(t, dir)
	segs, _ := listSegments(dir)
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		failReads(t, func(_ string, off int64, n int) error {
			if reads++; reads > 1000 {
				t.Fatal("it does not end")
			}
			if off+int64(n) > 4*pageSize {
				return syscall.EIO
			}
			return nil
		})
		found, err := scanFile(segs[0].path, 1, segs[0].last, true)
		if !errors.Is(err, errUnreadable) || found.pages != 4 {
			t.Errorf("%d pages, %v", found.pages, err)
		}
	})
}
