package buffer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// benchBatch is a poll of one device: a sample of 900 bytes and the state.
func benchBatch(n uint64, state int) Batch {
	return Batch{
		Records: []Record{rec("room-1/sample", n, time.Now(), 900)},
		State:   map[string][]byte{"room-1": make([]byte, state)},
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, state := range []int{300, 3000} {
		b.Run(fmt.Sprintf("state=%d", state), func(b *testing.B) {
			q := open(b, Options{Dir: b.TempDir()})
			n := uint64(0)
			before := writtenBytes(b)
			for b.Loop() {
				n++
				if err := q.Append(benchBatch(n, state)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(writtenBytes(b)-before)/float64(n), "disk-B/op")
		})
	}
}

// BenchmarkAppendOldStore is the same after a drained outage of many segments.
func BenchmarkAppendOldStore(b *testing.B) {
	q := open(b, Options{Dir: b.TempDir()})
	n := fillFast(b, q, 1, 60_000)
	if err := q.Ack(n); err != nil {
		b.Fatal(err)
	}
	before, from := writtenBytes(b), n
	for b.Loop() {
		n++
		if err := q.Append(benchBatch(n, 300)); err != nil {
			b.Fatal(err)
		}
		if err := q.Ack(n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(writtenBytes(b)-before)/float64(n-from), "disk-B/op")
}

// BenchmarkBareBbolt is one put a transaction into a plain bbolt file.
func BenchmarkBareBbolt(b *testing.B) {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "db"), 0o600, &bbolt.Options{PageSize: pageSize})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	n := uint64(0)
	payload := rec("room-1/sample", 1, time.Now(), 900).Payload
	before := writtenBytes(b)
	for b.Loop() {
		n++
		err := db.Update(func(tx *bbolt.Tx) error {
			bk, err := tx.CreateBucketIfNotExists([]byte("q"))
			if err != nil {
				return err
			}
			return bk.Put(posKey(n), payload)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(writtenBytes(b)-before)/float64(n), "disk-B/op")
}

// writtenBytes is what this process has sent to the disk so far (Linux).
func writtenBytes(b *testing.B) (n int64) {
	raw, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), "\nwrite_bytes: ")
	fmt.Sscan(rest, &n)
	return n
}

// fillFast appends records of about 250 bytes on disk, 1000 a commit.
func fillFast(b *testing.B, q *Queue, from, n uint64) uint64 {
	b.Helper()
	for i := from; i < from+n; {
		var batch Batch
		for range 1000 {
			batch.Records = append(batch.Records, rec("room-1/sample", i, time.Now(), 170))
			i++
		}
		if err := q.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	return from + n - 1
}

func BenchmarkPeek(b *testing.B) {
	for _, n := range []uint64{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			q := open(b, Options{Dir: b.TempDir(), MaxBytes: 1 << 30})
			fillFast(b, q, 1, n)
			after, records := uint64(0), 0
			for b.Loop() {
				items, err := q.Peek(after, 100, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				if records += len(items); len(items) == 0 {
					after = 0
					continue
				}
				after = items[len(items)-1].Pos
			}
			b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkOpenFull opens a store of 256 MiB, after a kill and after a clean stop.
func BenchmarkOpenFull(b *testing.B) {
	o := Options{Dir: b.TempDir(), MaxBytes: 256 << 20}
	q := open(b, o)
	for n := uint64(1); q.Info().DiskBytes < 250<<20; n += 1000 {
		fillFast(b, q, n, 1000)
	}
	for _, clean := range []bool{true, false} {
		b.Run(fmt.Sprintf("clean=%v", clean), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				if clean {
					q.Close()
				} else {
					crash(q)
				}
				b.StartTimer()
				q = open(b, o)
			}
		})
	}
	crash(q)
}
