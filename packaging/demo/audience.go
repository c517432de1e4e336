package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// audience is the subscriber: it prints what arrives and counts it.
type audience struct {
	say func(format string, args ...any)

	mu        sync.Mutex
	samples   map[uint64]bool // sequence numbers of samples that arrived
	records   int
	duplicate int
	replayed  int
	next      chan struct{} // closed by the next sample
}

func newAudience(say func(string, ...any)) *audience {
	return &audience{say: say, samples: map[uint64]bool{}, next: make(chan struct{})}
}

// message is what the subscriber reads from a payload.
type message struct {
	Seq      uint64   `json:"seq"`
	Device   string   `json:"device"`
	State    string   `json:"endpoint_state"`
	Grade    string   `json:"grade"`
	Type     string   `json:"type"`
	Text     string   `json:"text"`
	Rate     *float64 `json:"video_recv_bitrate_kbps"`
	Loss     *float64 `json:"video_recv_loss_pct"`
	Delay    *float64 `json:"video_recv_delay_ms"`
	Replayed int      `json:"replayed"`
}

func (a *audience) arrived(topic string, payload []byte) {
	kind := topic[strings.LastIndex(topic, "/")+1:]
	switch kind {
	case "availability":
		a.say("%-12s %s", kind, payload)
		return
	case "sample", "event":
	default:
		a.count()
		return
	}
	var m message
	if err := json.Unmarshal(payload, &m); err != nil {
		a.say("%s: payload is not JSON: %v", topic, err)
		return
	}
	a.count()
	if kind == "event" {
		a.say("%-12s %s %s", kind, m.Type, m.Text)
		return
	}
	a.sample(m)
}

func (a *audience) count() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records++
}

func (a *audience) sample(m message) {
	state := m.State
	if state == "" {
		state = "unclear" // the endpoint's statements contradict each other, for example while dialling
	}
	a.say("%-12s %s seq %d %s%s", "sample", m.Device, m.Seq, state, m.numbers())
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.samples[m.Seq] {
		a.duplicate++
	}
	a.samples[m.Seq] = true
	a.replayed += m.Replayed
	close(a.next)
	a.next = make(chan struct{})
}

func (m message) numbers() string {
	var b strings.Builder
	put := func(name string, v *float64, unit string) {
		if v != nil {
			fmt.Fprintf(&b, "  %s %g %s", name, *v, unit)
		}
	}
	if m.Grade != "" && m.Grade != "unknown" {
		b.WriteString("  " + m.Grade)
	}
	put("video", m.Rate, "kbit/s")
	put("loss", m.Loss, "%")
	put("delay", m.Delay, "ms")
	if m.Replayed == 1 {
		b.WriteString("  replayed")
	}
	return b.String()
}

// awaitNext waits for the next sample, at most d.
func (a *audience) awaitNext(d time.Duration) {
	a.mu.Lock()
	next := a.next
	a.mu.Unlock()
	select {
	case <-next:
	case <-time.After(d):
	}
}

// verdict compares the polls that the endpoint answered with the samples that arrived.
func (a *audience) verdict(polled int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	arrived, last := len(a.samples), uint64(0)
	for seq := range a.samples {
		last = max(last, seq)
	}
	a.say("polled %d, arrived %d, lost %d, replayed %d, duplicates %d", polled, arrived,
		max(polled, int(last))-arrived, a.replayed, a.duplicate)
	if polled != arrived || last != uint64(arrived) {
		return errors.New("polled and arrived differ")
	}
	a.say("polled = arrived, 0 lost")
	return nil
}
