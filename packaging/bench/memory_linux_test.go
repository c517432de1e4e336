package main

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkMemory runs the real agent with endpoints in a call, all kinds, the status
// page in use, and reports its highest resident memory in the last third of the time.
// Every iteration is a second:
//
//	go test -run '^$' -bench Memory -benchtime 60x ./packaging/bench
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct {
		rooms    int
		interval string
	}{{1, "1s"}, {50, "1s"}, {500, "5s"}} {
		b.Run(fmt.Sprintf("rooms=%d", c.rooms), func(b *testing.B) {
			sim, broker := newRooms(b, c.rooms), mosquitto(b)
			a := newAgent(b, broker, "", sim.devices(c.interval)...)
			a.start(b)
			a.watched(b)
			before, began := a.cpu(b), time.Now()
			third := time.Duration(b.N) * time.Second / 3
			sleep(b, a, 2*third)
			rss, anon := a.peak("VmRSS"), a.peak("RssAnon")
			sleep(b, a, third)
			used, took := a.cpu(b)-before, time.Since(began)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(rss(), "rss-MiB")
			b.ReportMetric(anon(), "anon-MiB")
			b.ReportMetric(used.Seconds()*float64(time.Hour)/float64(took), "cpu-s/h")
		})
	}
}

// sleep lets measured time pass; the agent must not end meanwhile.
func sleep(b *testing.B, a *agent, d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-a.done:
		a.fail(b, "the agent ended")
	}
}
