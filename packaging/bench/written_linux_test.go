package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkWritten measures what the real agent writes for a poll of an endpoint in a
// call, while the broker accepts all records at once. Every iteration is a second:
//
//	go test -run '^$' -bench Written -benchtime 60x ./packaging/bench
//
// One endpoint is polled five times a second, because a segment that has only begun
// needs a page less for each commit; 50 are polled each second at one tick. collected
// has a commit for six polls, as commit_interval = "30s" with a poll every 5 s.
//
// disk-B/poll is what the page cache is made to write (write_bytes); write-B/poll what
// goes through write calls, with what is sent over the network (wchar).
func BenchmarkWritten(b *testing.B) {
	const collected, samples, all = "commit_interval = \"6s\"\n", "[publish]\nkinds = [\"sample\"]\n", ""
	for _, c := range []struct {
		name   string
		rooms  int
		every  string
		buffer string
	}{
		{"rooms=1/samples", 1, "200ms", samples},
		{"rooms=1/all", 1, "200ms", all},
		{"rooms=50/samples", 50, "1s", samples},
		{"rooms=50/all", 50, "1s", all},
		{"collected/samples", 1, "1s", collected + samples},
		{"collected/all", 1, "1s", collected + all},
	} {
		b.Run(c.name, func(b *testing.B) {
			sim, broker := newRooms(b, c.rooms), mosquitto(b)
			a := newAgent(b, broker, c.buffer, sim.devices(c.every)...)
			a.start(b)
			sleep(b, a, 7*time.Second) // the store has its first commits
			polls, disk, calls := a.polls(b), a.io(b, "write_bytes"), a.io(b, "wchar")
			sleep(b, a, time.Duration(b.N)*time.Second)
			n := float64(a.polls(b) - polls)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric((a.io(b, "write_bytes")-disk)/n, "disk-B/poll")
			b.ReportMetric((a.io(b, "wchar")-calls)/n, "write-B/poll")
		})
	}
}

// polls is how many polls the agent has made.
func (a *agent) polls(b *testing.B) (n uint64) {
	for _, e := range a.mustStatus(b).Endpoints {
		n += e.Polls
	}
	return n
}

// io reads a count of /proc/PID/io, see proc(5).
func (p *process) io(tb testing.TB, key string) (n float64) {
	tb.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.cmd.Process.Pid))
	if err != nil {
		p.fail(tb, "read the process: %v", err)
	}
	_, rest, _ := strings.Cut("\n"+string(raw), "\n"+key+":")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		p.fail(tb, "no %s in /proc: %v", key, err)
	}
	return n
}
