package main

import (
	"bytes"
	"fmt"
	"slices"
)

// What grows, and how far.
var (
	grownEndpoints = []int{1, 10, 100, 1000}
	grownRecords   = []int{1_000, 100_000, 1_000_000}
	grownStreams   = []int{1, 4, 16, 64}
)

const longestBacklog = 10_000_000 // measured by growth-long alone

// growth is what one table and one graph show of something that grows.
type growth struct {
	what, unit string // "endpoints", "poll"
	counts     []int
	bench      func(n int) string
	// The figures: the time and the bytes that one unit takes, and the memory.
	time, memory, bytes string
	timeText            string
	memoryText          func(v float64, n int) string
	bytesText           string
}

var growths = []growth{
	{"endpoints in one agent", "poll", grownEndpoints, func(n int) string { return fmt.Sprintf("bench GrowthEndpoints/%d", n) },
		"us/poll", "rss-MiB", "disk-B/poll", "%.0f µs of CPU", func(v float64, _ int) string { return fmt.Sprintf("%.1f MiB (VmRSS)", v) }, "%.0f bytes to disk"},
	{"records that wait", "record", slices.Concat(grownRecords, []int{longestBacklog}), func(n int) string {
		if n == longestBacklog {
			return "bench GrowthLong"
		}
		return fmt.Sprintf("bench GrowthRecords/%d", n)
	}, "us/record", "anon-MiB", "disk-B/record", "%.1f µs", func(v float64, _ int) string { return fmt.Sprintf("%.1f MiB (RssAnon)", v) }, "%.0f bytes on disk"},
	{"received video streams in a poll", "stream", grownStreams, func(n int) string { return fmt.Sprintf("report Streams/%d", n) },
		"ns/stream", "B/op", "payload-B/stream", "%.0f ns", func(v float64, n int) string { return fmt.Sprintf("%.0f bytes allocated a stream", v/float64(n)) }, "%.0f bytes published"},
}

// grown is the table: what one unit costs while there are more and more of them.
func grown(res results) grid {
	g := grid{head: []string{"what grows", "how many", "time for each", "memory", "bytes for each"}, brief: 5}
	for _, of := range growths {
		for _, n := range of.counts {
			cells := []string{of.what, thousands(n), "not measured", "not measured", "not measured"}
			key := of.bench(n) + " "
			if v, ok := res.median(key + of.time); ok {
				cells[2] = fmt.Sprintf(of.timeText, v) + " a " + of.unit
			}
			if v, ok := res.median(key + of.memory); ok {
				cells[3] = of.memoryText(v, n)
			}
			if v, ok := res.median(key + of.bytes); ok {
				cells[4] = fmt.Sprintf(of.bytesText, v) + " a " + of.unit
			}
			g.rows = append(g.rows, cells)
		}
	}
	return g
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// growthGraph shows time and bytes of one unit as a multiple of what they are for the
// second size, one panel for each thing that grows. The smallest size bears the fixed
// costs alone.
func growthGraph(res results) []byte {
	const panel, left, top, width, height, most = 300, 40, 60, 230, 200, 4.0
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", panel*len(growths)+10, top+height+60)
	b.WriteString("<title>Time and bytes for each poll, record and stream while there are more of them</title>\n" + `<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	for i, of := range growths {
		x0 := i*panel + left
		fmt.Fprintf(&b, `<text x="%d" y="20" font-weight="bold">%s</text>`+"\n", x0, of.what)
		y := func(v float64) float64 { return top + height*(1-min(v, most)/most) }
		x := func(k int) float64 { return float64(x0) + float64(width*k)/float64(max(len(of.counts)-1, 1)) }
		for v := 0.0; v <= most; v++ {
			beyond := ""
			if v == most {
				beyond = "≥ " // what is beyond is drawn at the edge
			}
			fmt.Fprintf(&b, `<path d="M%d %.0fh%d" stroke="#ddd"/><text x="%d" y="%.0f" text-anchor="end">%s%.0f×</text>`+"\n", x0, y(v), width, x0-5, y(v)+4, beyond, v)
		}
		for k, n := range of.counts {
			fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%s</text>`+"\n", x(k), top+height+20, abbreviated(n))
		}
		for j, line := range []struct{ figure, name, colour string }{{of.time, "time", "#1f77b4"}, {of.bytes, "bytes", "#d62728"}} {
			fmt.Fprintf(&b, `<text x="%d" y="42" fill="%s">%s a %s</text>`+"\n", x0+j*110, line.colour, line.name, of.unit)
			unit, ok := res.median(of.bench(of.counts[1]) + " " + line.figure)
			if !ok || unit == 0 {
				continue
			}
			path := "M"
			for k, n := range of.counts {
				if v, ok := res.median(of.bench(n) + " " + line.figure); ok {
					path += fmt.Sprintf("%.1f %.1f ", x(k), y(v/unit))
				}
			}
			fmt.Fprintf(&b, `<path fill="none" stroke="%s" stroke-width="2" d="%s"/>`+"\n", line.colour, path)
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// abbreviated writes a number with k for thousands and M for millions.
func abbreviated(n int) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%dM", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%dk", n/1e3)
	}
	return fmt.Sprint(n)
}
