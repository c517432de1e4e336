package buffer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// goldenDir is where the store of a format is. Once written it never changes.
func goldenDir(format int) string { return fmt.Sprintf("testdata/format-%d", format) }

// goldenRecords is what the golden store holds.
func goldenRecords() (out []Record) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)
	for i := uint64(1); i <= 150; i++ {
		out = append(out, Record{Lane: "room-1/sample", Num: i, Time: at.Add(time.Duration(i) * time.Second), Fresh: 10 * time.Second, Payload: bytes.Repeat([]byte{byte(i)}, int(i*5))})
	}
	return out
}

// writeGolden makes the golden store of FormatVersion.
func writeGolden(t *testing.T, to string) {
	c, dir := newClock(), shmDir(t)
	q := open(t, Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 64 << 10, KeepDelivered: 24 * time.Hour, Now: c.now})
	for _, r := range goldenRecords() {
		b := Batch{Records: []Record{r}, State: map[string][]byte{"room-1": []byte("state"), "agent": {byte(r.Num)}}}
		if err := q.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	q.Ack(20)
	if err := q.Quarantine(21, "poison"); err != nil {
		t.Fatal(err)
	}
	q.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		b, _ := os.ReadFile(name)
		var z bytes.Buffer
		w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
		w.Write(b)
		w.Close()
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)+".gz"), z.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoresOfEveryFormatAreReadAndWrittenOn: each released format stays readable. The
// golden store of a format is written with BUFFER_GOLDEN=write when it is released, once;
// until then there is one for the time of the test.
func TestStoresOfEveryFormatAreReadAndWrittenOn(t *testing.T) {
	if os.Getenv("BUFFER_GOLDEN") == "write" {
		to := goldenDir(FormatVersion)
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatalf("a golden store is written once: %v", err)
		}
		writeGolden(t, to)
	}
	for format := 1; format <= FormatVersion; format++ {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			dir := goldenDir(format)
			if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) && format == FormatVersion {
				dir = t.TempDir()
				writeGolden(t, dir)
			}
			readGolden(t, dir)
		})
	}
}

func readGolden(t *testing.T, from string) {
	names, _ := filepath.Glob(filepath.Join(from, "*.gz"))
	if len(names) < 4 {
		t.Fatalf("golden store has %d files", len(names))
	}
	dir := shmDir(t)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(filepath.Base(name), ".gz")), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := newClock()
	o := Options{Dir: dir, MaxBytes: 8 << 20, SegmentBytes: 1 << 20, KeepDelivered: 24 * time.Hour, Now: c.now}
	q := open(t, o)
	if Began(q.Epoch()).Unix() != 1772366400 || string(q.State()["room-1"]) != "state" || q.State()["agent"][0] != 150 || len(q.Damage()) > 0 {
		t.Fatalf("epoch %d, state %v, damage %+v", q.Epoch(), q.State(), q.Damage())
	}
	want := goldenRecords()
	items := drain(t, q, false)
	if len(items) != 129 {
		t.Fatalf("%d records wait, want 129", len(items))
	}
	for i, it := range items {
		wantRecord(t, it, want[i+21])
	}
	if list, err := q.Quarantined(); err != nil || len(list) != 1 || list[0].Num != 21 || list[0].Reason != "poison" {
		t.Fatalf("quarantine: %+v, %v", list, err)
	}
	fill(t, q, c, "room-1/sample", 151, 1, 10)
	if got := drain(t, q, false); len(got) != 130 {
		t.Fatalf("%d records after one more, want 130", len(got))
	}
	q.Close()
	q = open(t, o)
	if got := drain(t, q, false); len(got) != 130 || string(q.State()["room-1"]) != "state" || q.State()["agent"][0] != 150 || len(q.Damage()) > 0 {
		t.Fatalf("after a restart %d records, state %v, damage %+v", len(got), q.State(), q.Damage())
	}
}
