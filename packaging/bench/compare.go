package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// column is a program in the table of the comparison.
type column struct{ name, head string }

// sameWithin is how far a ratio may be from 1 and still be equal: each row is one run.
const sameWithin = 0.05

// columns are the floor, the agent's two, and the others.
var columns = []column{
	{"floor", "floor"},
	{"samples", "roomcall, samples only"},
	{"roomcall", "roomcall"},
	{"telegraf-minimal", "Telegraf, minimal"},
	{"telegraf-full", "Telegraf, full"},
	{"node-red", "Node-RED"},
}

// contest is a row of the comparison: less is better, or more.
type contest struct {
	what   string
	key    string // of the figure, with %s for the program
	format string
	factor float64
	more   bool
	ours   string // the program of ours that is compared with the others
	as     string // ours are measured with this behind their names
	why    string // shown where ours is behind
	losses bool   // key is the beginning of the keys of a tally
}

const (
	twoRequests = "it makes two requests a poll (the endpoint's state too), grades each reply and keeps a minute and a call"
	storedFirst = "before it publishes, it asks for the endpoint's state too and commits with fsync; Node-RED publishes first and writes within a second"
	wholePages  = "each poll is a transaction of bbolt, which writes whole pages; Telegraf appends to a log, and Node-RED writes once a second, mostly an empty queue"
	emptyQueue  = "Node-RED writes once a second, mostly an empty queue; what it has read since is only in memory"
	twoMessages = "the network is in it, and it makes two requests a poll and publishes the retained state too"
	perEndpoint = "for each endpoint it holds a session, the state of the call and the newest readings; for Telegraf an endpoint is a URL"
	atLeastOnce = "up to `max_inflight` records that were under way are sent again; each has an `id` by which a consumer drops it"
)

