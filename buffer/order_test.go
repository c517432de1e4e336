package buffer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"roomcall/durable/durabletest"
)

// watched puts a Disk under a store: what the store does to files goes through it,
// and what bbolt writes is recorded too. bbolt flushes between the pages of a
// commit and its meta page, and after that, unless NoSync is set; that it really
// does so is what TestOrderSeenFromOutside sees.
func watched(t testing.TB, o *Options) *durabletest.Disk {
	t.Helper()
	d := durabletest.NewDisk(t, o.Dir)
	o.fs = d
	o.opened = func(db *bbolt.DB) {
		path := db.Path()
		if d.Appeared(path) { // Open has written the first pages and flushed them
			b, _ := os.ReadFile(path)
			d.Wrote(path, 0, b)
			d.Flushed(path)
		}
		hook := writeHook(t, db)
		real := *hook
		*hook = func(b []byte, off int64) (int, error) {
			meta := off < 2*pageSize
			if meta && !db.NoSync {
				d.Flushed(path)
			}
			if err := d.Wrote(path, off, b); err != nil {
				return 0, err
			}
			n, err := real(b, off)
			if err == nil && meta && !db.NoSync {
				d.Flushed(path)
			}
			return n, err
		}
	}
	return d
}

// happened is the log of a Disk in short: bbolt's meta pages told from other
// pages, repeated steps once.
func happened(d *durabletest.Disk, from int) (out []string) {
	for _, line := range d.Log(from) {
		word, rest, _ := strings.Cut(line, " ")
		name, at, _ := strings.Cut(rest, " ")
		if word == "write" && strings.HasPrefix(name, "seg-") {
			line = "pages " + name
			if at == "0+4096" || at == "4096+4096" {
				line = "meta " + name
			}
		} else if word == "write" {
			line = "write " + name
		}
		if len(out) == 0 || out[len(out)-1] != line {
			out = append(out, line)
		}
	}
	return out
}

// commitSteps is what a commit does to a segment.
func commitSteps(seg string) []string {
	return []string{"pages " + seg, "sync " + seg, "meta " + seg, "sync " + seg}
}

// wroteSteps is what writing a small file does.
func wroteSteps(name string) []string {
	return []string{"create " + name + ".tmp", "write " + name + ".tmp", "sync " + name + ".tmp", "rename " + name + ".tmp " + name, "syncdir ."}
}

