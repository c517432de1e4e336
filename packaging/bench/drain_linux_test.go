package main

import (
	_ "embed"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/buffer"
)

// sample is a payload that the agent made in a call.
//
//go:embed testdata/sample.json
var sample []byte

const (
	window = 100 // the agent's default max_inflight
	commit = 1000
	farWay = 50 * time.Millisecond // each way
)

// BenchmarkDrain measures how fast a backlog is sent to a real mosquitto: by the real
// agent from its store, and by a bare publisher with the same MQTT library and window
// from memory. Every iteration is a record:
//
//	go test -run '^$' -bench 'Drain$' -benchtime 100000x ./packaging/bench
func BenchmarkDrain(b *testing.B) {
	b.Run("agent", func(b *testing.B) { benchAgentDrain(b, mosquitto(b)) })
	b.Run("bare_paho", func(b *testing.B) { benchBareDrain(b, mosquitto(b)) })
}

// BenchmarkDrainFar is the same at a round trip of 100 ms.
func BenchmarkDrainFar(b *testing.B) {
	b.Run("agent", func(b *testing.B) { benchAgentDrain(b, far(b, mosquitto(b), farWay)) })
	b.Run("bare_paho", func(b *testing.B) { benchBareDrain(b, far(b, mosquitto(b), farWay)) })
}

// noRoom is an endpoint that does not answer: no new records appear while the backlog
// drains.
func noRoom(b *testing.B) device {
	return device{roomName(0), "http://" + freeAddr(b), "1h"}
}

func benchAgentDrain(b *testing.B, broker string) {
	a := newAgent(b, broker, `max_bytes = "64GiB"`, noRoom(b))
	fill(b, a.data(), b.N)
	a.start(b)
	stop := a.peak("RssAnon")
	took := a.drained(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/took.Seconds(), "msg/s")
	b.ReportMetric(stop(), "anon-MiB")
}

// varied returns samples that differ in each digit of their numbers, so that packing does
// not find one record in the other.
func varied(n int) (list [][]byte) {
	rnd, number := rand.New(rand.NewPCG(1, 2)), regexp.MustCompile(`":[0-9.]+`)
	for range n {
		list = append(list, number.ReplaceAllFunc(sample, func(number []byte) []byte {
			out := []byte(`":`)
			for _, c := range number[2:] {
				if c != '.' {
					c = '1' + byte(rnd.IntN(9))
				}
				out = append(out, c)
			}
			return out
		}))
	}
	return list
}

// fill makes a store with n waiting samples.
func fill(b *testing.B, dir string, n int) {
	b.Helper()
	q, err := buffer.Open(buffer.Options{Dir: dir, MaxBytes: 64 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	made, samples := time.Now().Add(-time.Hour), varied(256)
	for num := 0; num < n; {
		var batch buffer.Batch
		for range min(commit, n-num) {
			num++
			batch.Records = append(batch.Records, buffer.Record{
				Lane: "past/sample", Num: uint64(num), Time: made, Fresh: 2 * time.Second, Payload: samples[num%len(samples)],
			})
		}
		if err := q.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
}

// drained waits until nothing waits in the store and returns the time from the
// connection to the last acknowledgement.
func (a *agent) drained(b *testing.B) time.Duration {
	b.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if s := a.mustStatus(b); s.Buffer.Waiting == 0 {
			return s.Broker.LastAck.Sub(s.Broker.Since)
		}
		select {
		case <-tick.C:
		case <-a.done:
			a.fail(b, "the agent ended")
		}
	}
}

func benchBareDrain(b *testing.B, broker string) {
	o := mqtt.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("bare").SetAutoReconnect(false).SetWriteTimeout(time.Second)
	c := mqtt.NewClient(o)
	settle(b, c.Connect())
	defer c.Disconnect(250)
	flight := make(chan mqtt.Token, window)
	b.ResetTimer()
	for range b.N {
		if len(flight) == window {
			settle(b, <-flight)
		}
		flight <- c.Publish("bench/sample", 1, false, sample)
	}
	for len(flight) > 0 {
		settle(b, <-flight)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
