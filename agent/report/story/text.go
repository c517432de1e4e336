package story

import (
	"bufio"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"roomcall/agent/host"
)

// textWidth is the width of a text in columns of a terminal; a Chinese character takes
// two.
const textWidth = 96

// WriteText writes the story as text.
func (s *Story) WriteText(w io.Writer, look Look) error {
	d := s.compose(look)
	p := &printer{w: bufio.NewWriter(w)}
	p.line("", d.title)
	for _, text := range d.intro {
		p.line("", text)
	}
	for _, sec := range d.sections {
		p.line("", "")
		p.line("", strings.ToUpper(sec.Title))
		for _, text := range sec.Lines {
			p.line("  ", text)
		}
		for _, t := range sec.Tables {
			p.table(&t)
		}
	}
	return p.w.Flush()
}

// printer writes lines; a bufio.Writer keeps the first error.
type printer struct{ w *bufio.Writer }

// line writes a text, broken into lines that all begin with an indent.
func (p *printer) line(indent, text string) {
	for _, line := range wrap(host.Printable(text), textWidth-len(indent)) {
		_, _ = p.w.WriteString(strings.TrimRight(indent+line, " ") + "\n")
	}
}

// wrap breaks a text into lines of at most width columns: at spaces, and between
// Chinese characters, but not before a mark that belongs to the one before it.
func wrap(text string, width int) []string {
	const closing = "，。、：；！？）”％"
	lines, line, used, last := []string{}, "", 0, 0 // last: where the line may be broken, in bytes
	for _, r := range text {
		wide := ansi.StringWidthWc(string(r))
		if r == ' ' || wide > 1 && !strings.ContainsRune(closing, r) {
			last = len(line)
		}
		if used+wide > width && last > 0 {
			rest := strings.TrimLeft(line[last:], " ")
			lines, line, last = append(lines, strings.TrimRight(line[:last], " ")), rest, 0
			used = ansi.StringWidthWc(rest)
			if r == ' ' && rest == "" {
				continue
			}
		}
		line, used = line+string(r), used+wide
	}
	return append(lines, line)
}

// table writes a table with columns as wide as their longest cell, and the notes below
// their rows.
func (p *printer) table(t *table) {
	if t.Lead != "" {
		p.line("  ", t.Lead)
	}
	widths := make([]int, len(t.Head))
	wider := func(cells []string) {
		for i, cell := range cells {
			if i < len(widths) {
				widths[i] = max(widths[i], ansi.StringWidthWc(host.Printable(cell)))
			}
		}
	}
	wider(t.Head)
	for _, r := range t.Rows {
		wider(r.Cells)
	}
	write := func(cells []string) {
		line := "  "
		for i, cell := range cells {
			cell = host.Printable(cell)
			line += cell
			if i < len(cells)-1 {
				line += strings.Repeat(" ", widths[i]-ansi.StringWidthWc(cell)+2)
			}
		}
		_, _ = p.w.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	write(t.Head)
	for _, r := range t.Rows {
		write(r.Cells)
		if r.Note != "" {
			p.line("      ", r.Note)
		}
		if r.Hint != "" {
			p.line("      ", "-> "+r.Hint)
		}
	}
	if t.MoreText != "" {
		p.line("  ", t.MoreText)
	}
}
