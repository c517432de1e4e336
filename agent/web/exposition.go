package web

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// This file writes the Prometheus text format, version 0.0.4
// (prometheus.io/docs/instrumenting/exposition_formats). The official client
// library is not linked: with it the stripped program was 2.3 MB larger and
// took 2.1 MB more memory, for a format of three kinds of lines. The tests
// check the text with that library's linter and parser.

// metric is a family of series with one name.
type metric struct {
	name, help string
	labels     []string
	place      int // in described
}

// described are all metrics, in the order in which they are written.
var described []*metric

// desc names a metric of the agent; labels are its variable labels.
func desc(name, help string, labels ...string) *metric {
	return foreign("roomcall_"+name, help, labels...)
}

// foreign names a metric that other programs have too, as go_ and process_.
func foreign(name, help string, labels ...string) *metric {
	m := &metric{name: name, help: help, labels: labels, place: len(described)}
	described = append(described, m)
	return m
}

// kind is in the name: counters, and only they, end in _total.
func (m *metric) kind() string {
	if strings.HasSuffix(m.name, "_total") {
		return "counter"
	}
	return "gauge"
}

// scrape collects the series of one answer, by metric.
type scrape struct{ series []bytes.Buffer }

func newScrape() *scrape { return &scrape{make([]bytes.Buffer, len(described))} }

// gauge adds a series; the label values stand in the order of the labels.
func (o *scrape) gauge(m *metric, v float64, values ...string) {
	b := &o.series[m.place]
	b.WriteString(m.name)
	for i, label := range m.labels {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(label + `="` + labelEscape.Replace(strings.ToValidUTF8(values[i], "\uFFFD")) + `"`)
	}
	if len(m.labels) > 0 {
		b.WriteByte('}')
	}
	b.WriteString(" " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}

var labelEscape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func (o *scrape) counter(m *metric, v uint64, values ...string) {
	o.gauge(m, float64(v), values...)
}

// time adds a Unix time, and nothing for a time that is not known.
func (o *scrape) time(m *metric, t time.Time, values ...string) {
	if !t.IsZero() {
		o.gauge(m, float64(t.UnixMilli())/1000, values...)
	}
}

// oneOf adds 1 for the value that holds and 0 for the others.
func (o *scrape) oneOf(m *metric, all []string, value string, values ...string) {
	for _, v := range all {
		o.gauge(m, oneIf(v == value), append(values[:len(values):len(values)], v)...)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// text is the whole answer. A metric without a series is left out.
func (o *scrape) text() []byte {
	var out bytes.Buffer
	for i, m := range described {
		if o.series[i].Len() > 0 {
			out.WriteString("# HELP " + m.name + " " + m.help + "\n# TYPE " + m.name + " " + m.kind() + "\n")
			out.Write(o.series[i].Bytes())
		}
	}
	return out.Bytes()
}
