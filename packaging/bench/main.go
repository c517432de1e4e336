// Command bench turns the output of the benchmarks into the tables of
// docs/benchmarks.md. The benchmarks that need several parts at once (the real agent,
// a simulated endpoint and a real broker) are the tests of this package.
//
// Promise: a figure is what a benchmark printed, or the median if it ran several
// times. A figure that was not measured is shown as "not measured".
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
)

func main() {
	doc := flag.String("doc", "docs/benchmarks.md", "file whose table is replaced")
	graph := flag.String("graph", "", "SVG file for the graph of growth")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [-doc FILE] TABLE RESULTS\nTABLE is all, fleet, backlog, growth, compare or buyers; RESULTS holds what the benchmarks printed.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*doc, flag.Arg(0), flag.Arg(1), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if *graph != "" {
		if err := draw(*graph, flag.Arg(1)); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

// draw writes the graph of growth.
func draw(file, results string) error {
	raw, err := os.ReadFile(results)
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	return os.WriteFile(file, growthGraph(parse(raw)), 0o644)
}

// run prints a table and writes it into the document.
func run(doc, table, results string, out io.Writer) error {
	fill, ok := tables[table]
	if !ok {
		return fmt.Errorf("no table %q", table)
	}
	raw, err := os.ReadFile(results)
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	res := parse(raw)
	g := fill(res)
	if err := g.print(out, res); err != nil {
		return err
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	text, err = replace(text, table, g.markdown(res))
	if err != nil {
		return fmt.Errorf("%s: %w", doc, err)
	}
	return os.WriteFile(doc, text, 0o644)
}

// replace puts body between the two marker lines of a table.
func replace(text []byte, table, body string) ([]byte, error) {
	begin := fmt.Appendf(nil, "<!-- begin %s -->\n", table)
	end := fmt.Appendf(nil, "<!-- end %s -->\n", table)
	from, to := bytes.Index(text, begin), bytes.Index(text, end)
	if from < 0 || to < from {
		return nil, fmt.Errorf("no lines %q and %q", bytes.TrimSpace(begin), bytes.TrimSpace(end))
	}
	return slices.Concat(text[:from+len(begin)], []byte("\n"+body+"\n"), text[to:]), nil
}
