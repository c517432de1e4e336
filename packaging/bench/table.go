package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// line is a row with its figure.
type line struct{ what, figure, aim, met, command string }

// judge fills the rows with what was measured.
func judge(rows []row, res results) (out []line) {
	for _, r := range rows {
		l := line{what: r.what, figure: "not measured", aim: r.aim, command: r.command}
		if v, ok := values(r.keys, res); ok {
			l.figure = r.text(v)
			if r.met != nil {
				l.met = map[bool]string{true: "yes", false: "no"}[r.met(v)]
			}
		}
		out = append(out, l)
	}
	return out
}

func values(keys []string, res results) (out []float64, ok bool) {
	for _, k := range keys {
		v, ok := res.median(k)
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

// grid is a table with its head; a terminal shows its first columns. A bare one stands
// in a document without the facts about the machine.
type grid struct {
	head  []string
	rows  [][]string
	brief int
	bare  bool
}

// listed shows rows one below the other.
func listed(rows []row) func(results) grid {
	return func(res results) grid {
		g := grid{head: []string{"what", "figure", "aim", "met", "command"}, brief: 4}
		for _, l := range judge(rows, res) {
			g.rows = append(g.rows, []string{l.what, l.figure, l.aim, l.met, "`" + strings.ReplaceAll(l.command, "|", `\|`) + "`"})
		}
		return g
	}
}

// print writes the table for a terminal.
func (g grid) print(out io.Writer, res results) error {
	fmt.Fprintf(out, "\n%s\n\n", strings.Join(res.machine, "\n"))
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(g.head[:g.brief], "\t")))
	for _, r := range g.rows {
		fmt.Fprintln(w, strings.Join(r[:g.brief], "\t"))
	}
	return w.Flush()
}

// markdown is the table for a document.
func (g grid) markdown(res results) string {
	var b strings.Builder
	if !g.bare {
		for _, fact := range res.machine {
			fmt.Fprintf(&b, "- %s\n", fact)
		}
		b.WriteString("\n")
	}
	for _, r := range append([][]string{g.head, slices.Repeat([]string{"---"}, len(g.head))}, g.rows...) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r, " | "))
	}
	return b.String()
}
