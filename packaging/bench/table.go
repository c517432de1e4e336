package main

import (
	"fmt"
	"io"
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

// printTable writes the table for a terminal.
func printTable(out io.Writer, res results, lines []line) error {
	fmt.Fprintf(out, "\n%s\n\n", strings.Join(res.machine, "\n"))
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFIGURE\tAIM\tMET")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.what, l.figure, l.aim, l.met)
	}
	return w.Flush()
}

// markdown is the table for the document.
func markdown(res results, lines []line) string {
	var b strings.Builder
	for _, fact := range res.machine {
		fmt.Fprintf(&b, "- %s\n", fact)
	}
	b.WriteString("\n| what | figure | aim | met | command |\n| --- | --- | --- | --- | --- |\n")
	for _, l := range lines {
		command := strings.ReplaceAll(l.command, "|", `\|`)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | `%s` |\n", l.what, l.figure, l.aim, l.met, command)
	}
	return b.String()
}
