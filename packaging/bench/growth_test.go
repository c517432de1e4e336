package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestGrowthShowsWhatWasMeasuredAndNamesWhatWasNot(t *testing.T) {
	res := parse([]byte(`pkg: roomcall/packaging/bench
BenchmarkGrowthEndpoints/1-2 1 27034 disk-B/poll 2 page-ms 16.7 rss-MiB 6000 us/poll
BenchmarkGrowthEndpoints/10-2 1 24248 disk-B/poll 2 page-ms 19.4 rss-MiB 600 us/poll
BenchmarkGrowthRecords/1000000-2 1 24.5 anon-MiB 1069 disk-B/record 556 open-ms 11.8 us/record
pkg: roomcall/agent/report
BenchmarkStreams/16-2 1588 195866 ns/op 12242 ns/stream 697.2 payload-B/stream 59164 B/op 413 allocs/op
`))
	text := grown(res).markdown(res)
	for _, want := range []string{
		"| endpoints in one agent | 1 | 6000 µs of CPU a poll | 16.7 MiB (VmRSS) | 27034 bytes to disk a poll |",
		"| records that wait | 1,000,000 | 11.8 µs a record | 24.5 MiB (RssAnon) | 1069 bytes on disk a record |",
		"| records that wait | 10,000,000 | not measured | not measured | not measured |",
		"| received video streams in a poll | 16 | 12242 ns a stream | 3698 bytes allocated a stream | 697 bytes published a stream |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, res := range []results{res, {}} {
		graph := growthGraph(res)
		for dec := xml.NewDecoder(bytes.NewReader(graph)); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, graph)
			}
		}
		if drawn := strings.Count(string(graph), `fill="none"`); res.figures != nil && drawn != 2 || res.figures == nil && drawn != 0 {
			t.Errorf("%d lines:\n%s", drawn, graph)
		}
	}
	if !strings.Contains(string(growthGraph(res)), "M40.0 60.0 ") { // ten times: at the edge
		t.Errorf("what is beyond the edge is not at the edge:\n%s", growthGraph(res))
	}
}
