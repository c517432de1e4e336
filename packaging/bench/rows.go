package main

import "fmt"

// row is one line of a table.
type row struct {
	what    string
	keys    []string // the figures that it uses, see results
	text    func(v []float64) string
	aim     string
	met     func(v []float64) bool // nil: there is no aim
	command string                 // measures this figure alone
}

func within(limit float64) func([]float64) bool {
	return func(v []float64) bool { return v[0] <= limit }
}

// atMost: the first figure is at most this fraction of the second.
func atMost(part float64) func([]float64) bool {
	return func(v []float64) bool { return v[0] <= part*v[1] }
}

// atLeast: the first figure is at least this fraction of the second.
func atLeast(part float64) func([]float64) bool {
	return func(v []float64) bool { return v[0] >= part*v[1] }
}

func one(format string) func([]float64) string {
	return func(v []float64) string { return fmt.Sprintf(format, v[0]) }
}

// scaled shows the first figure times a factor.
func scaled(factor float64, format string) func([]float64) string {
	return func(v []float64) string { return fmt.Sprintf(format, v[0]*factor) }
}

// versus shows two figures, each times a factor, and the first as a fraction of the
// second.
func versus(factor float64, format string) func([]float64) string {
	return func(v []float64) string {
		return fmt.Sprintf(format, v[0]*factor, v[1]*factor) + fmt.Sprintf(" (%.2f)", v[0]/v[1])
	}
}

// perSecond converts two times in nanoseconds into rates.
func perSecond(format string) func([]float64) string {
	return func(v []float64) string {
		return fmt.Sprintf(format, 1e9/v[0], 1e9/v[1]) + fmt.Sprintf(" (%.2f)", v[1]/v[0])
	}
}

func pair(a, b, unit string) []string { return []string{a + " " + unit, b + " " + unit} }

const (
	decodeCommand  = "go test -run '^$' -bench Decode ./cgi"
	reportCommand  = "go test -run '^$' -bench Poll ./agent/report"
	bufferCommand  = "go test -run '^$' -bench 'Append|BareBbolt' ./buffer"
	openCommand    = "go test -run '^$' -bench OpenFull -benchtime 5x ./buffer"
	drainCommand   = "go test -run '^$' -bench 'Drain$' -benchtime 100000x ./packaging/bench"
	farCommand     = "go test -run '^$' -bench DrainFar -benchtime 10000x ./packaging/bench"
	sizeCommand    = "packaging/scripts/bench.sh sizes"
	memoryCommand  = "go test -run '^$' -bench Memory -benchtime 60x ./packaging/bench"
	delayCommand   = "go test -run '^$' -bench 'Delay$' -benchtime 300x ./packaging/bench"
	writtenCommand = "go test -run '^$' -bench Written -benchtime 20x ./packaging/bench"
	manyCommand    = "go test -run '^$' -bench DelayMany -benchtime 30x ./packaging/bench"
	fleetCommand   = "go test -run '^$' -bench Fleet -benchtime 24x ./packaging/bench"
	longCommand    = "go test -run '^$' -bench Backlog -benchtime 1000000x ./packaging/bench"

	mb = 1e-6 // bytes to MB
)

// tables are made of the results by the name of the run.
var tables = map[string]func(results) grid{
	"all": listed(allRows), "fleet": listed(fleetRows), "backlog": listed(backlogRows), "compare": compared, "buyers": forBuyers, "growth": grown,
}