var contests = []contest{
	{what: "program on disk", key: "bench CompareSize/%s bytes", format: "%.1f MB", factor: mb, ours: "roomcall"},
	{what: "memory (VmRSS), 1 endpoint", key: "bench CompareSteady/1/%s rss-MiB", format: "%.1f MiB", ours: "roomcall"},
	{what: "of it anonymous (RssAnon); the rest are pages of files", key: "bench CompareSteady/1/%s anon-MiB", format: "%.1f MiB", ours: "roomcall", why: perEndpoint},
	{what: "memory, 50 endpoints", key: "bench CompareSteady/50/%s rss-MiB", format: "%.1f MiB", ours: "roomcall", why: perEndpoint},
	{what: "of it anonymous (RssAnon); the rest are pages of files", key: "bench CompareSteady/50/%s anon-MiB", format: "%.1f MiB", ours: "roomcall", why: perEndpoint},
	{what: "memory, 500 endpoints", key: "bench CompareSteady/500/%s rss-MiB", format: "%.1f MiB", ours: "roomcall", why: perEndpoint},
	{what: "of it anonymous (RssAnon); the rest are pages of files", key: "bench CompareSteady/500/%s anon-MiB", format: "%.1f MiB", ours: "roomcall", why: perEndpoint},
	{what: "CPU time for 1,000 polls, 1 endpoint", key: "bench CompareSteady/1/%s cpu-s/1000", format: "%.2f s", ours: "samples", why: twoRequests},
	{what: "CPU time for 1,000 polls, 50 endpoints", key: "bench CompareSteady/50/%s cpu-s/1000", format: "%.2f s", ours: "samples", why: twoRequests},
	{what: "CPU time for 1,000 polls, 500 endpoints", key: "bench CompareSteady/500/%s cpu-s/1000", format: "%.2f s", ours: "samples", why: twoRequests},
	{what: "delay from the answer to the subscriber, 1 endpoint: median", key: "bench CompareSteady/1/%s median-ms", format: "%.1f ms", ours: "samples", why: storedFirst},
	{what: "the same: 99th percentile", key: "bench CompareSteady/1/%s p99-ms", format: "%.1f ms", ours: "samples", why: storedFirst},
	{what: "delay, 50 endpoints: median", key: "bench CompareSteady/50/%s median-ms", format: "%.1f ms", ours: "samples", why: storedFirst},
	{what: "the same: 99th percentile", key: "bench CompareSteady/50/%s p99-ms", format: "%.1f ms", ours: "samples", why: storedFirst},
	{what: "written to disk a poll, 1 endpoint", key: "bench CompareWear/%s disk-B/poll", format: "%.1f kB", factor: 1e-3, ours: "samples", why: wholePages},
	{what: "the same with six polls a commit: `commit_interval = \"30s\"` at a poll each 5 s", key: "bench CompareWear/%s disk-B/poll", format: "%.1f kB", factor: 1e-3, ours: "samples", as: "-collected", why: emptyQueue},
	{what: "handed to write calls a poll (files and sockets), 1 endpoint", key: "bench CompareWear/%s write-B/poll", format: "%.1f kB", factor: 1e-3, ours: "samples", why: wholePages},
	{what: "the same with six polls a commit: `commit_interval = \"30s\"` at a poll each 5 s", key: "bench CompareWear/%s write-B/poll", format: "%.1f kB", factor: 1e-3, ours: "samples", as: "-collected", why: twoMessages},
	{what: "written to disk a poll, 50 endpoints", key: "bench CompareSteady/50/%s disk-B/poll", format: "%.1f kB", factor: 1e-3, ours: "samples", why: wholePages},
	{what: "handed to write calls a poll, 50 endpoints", key: "bench CompareSteady/50/%s write-B/poll", format: "%.1f kB", factor: 1e-3, ours: "samples", why: wholePages},
	{what: "drain of a backlog", key: "bench CompareCatchUp/%s msg/s", format: "%.0f/s", more: true, ours: "samples"},
	{what: "drain at a round trip of 20 ms", key: "bench CompareCatchUpFar/%s msg/s", format: "%.0f/s", more: true, ours: "samples"},
	{what: "broker away for 10 s", key: "bench CompareLosses/down/%s ", ours: "roomcall", losses: true, why: atLeastOnce},
	{what: "broker killed in mid-drain", key: "bench CompareLosses/broker_killed/%s ", ours: "roomcall", losses: true, why: atLeastOnce},
	{what: "program killed in mid-drain", key: "bench CompareLosses/agent_killed/%s ", ours: "roomcall", losses: true, why: atLeastOnce},
	{what: "started without a broker, which comes 20 s later", key: "bench CompareLosses/no_broker/%s ", ours: "roomcall", losses: true, why: atLeastOnce},
}

// buyers are the rows of README.md.
var buyers = []contest{
	{what: "from the endpoint's answer to the subscriber, 50 rooms, 99th percentile", key: "bench CompareSteady/50/%s p99-ms", format: "%.0f ms"},
	{what: "catching up after an outage, over a line with 20 ms of round trip", key: "bench CompareCatchUpFar/%s msg/s", format: "%.0f readings/s"},
	{what: "memory (VmRSS) for 50 rooms", key: "bench CompareSteady/50/%s rss-MiB", format: "%.0f MiB"},
}

// compared is the table of the comparison.
func compared(res results) grid {
	g := grid{head: []string{"what"}}
	for _, c := range columns {
		g.head = append(g.head, c.head)
	}
	g.head = append(g.head, "roomcall to the best other", "roomcall is")
	g.brief = len(g.head)
	for _, c := range contests {
		line := []string{c.what}
		for _, col := range columns {
			line = append(line, c.cell(res, col.name))
		}
		g.rows = append(g.rows, append(line, c.verdict(res)...))
	}
	return g
}

