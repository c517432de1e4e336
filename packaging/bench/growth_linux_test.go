package main

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkGrowthEndpoints runs one agent with more and more endpoints in a call, up to
// 100 of them polled every second and 1,000 every 5 s, all kinds, with the status page
// in use. Every iteration is 5 s:
//
//	go test -run '^$' -bench GrowthEndpoints -benchtime 4x ./packaging/bench
func BenchmarkGrowthEndpoints(b *testing.B) {
	for _, n := range grownEndpoints {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			interval := "1s"
			if n > 100 {
				interval = "5s"
			}
			sim, broker := newRooms(b, n), mosquitto(b)
			a := newAgent(b, broker, "", sim.devices(interval)...)
			a.start(b)
			page := a.watched(b)
			sleep(b, a, 10*time.Second) // the first poll of each endpoint is made at once, not on its tick
			polls, used, disk := a.polls(b), a.cpu(b), a.io(b, "write_bytes")
			stop := a.peak("VmRSS")
			sleep(b, a, time.Duration(b.N)*5*time.Second)
			made := float64(a.polls(b) - polls)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64((a.cpu(b)-used).Microseconds())/made, "us/poll")
			b.ReportMetric((a.io(b, "write_bytes")-disk)/made, "disk-B/poll")
			b.ReportMetric(stop(), "rss-MiB")
			b.ReportMetric(quantile(page(), 0.5), "page-ms")
		})
	}
}

// watched reads the status page every 3 s, as a browser does, until stop, which returns
// how long each answer took.
func (a *agent) watched(tb testing.TB) (stop func() []time.Duration) {
	var took []time.Duration
	var wg sync.WaitGroup
	end := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(3 * time.Second)
		defer tick.Stop()
		for {
			for _, path := range []string{"/", "/?device=" + roomName(0), "/api/v1/history?device=" + roomName(0)} {
				began := time.Now()
				answer, err := http.Get("http://" + a.http + path)
				if err != nil {
					continue // an agent that ended is noticed elsewhere
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				if path == "/" {
					took = append(took, time.Since(began))
				}
			}
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	})
	stop = sync.OnceValue(func() []time.Duration {
		close(end)
		wg.Wait()
		return took
	})
	tb.Cleanup(func() { stop() })
	return stop
}

// BenchmarkGrowthRecords drains longer and longer backlogs to a real mosquitto, one a
// run:
//
//	go test -run '^$' -bench GrowthRecords -benchtime 1x ./packaging/bench
func BenchmarkGrowthRecords(b *testing.B) {
	for _, n := range grownRecords {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchGrowthRecords(b, n) })
	}
}

// BenchmarkGrowthLong is the same with 10,000,000 records: several minutes, and 10 GB on
// the disk have to be free.
func BenchmarkGrowthLong(b *testing.B) { benchGrowthRecords(b, longestBacklog) }

// recordRoom is more than a record of 1.5 kB needs on the disk, packed with others.
const recordRoom = 1000

func benchGrowthRecords(b *testing.B, n int) {
	a := newAgent(b, mosquitto(b), `max_bytes = "64GiB"`, noRoom(b))
	var disk syscall.Statfs_t
	if err := syscall.Statfs(a.dir, &disk); err != nil {
		b.Fatal(err)
	}
	if need, free := int64(n)*recordRoom, int64(disk.Bavail)*disk.Bsize; need > free {
		b.Fatalf("NOT RUN: %d records need %d GB on the disk of %s, and %d are free", n, need/1e9, a.dir, free/1e9)
	}
	fill(b, a.data(), n)
	size := folderSize(b, a.data())
	began := time.Now()
	a.start(b)
	opened := time.Since(began)
	stop := a.peak("RssAnon")
	took := a.drained(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took.Microseconds())/float64(n), "us/record")
	b.ReportMetric(stop(), "anon-MiB")
	b.ReportMetric(float64(size)/float64(n), "disk-B/record")
	b.ReportMetric(float64(opened.Milliseconds()), "open-ms")
}

func folderSize(b *testing.B, dir string) (sum int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}
