package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// record has the keys, of all kinds, that the page needs.
type record struct {
	Schema   string `json:"schema"`
	ID       string `json:"id"`
	Seq      int64  `json:"seq"`
	TsMs     int64  `json:"ts_ms"`
	ClientID string `json:"client_id"`
	Site     string `json:"site"`
	Room     string `json:"room"`
	Device   string `json:"device"`

	// event
	Type       string `json:"type"`
	IncidentID string `json:"incident_id"`
	Metric     string `json:"metric"`
	SinceMs    int64  `json:"since_ms"`

	// call
	CallID   string  `json:"call_id"`
	StartMs  int64   `json:"start_ms"`
	EndMs    int64   `json:"end_ms"`
	Duration int64   `json:"duration_s"`
	Coverage float64 `json:"coverage_pct"`
	Good     int64   `json:"seconds_good"`
	Fair     int64   `json:"seconds_fair"`
	Poor     int64   `json:"seconds_poor"`
	Unknown  int64   `json:"seconds_unknown"`
	Grade    string  `json:"grade"`
	Cause    string  `json:"cause"`
	Scope    string  `json:"cause_scope"`

	// minute
	MinuteMs int64 `json:"minute_ms"`
	Samples  int64 `json:"samples"`
	OK       int64 `json:"samples_ok"`
}

// day is what the records say.
type day struct {
	records  int // without duplicates
	calls    []record
	events   []record
	minutes  []record
	rooms    map[string]string // client_id/device -> name
	sites    []string
	missing  int64 // records missing by seq
	fromMs   int64
	toMs     int64
	lastSeq  map[string]int64
	firstSeq map[string]int64
	perTopic map[string]int64
}

// maxLine bounds a record; views are the longest.
const maxLine = 4 << 20

// readDay reads records. It skips lines that are not records of a kind it knows; a
// line that is not JSON is an error.
func readDay(in io.Reader) (*day, error) {
	d := &day{
		rooms: map[string]string{}, lastSeq: map[string]int64{},
		firstSeq: map[string]int64{}, perTopic: map[string]int64{},
	}
	seen := map[string]bool{}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] != '{' {
			continue
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil && !isViewMismatch(err) {
			return nil, fmt.Errorf("read records: line %d is not a record: %w", n, err)
		}
		if r.ID == "" || seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		d.add(r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	if d.records == 0 {
		return nil, errors.New("read records: there are none")
	}
	d.order()
	return d, nil
}

// isViewMismatch: a view uses one of our keys with another type; here only the keys
// common to all payloads matter.
func isViewMismatch(err error) bool {
	var kind *json.UnmarshalTypeError
	return errors.As(err, &kind)
}

func (d *day) add(r record) {
	d.records++
	topic := r.ClientID + "/" + r.Device + "/" + r.Schema
	first, ok := d.firstSeq[topic]
	if !ok || r.Seq < first {
		d.firstSeq[topic] = r.Seq
	}
	d.lastSeq[topic] = max(d.lastSeq[topic], r.Seq)
	d.perTopic[topic]++
	if r.Device != "agent" {
		d.rooms[r.ClientID+"/"+r.Device] = cmp.Or(r.Room, r.Device)
	}
	if r.Site != "" && !slices.Contains(d.sites, r.Site) {
		d.sites = append(d.sites, r.Site)
	}
	switch r.Schema {
	case "roomcall.call/1.0":
		d.calls = append(d.calls, r)
	case "roomcall.event/1.0":
		d.events = append(d.events, r)
	case "roomcall.minute/1.0":
		d.minutes = append(d.minutes, r)
	}
	if d.fromMs == 0 || r.TsMs < d.fromMs {
		d.fromMs = r.TsMs
	}
	d.toMs = max(d.toMs, r.TsMs)
}

// order sorts, so that the page does not depend on the order of arrival, and counts
// the missing records.
func (d *day) order() {
	slices.Sort(d.sites)
	for _, list := range [][]record{d.calls, d.events, d.minutes} {
		slices.SortFunc(list, func(a, b record) int {
			return cmp.Or(cmp.Compare(a.TsMs, b.TsMs), cmp.Compare(a.ID, b.ID))
		})
	}
	for topic, last := range d.lastSeq {
		d.missing += last - d.firstSeq[topic] + 1 - d.perTopic[topic]
	}
}

// room is the name of a record's room for people.
func (d *day) room(r record) string { return d.rooms[r.ClientID+"/"+r.Device] }
