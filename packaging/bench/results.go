package main

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results are the figures of a run by "package Benchmark unit", such as
// "cgi Decode/roomcall ns/op", and the facts about the machine in order.
type results struct {
	figures map[string][]float64
	machine []string
}

// procs is the number of CPUs that testing puts after a benchmark's name.
var procs = regexp.MustCompile(`-[0-9]+$`)

// parse reads what benchmarks print. Lines that begin with "machine:" are facts for
// the reader; all other lines are skipped.
func parse(raw []byte) results {
	r := results{figures: map[string][]float64{}}
	pkg := ""
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if fact, ok := strings.CutPrefix(line, "machine: "); ok {
			r.machine = append(r.machine, fact)
		} else if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = path.Base(name)
		} else if strings.HasPrefix(line, "Benchmark") {
			r.add(pkg, strings.Fields(line))
		}
	}
	return r
}

// add takes the fields of one line: name, iterations, then values with units.
func (r results) add(pkg string, fields []string) {
	if len(fields) < 4 {
		return
	}
	name := pkg + " " + procs.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
	for pair := range slices.Chunk(fields[2:], 2) {
		value, err := strconv.ParseFloat(pair[0], 64)
		if err != nil || len(pair) < 2 {
			return
		}
		key := name + " " + pair[1]
		r.figures[key] = append(r.figures[key], value)
	}
}

// median returns the middle value of a figure's runs.
func (r results) median(key string) (float64, bool) {
	list := slices.Sorted(slices.Values(r.figures[key]))
	if len(list) == 0 {
		return 0, false
	}
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2, true
}
