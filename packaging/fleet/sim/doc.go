package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files in the folder of results, which packaging/scripts/scale.sh fills.
const (
	machineFile = "machine.txt"  // facts about the machine, one a line
	resultsFile = "results.json" // a result a line
	dayFile     = "day.json"     // a list of bills
)

// choice is a config whose bytes are counted; "" is the default.
type choice struct{ Kinds, State, Keep, IdlePoll string }

// bill is what a choice costs on the wire: bytes above TCP, both ways.
type bill struct {
	choice
	InCall, Idle float64 // an hour
	Day          float64 // with 4 hours of calls, from the first connection
	Up           float64 // of Day, from the room
	Records      int     // in the day
}

// writeDoc writes tables into a document, between marker lines, and the graphs beside it.
// A table without results stays as it is.
func writeDoc(doc, results string) error {
	text, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	list, err := readResults(filepath.Join(results, resultsFile))
	if err != nil {
		return err
	}
	if len(list) > 0 {
		facts, err := os.ReadFile(filepath.Join(results, machineFile))
		if err != nil {
			return err
		}
		machine := "- " + strings.ReplaceAll(strings.TrimSpace(string(facts)), "\n", "\n- ") + "\n"
		for name, body := range map[string]string{"brokers": machine + "\n" + brokersTable(list), "faults": faultsTable(list)} {
			if text, err = replace(text, name, body); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(doc), "pictures/scale-storm.svg"), stormGraph(list), 0o644); err != nil {
			return err
		}
	}
	var bills []bill
	raw, err := os.ReadFile(filepath.Join(results, dayFile))
	if err == nil {
		if err = json.Unmarshal(raw, &bills); err == nil {
			text, err = replace(text, "day", dayTable(bills))
			err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(doc), "pictures/scale-day.svg"), dayGraph(bills), 0o644))
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, name := range []string{"postgres", "cluster"} { // what other scripts print
		lines, err := os.ReadFile(filepath.Join(results, name+".txt"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if text, err = replace(text, name, "```text\n"+strings.TrimSpace(string(lines))+"\n```\n"); err != nil {
			return err
		}
	}
	return os.WriteFile(doc, text, 0o644)
}

// readResults reads what was kept; of one broker the last counts.
func readResults(file string) (list []result, err error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for lines := json.NewDecoder(bytes.NewReader(raw)); ; {
		var r result
		if err := lines.Decode(&r); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		list = slices.DeleteFunc(list, func(o result) bool { return o.Broker == r.Broker })
		list = append(list, r)
	}
}

// replace puts body between the two marker lines of a table.
func replace(text []byte, table, body string) ([]byte, error) {
	begin, end := fmt.Appendf(nil, "<!-- begin %s -->\n", table), fmt.Appendf(nil, "<!-- end %s -->\n", table)
	from, to := bytes.Index(text, begin), bytes.Index(text, end)
	if from < 0 || to < from {
		return nil, fmt.Errorf("no lines %q and %q", bytes.TrimSpace(begin), bytes.TrimSpace(end))
	}
	return slices.Concat(text[:from+len(begin)], []byte("\n"+body+"\n"), text[to:]), nil
}

// brokersTable has a column for each broker.
func brokersTable(list []result) string {
	t := table{head: []string{"what"}}
	rows := []struct {
		what string
		text func(r *result) string
	}{
		{"measured (UTC)", func(r *result) string { return r.Began.UTC().Format("2006-01-02 15:04") }},
		{"rooms", func(r *result) string { return thousands(r.Rooms) }},
		{"memory of the broker without a room (VmRSS)", func(r *result) string { return megabytes(r.MemoryBefore) }},
		{"with all rooms", func(r *result) string { return megabytes(r.Memory) }},
		{"a room", func(r *result) string {
			return fmt.Sprintf("%.1f kB", float64(r.Memory-r.MemoryBefore)/1e3/float64(r.Rooms))
		}},
		{"rooms in a call", func(r *result) string { return fmt.Sprintf("%.0f %%", 100*r.InCall) }},
		{"records a second", func(r *result) string { return thousands(int(float64(r.Records) / r.Steady.Seconds())) }},
		{"CPU of the broker at that, of one core", func(r *result) string {
			return fmt.Sprintf("%.0f %%", 100*r.CPU.Seconds()/r.Steady.Seconds())
		}},
		{"a room and minute", func(r *result) string {
			return fmt.Sprintf("%.1f ms", float64(r.CPU.Microseconds())/1e3/float64(r.Rooms)*60/r.Steady.Seconds())
		}},
		{"delay from a poll to the consumer: median", func(r *result) string { return fmt.Sprintf("%d ms", r.Median) }},
		{"90 %", func(r *result) string { return fmt.Sprintf("%d ms", r.P90) }},
		{"99 %", func(r *result) string { return fmt.Sprintf("%d ms", r.P99) }},
		{"first connection, 500 rooms a second: 50, 90, 100 % proven after", back("first connection")},
		{"after a kill of the broker: 50, 90, 100 % proven after", back(afterKill)},
		{"after a cut of the network: 50, 90, 100 % proven after", back("network cut")},
		{"bytes that a TCP segment carries", func(r *result) string {
			return fmt.Sprintf("%d", r.Carried/max(r.Segments, 1))
		}},
	}
	for _, r := range list {
		t.head = append(t.head, r.Broker)
	}
	for _, row := range rows {
		cells := []string{row.what}
		for i := range list {
			cells = append(cells, row.text(&list[i]))
		}
		t.rows = append(t.rows, cells)
	}
	return t.String()
}

// afterKill is the curve of the graph.
const afterKill = "broker killed"

func back(after string) func(*result) string {
	return func(r *result) string {
		for _, c := range r.Curves {
			if c.After != after {
				continue
			}
			var parts []string
			for _, part := range []float64{0.5, 0.9, 1} {
				if s := c.within(part, r.Rooms); s > 0 {
					parts = append(parts, fmt.Sprintf("%.0f s", s))
				} else {
					parts = append(parts, "not within "+r.Patience.Round(time.Second).String())
				}
			}
			return strings.Join(parts, ", ")
		}
		return "not tried"
	}
}

func faultsTable(list []result) string {
	t := table{head: []string{"broker", "what happened", "records made", "lost behind the PUBACK", "after `buffer replay`", "arrived twice"}}
	for _, r := range list {
		was := 0
		for _, f := range r.Faults {
			left := "not needed"
			if f.Replayed {
				left = thousands(f.Left) + " lost"
			}
			t.rows = append(t.rows, []string{r.Broker, f.What, thousands(f.Made - was), thousands(f.Lost), left, thousands(f.Again)})
			was = f.Made
		}
	}
	return t.String()
}

func dayTable(bills []bill) string {
	t := table{head: []string{"`[publish] kinds`", "`state_interval`", "`idle_interval`", "`keepalive`", "an hour in a call", "an idle hour", "a day", "of it sent by the room", "records a day"}}
	for _, b := range bills {
		or := func(text, def string) string {
			if text == "" {
				return def
			}
			return "`" + text + "`"
		}
		t.rows = append(t.rows, []string{
			or(b.Kinds, "all (the default)"), or(b.State, "0s"), or(b.IdlePoll, "15s"), or(b.Keep, "30s"),
			kilobytes(b.InCall), kilobytes(b.Idle), kilobytes(b.Day), fmt.Sprintf("%.0f %%", 100*b.Up/b.Day), thousands(b.Records),
		})
	}
	return t.String()
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func kilobytes(n float64) string {
	if n >= 1e6 {
		return fmt.Sprintf("%.2f MB", n/1e6)
	}
	return fmt.Sprintf("%.0f kB", n/1e3)
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// table is a table in Markdown.
type table struct {
	head []string
	rows [][]string
}

func (t table) String() string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	line(slices.Repeat([]string{"---"}, len(t.head)))
	for _, r := range t.rows {
		line(r)
	}
	return b.String()
}
