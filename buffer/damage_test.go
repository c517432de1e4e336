package buffer

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// damages are the ways in which a file is broken.
var damages = []struct {
	name string
	do   func(b []byte, rnd *rand.Rand) []byte
}{
	{"one bit", func(b []byte, rnd *rand.Rand) []byte {
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		return b
	}},
	{"zeroed page", func(b []byte, rnd *rand.Rand) []byte {
		at := rnd.IntN(len(b)/pageSize) * pageSize
		clear(b[at : at+pageSize])
		return b
	}},
	{"damaged page header", func(b []byte, rnd *rand.Rand) []byte {
		at := rnd.IntN(len(b)/pageSize) * pageSize
		for i := range 16 {
			b[at+i] = byte(rnd.Uint32())
		}
		return b
	}},
	{"garbage", func(b []byte, rnd *rand.Rand) []byte {
		at, n := rnd.IntN(len(b)), rnd.IntN(20000)
		for i := at; i < min(at+n, len(b)); i++ {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}},
	{"cut", func(b []byte, rnd *rand.Rand) []byte { return b[:rnd.IntN(len(b))] }},
	{"page in a wrong place", func(b []byte, rnd *rand.Rand) []byte {
		from, to := rnd.IntN(len(b)/pageSize)*pageSize, rnd.IntN(len(b)/pageSize)*pageSize
		copy(b[to:to+pageSize], b[from:from+pageSize])
		return b
	}},
	{"empty", func([]byte, *rand.Rand) []byte { return nil }},
}

// damagedStore makes a store of several segments with known records.
func damagedStore(t testing.TB, dir string) []Item {
	c := newClock()
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now})
	for i := uint64(1); i <= 250; i++ {
		r := []Record{rec("a", i, c.t, 300), rec("b", i, c.t, int(i%7)*900)}
		if err := q.Append(Batch{Records: r, State: map[string][]byte{"n": []byte(fmt.Sprint(i))}}); err != nil {
			t.Fatal(err)
		}
	}
	items := drain(t, q, false)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	return items
}

func copyStore(t testing.TB, from, to string) (segs []string) {
	t.Helper()
	os.MkdirAll(to, 0o700)
	old, _ := filepath.Glob(filepath.Join(to, "*"))
	for _, name := range old { // one by one: it works under wine too, and shows a handle that was left open
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	names, _ := filepath.Glob(filepath.Join(from, "*"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".db") {
			segs = append(segs, filepath.Join(to, filepath.Base(name)))
		}
	}
	return segs
}

func TestDamageNeverGivesAWrongRecordAndTheCountsAreExact(t *testing.T) {
	n, rnd, root := count("BUFFER_DAMAGES", 70), rand.New(rand.NewPCG(5, 6)), shmDir(t)
	good := filepath.Join(root, "good")
	all := damagedStore(t, good)
	unnoticed, salvaged, resets := 0, 0, 0
	for i := range n {
		d := damages[i%len(damages)]
		dir := filepath.Join(root, "bad")
		segs := copyStore(t, good, dir)
		path := segs[rnd.IntN(len(segs))]
		b, _ := os.ReadFile(path)
		if err := os.WriteFile(path, d.do(b, rnd), 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10}
		q, err := Open(o)
		if err != nil {
			t.Fatalf("damage %d (%s) of %s: %v", i, d.name, path, err)
		}
		got := drain(t, q, false)
		mustBeAmong(t, got, all)
		if len(q.Damage()) == 0 {
			unnoticed++
			if len(got) != len(all) {
				t.Fatalf("damage %d (%s) of %s: %d of %d records without a word", i, d.name, path, len(got), len(all))
			}
		}
		for _, dm := range q.Damage() {
			salvaged++
			checkDamage(t, dm, dir, all, got)
			if dm.Reset {
				resets++
			}
		}
		if err := q.Append(Batch{Records: []Record{rec("a", 1, time.Now(), 10)}, Damage: q.Damage()}); err != nil {
			t.Fatalf("append after damage: %v", err)
		}
		crash(q)
		again := open(t, o)
		if len(again.Damage()) > 0 {
			t.Fatalf("damage %d (%s) is found again at the next start: %+v", i, d.name, again.Damage())
		}
		if n := len(drain(t, again, false)); n != len(got)+1 {
			t.Fatalf("damage %d (%s): %d records at the next start, want %d", i, d.name, n, len(got)+1)
		}
		crash(again)
	}
	t.Logf("%d damages: %d without effect, %d segments salvaged, %d resets", n, unnoticed, salvaged, resets)
}

// checkDamage compares a report with what is really there.
func checkDamage(t *testing.T, d Damage, dir string, all, got []Item) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, d.KeptAs)); err != nil || d.KeptAs == "" {
		t.Fatalf("the broken file is not kept: %v", err)
	}
	if d.Reset { // the end of the newest segment is not known any more
		return
	}
	if missing := uint64(len(all) - len(got)); d.Lost != missing {
		t.Fatalf("report says %d lost, really %d: %+v", d.Lost, missing, d)
	}
	named := uint64(0)
	for _, g := range d.Gaps {
		named += g.Count
	}
	if named > d.Lost {
		t.Fatalf("%d numbers in gaps, %d records lost: %+v", named, d.Lost, d)
	}
}