var allRows = []row{
	{"decode the vendor's example reply, compared with two passes of encoding/json into structs", []string{"cgi Decode/compared median-ns/roomcall", "cgi Decode/compared median-ns/encoding_json"},
		versus(1e-3, "%.1f µs vs. %.1f µs"), "at most 1/2", atMost(0.5), decodeCommand},
	{"allocations of the same", pair("cgi Decode/roomcall", "cgi Decode/encoding_json_twice", "allocs/op"),
		versus(1, "%.0f vs. %.0f"), "at most 20", within(20), decodeCommand},
	{"report a poll in a call (sample, streams, grades, minute, call): time", []string{"report Poll/in-call ns/op"}, scaled(1e-3, "%.1f µs"), "", nil, reportCommand},
	{"allocations of the same", []string{"report Poll/in-call allocs/op"}, one("%.0f"), "", nil, reportCommand},
	{"report an idle poll: time", []string{"report Poll/idle ns/op"}, scaled(1e-3, "%.1f µs"), "", nil, reportCommand},
	{"commits with fsync a second, compared with bare bbolt with one put", pair("buffer Append/state=300", "buffer BareBbolt", "ns/op"),
		perSecond("%.0f/s vs. %.0f/s"), "", nil, bufferCommand},
	{"the same after a drained outage of 60,000 records", pair("buffer AppendOldStore", "buffer BareBbolt", "ns/op"),
		perSecond("%.0f/s vs. %.0f/s"), "", nil, bufferCommand},
	{"written to disk for one sample, new store, compared with bare bbolt", pair("buffer Append/state=300", "buffer BareBbolt", "disk-B/op"),
		versus(1e-3, "%.1f kB vs. %.1f kB"), "under 25 kB", within(25e3), bufferCommand},
	{"the same with a device state of 3,000 bytes", pair("buffer Append/state=3000", "buffer BareBbolt", "disk-B/op"),
		versus(1e-3, "%.1f kB vs. %.1f kB"), "under 25 kB", within(25e3), bufferCommand},
	{"the same after a drained outage of 60,000 records", pair("buffer AppendOldStore", "buffer BareBbolt", "disk-B/op"),
		versus(1e-3, "%.1f kB vs. %.1f kB"), "under 25 kB", within(25e3), bufferCommand},
	{"open a full store of 256 MiB after a clean stop", []string{"buffer OpenFull/clean=true ns/op"},
		scaled(1e-6, "%.0f ms"), "under 1 s", within(1e9), openCommand},
	{"open it after a kill", []string{"buffer OpenFull/clean=false ns/op"},
		scaled(1e-6, "%.0f ms"), "under 1 s", within(1e9), openCommand},
	{"drain 100,000 records to mosquitto, compared with a bare paho publisher with the same window", pair("bench Drain/agent", "bench Drain/bare_paho", "msg/s"),
		versus(1, "%.0f/s vs. %.0f/s"), "at least 0.9", atLeast(0.9), drainCommand},
	{"the same at a round trip of 100 ms, 10,000 records", pair("bench DrainFar/agent", "bench DrainFar/bare_paho", "msg/s"),
		versus(1, "%.0f/s vs. %.0f/s"), "at least 0.9", atLeast(0.9), farCommand},
	{"the agent's anonymous memory (RssAnon) in that drain, highest", []string{"bench Drain/agent anon-MiB"},
		one("%.1f MiB"), "", nil, drainCommand},
	{"stripped binary, linux/amd64", []string{"bench Binary/linux_amd64 bytes"}, scaled(mb, "%.2f MB"), "at most 14 MB", within(14e6), sizeCommand},
	{"stripped binary, windows/amd64", []string{"bench Binary/windows_amd64 bytes"}, scaled(mb, "%.2f MB"), "at most 14 MB", within(14e6), sizeCommand},
	{"resident memory (VmRSS), highest, page in use: one endpoint in a call at 1 s", []string{"bench Memory/rooms=1 rss-MiB"}, one("%.1f MiB"), "at most 16 MiB", within(16), memoryCommand},
	{"anonymous part of it (RssAnon); the rest are the program's file and the store's files", []string{"bench Memory/rooms=1 anon-MiB"}, one("%.1f MiB"), "", nil, memoryCommand},
	{"CPU time of the same", []string{"bench Memory/rooms=1 cpu-s/h"}, one("%.1f s an hour"), "", nil, memoryCommand},
	{"resident memory, highest, page in use: 50 endpoints at 1 s", []string{"bench Memory/rooms=50 rss-MiB"}, one("%.1f MiB"), "at most 22 MiB", within(22), memoryCommand},
	{"resident memory, highest, page in use: 500 endpoints at 5 s", []string{"bench Memory/rooms=500 rss-MiB"}, one("%.1f MiB"), "at most 60 MiB", within(60), memoryCommand},
	{"written to disk a poll by the agent, broker there: one endpoint, samples only", []string{"bench Written/rooms=1/samples disk-B/poll"}, scaled(1e-3, "%.1f kB"), "at most 20 kB", within(20e3), writtenCommand},
	{"the same, all kinds", []string{"bench Written/rooms=1/all disk-B/poll"}, scaled(1e-3, "%.1f kB"), "at most 24 kB", within(24e3), writtenCommand},
	{"50 endpoints at one tick, samples only", []string{"bench Written/rooms=50/samples disk-B/poll"}, scaled(1e-3, "%.1f kB"), "at most 6 kB", within(6e3), writtenCommand},
	{"the same, all kinds", []string{"bench Written/rooms=50/all disk-B/poll"}, scaled(1e-3, "%.1f kB"), "at most 6 kB", within(6e3), writtenCommand},
	{"one endpoint, six polls a commit (`commit_interval = \"30s\"` at a poll each 5 s), samples only", []string{"bench Written/collected/samples disk-B/poll"}, scaled(1e-3, "%.1f kB"), "at most 5 kB", within(5e3), writtenCommand},
	{"the same, all kinds", []string{"bench Written/collected/all disk-B/poll"}, scaled(1e-3, "%.1f kB"), "at most 5 kB", within(5e3), writtenCommand},
	{"delay with 50 endpoints at one tick, all kinds, set_tcp_nodelay: median", []string{"bench DelayMany median-ms"}, one("%.1f ms"), "at most 5 ms", within(5), manyCommand},
	{"99th percentile", []string{"bench DelayMany p99-ms"}, one("%.1f ms"), "at most 20 ms", within(20), manyCommand},
	{"the agent's CPU time a poll in it", []string{"bench DelayMany cpu-ms/poll"}, one("%.2f ms"), "", nil, manyCommand},
	{"delay from the endpoint's answer to the subscriber, stored with fsync: median", []string{"bench Delay/samples median-ms"}, one("%.1f ms"), "at most 3 ms", within(3), delayCommand},
	{"99th percentile", []string{"bench Delay/samples p99-ms"}, one("%.1f ms"), "at most 10 ms", within(10), delayCommand},
	{"the same for a subscriber of all topics: median, 99th percentile", []string{"bench Delay/all_topics median-ms", "bench Delay/all_topics p99-ms"},
		two("%.1f ms, %.1f ms"), "", nil, delayCommand},
	{"the same with set_tcp_nodelay true in mosquitto", []string{"bench Delay/all_topics_nodelay median-ms", "bench Delay/all_topics_nodelay p99-ms"},
		two("%.1f ms, %.1f ms"), "", nil, delayCommand},
}

