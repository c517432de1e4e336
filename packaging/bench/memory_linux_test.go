package main

import (
	"testing"
	"time"
)

// BenchmarkMemory runs the real agent with one endpoint in a call, polled every
// second, and then reads its resident memory and its CPU time. Every iteration
// is a second:
//
//	go test -run '^$' -bench Memory -benchtime 60x ./packaging/bench
func BenchmarkMemory(b *testing.B) {
	sim, broker := newRooms(b, 1), mosquitto(b)
	a := newAgent(b, broker, "", sim.devices("1s")...)
	a.start(b)
	before, began := a.cpu(b), time.Now()
	sleep(b, a, time.Duration(b.N)*time.Second)
	used, took := a.cpu(b)-before, time.Since(began)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(a.mustMemory(b, "VmRSS"), "rss-MiB")
	b.ReportMetric(a.mustMemory(b, "RssAnon"), "anon-MiB")
	b.ReportMetric(used.Seconds()*float64(time.Hour)/float64(took), "cpu-s/h")
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
