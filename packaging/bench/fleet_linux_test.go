package main

import (
	"testing"
	"time"
)

const (
	fleetSize  = 1000
	fleetEvery = 5 * time.Second
)

// BenchmarkFleet runs one agent with 1,000 endpoints in a call, polled every
// 5 s. Every iteration is a round of polls:
//
//	go test -run '^$' -bench Fleet -benchtime 24x ./packaging/bench
//
// A poll's lateness is measured where its request arrives: how much later it came than
// a clock of 5 s that starts at the endpoint's earliest poll.
func BenchmarkFleet(b *testing.B) {
	sim, broker := newRooms(b, fleetSize), mosquitto(b)
	a := newAgent(b, broker, "", sim.devices(fleetEvery.String())...)
	a.start(b)
	sleep(b, a, 2*fleetEvery) // the first poll of each endpoint is made at once, not on its tick
	atFirst := losses(a.mustStatus(b))
	before, began := a.cpu(b), time.Now()
	stop := a.peak("RssAnon")
	sleep(b, a, time.Duration(b.N)*fleetEvery)
	used, took := a.cpu(b)-before, time.Since(began)
	late := sim.lateness(began)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100*float64(used)/float64(took), "cpu-pct")
	b.ReportMetric(stop(), "anon-MiB")
	b.ReportMetric(quantile(late, 0.5), "late-median-ms")
	b.ReportMetric(quantile(late, 0.99), "late-p99-ms")
	b.ReportMetric(quantile(late, 1), "late-max-ms")
	b.ReportMetric(float64(len(late))/took.Seconds(), "polls/s")
	end := losses(a.mustStatus(b))
	b.ReportMetric(float64(end.failed-atFirst.failed), "failed")
	b.ReportMetric(float64(end.skipped-atFirst.skipped), "skipped")
}

// lateness of every poll since then.
func (r *rooms) lateness(since time.Time) (all []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		var past []time.Duration // beyond the tick, against any clock of 5 s
		first := time.Duration(-1)
		for _, t := range one.asked {
			if t.Before(since) {
				continue
			}
			if first < 0 {
				first = t.Sub(since)
			}
			off := (t.Sub(since) - first + fleetEvery/2) % fleetEvery
			past = append(past, off)
		}
		all = append(all, aboveLowest(past)...)
	}
	return all
}

func aboveLowest(list []time.Duration) []time.Duration {
	low := time.Duration(1<<63 - 1)
	for _, d := range list {
		low = min(low, d)
	}
	for i := range list {
		list[i] -= low
	}
	return list
}

// lost is how many polls failed or were skipped since the agent's start.
type lost struct{ failed, skipped uint64 }

func losses(s status) (sum lost) {
	for _, e := range s.Endpoints {
		sum.failed, sum.skipped = sum.failed+e.Failures, sum.skipped+e.Skipped
	}
	return sum
}