func two(format string) func([]float64) string {
	return func(v []float64) string { return fmt.Sprintf(format, v[0], v[1]) }
}

var fleetRows = []row{
	{"polls a second", []string{"bench Fleet polls/s"}, one("%.0f/s"), "", nil, fleetCommand},
	{"CPU of the agent, fraction of one core", []string{"bench Fleet cpu-pct"}, one("%.1f %%"), "", nil, fleetCommand},
	{"anonymous memory (RssAnon), highest", []string{"bench Fleet anon-MiB"}, one("%.1f MiB"), "", nil, fleetCommand},
	{"lateness of polls: median", []string{"bench Fleet late-median-ms"}, one("%.1f ms"), "", nil, fleetCommand},
	{"99th percentile", []string{"bench Fleet late-p99-ms"}, one("%.1f ms"), "", nil, fleetCommand},
	{"highest", []string{"bench Fleet late-max-ms"}, one("%.1f ms"), "", nil, fleetCommand},
	{"polls that failed", []string{"bench Fleet failed"}, one("%.0f"), "none", within(0), fleetCommand},
	{"polls skipped because one was still running", []string{"bench Fleet skipped"}, one("%.0f"), "none", within(0), fleetCommand},
}

var backlogRows = []row{
	{"drain of 1,000,000 records to mosquitto while one endpoint is polled every second", []string{"bench Backlog msg/s"}, one("%.0f/s"), "", nil, longCommand},
	{"the agent's anonymous memory (RssAnon), highest", []string{"bench Backlog anon-MiB"}, scaled(1.048576, "%.1f MB"), "under 30 MB", func(v []float64) bool { return v[0]*1.048576 < 30 }, longCommand},
	{"delay of a new sample to its retained topic meanwhile: median", []string{"bench Backlog median-ms"}, one("%.1f ms"), "", nil, longCommand},
	{"highest", []string{"bench Backlog max-ms"}, one("%.1f ms"), "", nil, longCommand},
}