func TestDamageFoundWhileRunningIsSalvagedAndTheQueueGoesOn(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, Now: c.now})
	fill(t, q, c, "a", 1, 300, 800)
	s, _ := q.segmentAt(80)
	path := s.path
	b, _ := os.ReadFile(path)
	b = []byte(strings.ReplaceAll(string(b), "a#80 ", "a#88 ")) // also in pages in disuse
	os.WriteFile(path, b, 0o600)
	got := drain(t, q, false)
	if len(got) != 299 || len(q.Damage()) != 1 || q.Damage()[0].Reset {
		t.Fatalf("%d records, damage %+v", len(got), q.Damage())
	}
	d := q.Damage()[0]
	if d.Lost != uint64(300-len(got)) || len(d.Gaps) != 1 || d.Gaps[0] != (Gap{"a", 80, 80, 1, ReasonDamaged}) {
		t.Fatalf("damage: %+v", d)
	}
	fill(t, q, c, "a", 301, 1, 10)
}

func TestDamagedNewestStateGivesANewEpochAndAnEmptyState(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 20, 100)
	epoch, path := q.Epoch(), q.segs[0].path
	q.Close()
	b, _ := os.ReadFile(path)
	clear(b[:2*pageSize])
	os.WriteFile(path, b, 0o600)
	q = open(t, o)
	d := q.Damage()
	if len(d) != 1 || !d[0].Reset || q.Epoch() <= epoch || len(q.State()) != 0 {
		t.Fatalf("damage %+v, epoch %d after %d, state %v", d, q.Epoch(), epoch, q.State())
	}
	if n := len(drain(t, q, false)); n != 20 {
		t.Fatalf("%d records salvaged, want 20", n)
	}
	fill(t, q, c, "a", 1, 1, 100)
}

func TestTroubleThatIsNoDamageIsNotTakenForIt(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("running as root: the permission part is skipped")
	}
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 5, 100)
	path := q.segs[0].path
	q.Close()
	os.Chmod(path, 0)
	if os.Geteuid() != 0 {
		if _, err := Open(o); !errors.Is(err, fs.ErrPermission) {
			t.Fatalf("open without permission: %v", err)
		}
	}
	os.Chmod(path, 0o600)
	if _, err := Open(Options{Dir: path}); err == nil || errors.Is(err, errDamaged) {
		t.Fatalf("open of a file as a folder: %v", err)
	}
	q = open(t, o)
	if len(q.Damage()) != 0 || len(drain(t, q, false)) != 5 {
		t.Fatalf("the store was changed: %+v", q.Damage())
	}
}

func TestNewerFormatIsRefusedAndLeftUntouched(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, Now: c.now})
	fill(t, q, c, "a", 1, 5, 100)
	path := q.segs[0].path
	q.Close()
	h, _, _, err := readHead(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := h.encode()
	newer[3]++
	newer = sealed(newer[:len(newer)-crcSize])
	b, _ := os.ReadFile(path)
	b = []byte(strings.ReplaceAll(string(b), string(h.encode()), string(newer)))
	os.WriteFile(path, b, 0o600)
	before := listing(t, dir)
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrNewer) {
		t.Fatalf("open: %v, want ErrNewer", err)
	}
	if _, err := InfoDir(dir); !errors.Is(err, ErrNewer) {
		t.Fatalf("InfoDir: %v, want ErrNewer", err)
	}
	if after := listing(t, dir); after != before {
		t.Fatalf("the folder changed from\n%s to\n%s", before, after)
	}
}

func TestVerifyNamesTheBrokenSegment(t *testing.T) {
	dir := shmDir(t)
	damagedStore(t, dir)
	segs, _ := listSegments(dir)
	b, _ := os.ReadFile(segs[2].path)
	b[len(b)-100] ^= 1
	os.WriteFile(segs[2].path, b[:len(b)-pageSize], 0o600)
	before := listing(t, dir)
	var told []int64
	verdicts, err := VerifyDir(dir, func(done, total int64) {
		if done >= total || len(told) > 0 && done <= told[len(told)-1] {
			t.Errorf("%d of %d bytes are checked, after %d", done, total, told)
		}
		told = append(told, done)
	})
	if len(told) != len(segs) {
		t.Errorf("progress was told %d times for %d segments", len(told), len(segs))
	}
	if err != nil || len(verdicts) != len(segs) {
		t.Fatalf("%d verdicts of %d segments, %v", len(verdicts), len(segs), err)
	}
	for i, v := range verdicts {
		if (v.Err != nil) != (i == 2) {
			t.Errorf("segment %s: %v", v.Segment, v.Err)
		}
	}
	if after := listing(t, dir); after != before {
		t.Fatal("verify changed the folder")
	}
}

func TestDamageInTheSegmentThatIsWrittenEndsIt(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, Now: c.now})
	fill(t, q, c, "a", 1, 20, 800)
	path := q.segs[0].path
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.ReplaceAll(string(b), "a#7 ", "a#X ")) // also in pages in disuse
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		if n, d := len(drain(t, q, false)), q.Damage(); n != int(19+i) || len(d) != 1 || d[0].Lost != 1 || d[0].Reset {
			t.Fatalf("%d records, damage %+v", n, d)
		}
		fill(t, q, c, "a", 21+i, 1, 800)
	}
	if n := q.Info().Segments; n != 2 {
		t.Errorf("%d segments, want the salvaged one and a new one", n)
	}
}

func TestSegmentMissingInTheMiddleIsReportedAtStart(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
	q := open(t, o)
	fill(t, q, c, "a", 1, 100, 1000)
	gone := q.segs[2]
	lost := gone.last - gone.first + 1
	crash(q)
	if err := os.Remove(gone.path); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, segName(gone.first)+".tmp") // and one that was not finished
	os.WriteFile(left, []byte("half"), 0o600)
	q = open(t, o)
	d := q.Damage()
	if n := len(drain(t, q, false)); len(d) != 1 || d[0].Lost != lost || uint64(n) != 100-lost {
		t.Errorf("%d records, damage %+v, want %d lost", n, d, lost)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the unfinished file is still there: %v", err)
	}
}