// forBuyers is the short table.
func forBuyers(res results) grid {
	g := grid{head: []string{"", "roomcall", "Telegraf, minimal", "Node-RED"}, brief: 4, bare: true}
	for _, c := range buyers {
		g.rows = append(g.rows, []string{c.what, c.brief(res, "roomcall", "samples"), c.brief(res, "telegraf-minimal"), c.brief(res, "node-red")})
	}
	return g
}

// brief is the cell of the first of the programs that was measured.
func (c contest) brief(res results, names ...string) string {
	for _, name := range names {
		if text := c.cell(res, name); text != "" {
			return text
		}
	}
	return "not measured"
}

// cell is a program's figure, "" if it was not measured.
func (c contest) cell(res results, name string) string {
	if c.losses {
		if f, ok := c.fate(res, name); ok {
			return f.String()
		}
		return ""
	}
	if v, ok := c.value(res, name); ok {
		return fmt.Sprintf(c.format, v)
	}
	return ""
}

// value is a program's figure.
func (c contest) value(res results, name string) (float64, bool) {
	if name == "samples" || name == "roomcall" {
		name += c.as
	}
	v, ok := res.median(fmt.Sprintf(c.key, name))
	if c.factor != 0 {
		v *= c.factor
	}
	return v, ok
}

// others are the programs that ours is compared with.
func others() (names []string) {
	for _, c := range columns {
		if strings.HasPrefix(c.name, "telegraf") || c.name == "node-red" {
			names = append(names, c.name)
		}
	}
	return names
}

// verdict compares ours with the best of the others: the ratio and a word.
func (c contest) verdict(res results) []string {
	if c.losses {
		return c.lossVerdict(res)
	}
	mine, ok := c.value(res, c.ours)
	best, any := 0.0, false
	for _, name := range others() {
		if v, ok := c.value(res, name); ok && (!any || v < best != c.more) {
			best, any = v, true
		}
	}
	if !ok || !any {
		return []string{"", "not measured"}
	}
	ratio := mine / best
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return []string{"", "not comparable"}
	}
	equal := math.Abs(ratio-1) <= sameWithin
	return []string{fmt.Sprintf("%.2f", ratio), c.word((ratio < 1) != c.more && !equal, equal)}
}

// fate is what became of a program's polls.
type fate struct{ of, lost, unpolled, doubled, disordered float64 }

func (f fate) String() string {
	text := fmt.Sprintf("%.0f / %.0f / %.0f of %.0f", f.lost, f.doubled, f.disordered, f.of)
	if f.unpolled > 0 {
		text += fmt.Sprintf("; %.0f not polled", f.unpolled)
	}
	return text
}

func (c contest) fate(res results, name string) (f fate, ok bool) {
	for unit, v := range map[string]*float64{"of": &f.of, "lost": &f.lost, "unpolled": &f.unpolled, "doubled": &f.doubled, "disordered": &f.disordered} {
		if *v, ok = res.median(fmt.Sprintf(c.key, name) + unit); !ok {
			return f, false
		}
	}
	return f, true
}

// faults are parts of all polls, the worst first.
func (f fate) faults() []float64 {
	all := max(1, f.of+f.unpolled)
	return []float64{(f.lost + f.unpolled) / all, f.disordered / all, f.doubled / all}
}

// lossVerdict: what is lost counts first, then the order, then what arrives twice.
func (c contest) lossVerdict(res results) []string {
	mine, ok := c.fate(res, c.ours)
	if !ok {
		return []string{"", "not measured"}
	}
	order, measured := -1, false
	for _, name := range others() {
		if f, ok := c.fate(res, name); ok {
			order, measured = max(order, slices.Compare(mine.faults(), f.faults())), true
		}
	}
	if !measured {
		return []string{"", "not measured"}
	}
	return []string{"", c.word(order < 0, order == 0)}
}

func (c contest) word(ahead, equal bool) string {
	switch {
	case ahead:
		return "ahead"
	case equal:
		return "equal"
	case c.why == "":
		return "behind"
	default:
		return "behind: " + c.why
	}
}
