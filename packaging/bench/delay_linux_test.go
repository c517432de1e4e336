package main

import (
	"testing"
	"time"
)

// BenchmarkDelay measures the time from the endpoint's answer with the values of a
// call until the sample reaches a subscriber, stored with fsync in between:
// the real agent, the simulated endpoint polled every 100 ms, a real mosquitto,
// loopback. Every iteration is a sample:
//
//	go test -run '^$' -bench Delay -benchtime 300x ./packaging/bench
//
// all_topics is a subscriber to everything from the agent. By default mosquitto uses
// Nagle's algorithm (set_tcp_nodelay false), so a message that closely follows another
// may wait for the subscriber's TCP acknowledgement; nodelay is the same with that
// setting on.
func BenchmarkDelay(b *testing.B) {
	for _, way := range []struct{ name, filter, setting string }{
		{"samples", "roomcall/v1/+/+/sample", "set_tcp_nodelay false"},
		{"all_topics", "roomcall/v1/#", "set_tcp_nodelay false"},
		{"all_topics_nodelay", "roomcall/v1/#", "set_tcp_nodelay true"},
	} {
		b.Run(way.name, func(b *testing.B) { benchDelay(b, way.filter, way.setting) })
	}
}

func benchDelay(b *testing.B, filter, setting string) {
	sim, broker := newRooms(b, 1), mosquitto(b, setting)
	arrivals := make(chan arrival, 1024)
	subscribe(b, broker, filter, func(a arrival) {
		select {
		case arrivals <- a:
		default: // measured long enough
		}
	})
	a := newAgent(b, broker, "", sim.devices("100ms")...)
	a.start(b)
	seen := map[time.Time]bool{}
	var delays []time.Duration
	for len(delays) < b.N {
		got := nextArrival(b, a, arrivals)
		if seen[got.stamp] { // the same poll on the state topic
			continue
		}
		seen[got.stamp] = true
		if at, ok := sim.answer(got.device, got.stamp); ok {
			delays = append(delays, got.at.Sub(at))
		}
	}
	reportDelays(b, delays)
}

func nextArrival(b *testing.B, a *agent, arrivals <-chan arrival) arrival {
	b.Helper()
	select {
	case got := <-arrivals:
		return got
	case <-a.done:
		a.fail(b, "the agent ended")
	case <-time.After(patience):
		a.fail(b, "no sample arrived")
	}
	return arrival{}
}

func reportDelays(b *testing.B, delays []time.Duration) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(delays, 0.5), "median-ms")
	b.ReportMetric(quantile(delays, 0.99), "p99-ms")
	b.ReportMetric(quantile(delays, 1), "max-ms")
}
