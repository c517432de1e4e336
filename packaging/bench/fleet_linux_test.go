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
// A poll's lateness is taken where its request arrives: how much later it came
// than a clock of 5 s that goes through the endpoint's earliest poll.
func BenchmarkFleet(b *testing.B) {
	sim, broker := newRooms(b, fleetSize), mosquitto(b)
	a := newAgent(b, broker, "", sim.devices(fleetEvery.String())...)
	a.start(b)
	sleep(b, a, 2*fleetEvery) // the first poll of each comes at once, not on its tick
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
	reportLosses(b, a)
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

func reportLosses(b *testing.B, a *agent) {
	var failed, skipped uint64
	s := a.mustStatus(b)
	for _, e := range s.Endpoints {
		failed, skipped = failed+e.Failures, skipped+e.Skipped
	}
	b.ReportMetric(float64(failed), "failed")
	b.ReportMetric(float64(skipped), "skipped")
	b.ReportMetric(float64(s.Buffer.Waiting), "waiting")
}
