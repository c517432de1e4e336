package story

import (
	"bufio"
	"io"
	"strings"

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
	for _, line := range host.Wrap(host.Printable(text), textWidth-len(indent)) {
		_, _ = p.w.WriteString(strings.TrimRight(indent+line, " ") + "\n")
	}
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
				widths[i] = max(widths[i], host.Columns(host.Printable(cell)))
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
				line += strings.Repeat(" ", widths[i]-host.Columns(cell)+2)
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
