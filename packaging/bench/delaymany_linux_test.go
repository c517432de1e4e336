package main

import (
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// BenchmarkDelayMany is the delay of samples with as many endpoints as ROOMS says, 50
// without it, all kinds, all polled at one tick, each second. Every iteration is a
// second:
//
//	ROOMS=50 go test -run '^$' -bench DelayMany -benchtime 60x ./packaging/bench
//
// cpu-ms/poll is the agent's.
func BenchmarkDelayMany(b *testing.B) {
	n := 50
	if v, err := strconv.Atoi(os.Getenv("ROOMS")); err == nil {
		n = v
	}
	sim, broker := newRooms(b, n), mosquitto(b, "set_tcp_nodelay true")
	var mu sync.Mutex
	var delays []time.Duration
	subscribe(b, broker, "roomcall/v1/+/+/sample", func(got arrival) {
		if at, ok := sim.answer(got.device, got.stamp); ok {
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, got.at.Sub(at))
		}
	})
	a := newAgent(b, broker, "", sim.devices("1s")...)
	a.start(b)
	sleep(b, a, 3*time.Second) // the first poll of each endpoint is made at once, not on its tick
	mu.Lock()
	delays = nil
	mu.Unlock()
	polls, used := a.polls(b), a.cpu(b)
	sleep(b, a, time.Duration(b.N)*time.Second)
	used = a.cpu(b) - used
	mu.Lock()
	defer mu.Unlock()
	reportDelays(b, delays)
	b.ReportMetric(float64(used)/float64(time.Millisecond)/float64(a.polls(b)-polls), "cpu-ms/poll")
}