func TestOrderOnDiskOfEveryOperation(t *testing.T) {
	c, dir := newClock(), filepath.Join(shmDir(t), "store")
	o := Options{Dir: dir, SegmentBytes: 64 << 10, KeepDelivered: time.Hour, Now: c.now}
	d := watched(t, &o)
	seg := segName(1)
	from := 0
	check := func(name string, want ...[]string) {
		t.Helper()
		if got := happened(d, from); !slices.Equal(got, slices.Concat(want...)) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, strings.Join(got, "\n"), strings.Join(slices.Concat(want...), "\n"))
		}
		d.Accepted(name)
		from = d.Steps()
	}
	published := func(seg string) []string {
		return []string{"sync " + seg + ".tmp", "rename " + seg + ".tmp " + seg, "syncdir ."}
	}
	created := func(seg string) []string {
		tmp := seg + ".tmp"
		made := slices.Concat([]string{"create " + tmp, "pages " + tmp, "sync " + tmp}, commitSteps(tmp))
		return slices.Concat(made, []string{"truncate " + tmp, "meta " + tmp, "pages " + tmp}, published(seg))
	}

	q := open(t, o)
	check("new store", []string{"mkdir .", "syncdir .."}, created(seg))
	fill(t, q, c, "a", 1, 1, 100)
	check("first commit: the room is flushed before it begins", []string{"pages " + seg, "sync " + seg}, commitSteps(seg))
	fill(t, q, c, "a", 2, 1, 100)
	check("commit", commitSteps(seg))
	if err := q.Quarantine(2, "refused"); err != nil {
		t.Fatal(err)
	}
	aside := filepath.Base(q.quarantinePath(2))
	check("quarantine", wroteSteps(aside))
	if err := q.Requeue(2); err != nil {
		t.Fatal(err)
	}
	check("requeue: removed when it is in the queue again", commitSteps(seg), []string{"remove " + aside})
	q.Ack(2)
	q.Close()
	check("clean stop", commitSteps(seg), wroteSteps(cleanName))

	q = open(t, o)
	check("start after a clean stop: the mark is gone before anything is written", []string{"remove " + cleanName, "syncdir ."})
	fill(t, q, c, "a", 4, 1, 100)
	check("its first commit", commitSteps(seg))
	crash(q)
	q = open(t, o)
	check("start after a kill: what the killed process left is flushed before it counts",
		[]string{"sync " + seg, "syncdir .", "truncate " + seg})
	fill(t, q, c, "a", 5, 1, 100)
	second := segName(5)
	check("its first commit is in a new segment", created(second), []string{"pages " + second, "sync " + second}, commitSteps(second))

	b := damage(t, d, filepath.Join(dir, seg))
	from = d.Steps()
	if n := len(drain(t, q, false)); n == 3 {
		q.Scan(func(Item, bool) error { return nil })
	}
	if len(q.Damage()) != 1 || q.Damage()[0].Lost != 0 || len(b) == 0 {
		t.Fatalf("damage: %+v", q.Damage())
	}
	tmp := seg + ".tmp"
	check("swap of a repaired segment: the report is on disk before the new one has the name", slices.Concat(
		[]string{"create " + tmp, "pages " + tmp, "sync " + tmp}, commitSteps(tmp), commitSteps(tmp),
		[]string{"link " + seg + " " + q.Damage()[0].KeptAs}, wroteSteps(reportPrefix+seg+reportEnd), published(seg), wroteSteps(reportPrefix+seg+reportEnd))) // the second time with the names of what is lost
	if err := q.Append(Batch{Damage: q.Damage()}); err != nil {
		t.Fatal(err)
	}
	check("the report goes after the commit that announces it", commitSteps(second), []string{"remove " + reportPrefix + seg + reportEnd})

	q.Ack(4)
	if !q.dropOldestDelivered() {
		t.Fatal("nothing was dropped")
	}
	mark := markPrefix + "0000000000000004"
	check("delivered segment dropped before a commit: its name is flushed before its bytes go",
		[]string{"rename " + seg + " " + mark, "syncdir .", "truncate " + mark})
	fill(t, q, c, "a", 6, 1, 100)
	check("the mark goes after the commit that has the cursor", commitSteps(second), []string{"remove " + mark})
}

// damage makes the meta pages of a segment unreadable, through the disk, and
// returns what the file was.
func damage(t testing.TB, d *durabletest.Disk, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.OpenWrite(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 2*pageSize), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	return b
}

// Where links are unknown the broken file is copied: the copy is whole on disk
// before its original goes.
func TestBrokenFileIsCopiedWholeWhereLinksAreUnknown(t *testing.T) {
	c, dir := newClock(), shmDir(t)
	o := Options{Dir: dir, SegmentBytes: 64 << 10, Now: c.now}
	d := watched(t, &o)
	d.Fail = func(step string) error {
		if strings.HasPrefix(step, "link ") {
			return os.ErrInvalid
		}
		return nil
	}
	q := open(t, o)
	fill(t, q, c, "a", 1, 100, 1000)
	b := damage(t, d, q.segs[0].path)
	from := d.Steps()
	q.Scan(func(Item, bool) error { return nil })
	if len(q.Damage()) != 1 {
		t.Fatalf("damage: %+v", q.Damage())
	}
	clear(b[:2*pageSize])
	if got, err := os.ReadFile(filepath.Join(dir, q.Damage()[0].KeptAs)); err != nil || string(got) != string(b) {
		t.Fatalf("the copy has %d bytes of %d, %v", len(got), len(b), err)
	}
	steps := happened(d, from)
	named := slices.Index(steps, "rename "+q.Damage()[0].KeptAs+".tmp "+q.Damage()[0].KeptAs)
	if named < 2 || steps[named-1] != "sync "+q.Damage()[0].KeptAs+".tmp" || steps[named+1] != "syncdir ." {
		t.Errorf("order:\n%s", strings.Join(steps, "\n"))
	}
}
