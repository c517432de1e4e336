package main

import (
	"sync"
	"testing"
	"time"
)

// BenchmarkBacklog drains a long backlog while an endpoint in a call is polled
// every second. Every iteration is a record:
//
//	go test -run '^$' -bench Backlog -benchtime 1000000x ./packaging/bench
//
// It reports the agent's memory and how long a new sample takes to reach the retained
// state topic, which does not wait behind the backlog.
func BenchmarkBacklog(b *testing.B) {
	sim, broker := newRooms(b, 1), mosquitto(b)
	var mu sync.Mutex
	var delays []time.Duration
	subscribe(b, broker, "roomcall/v1/+/+/state", func(got arrival) {
		if at, ok := sim.answer(got.device, got.stamp); ok {
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, got.at.Sub(at))
		}
	})
	a := newAgent(b, broker, `max_bytes = "64GiB"`, sim.devices("1s")...)
	fill(b, a.data(), b.N)
	a.start(b)
	stop := a.peak("RssAnon")
	took := a.drained(b)
	mu.Lock()
	defer mu.Unlock()
	reportDelays(b, delays)
	b.ReportMetric(stop(), "anon-MiB")
	b.ReportMetric(float64(b.N)/took.Seconds(), "msg/s")
}
