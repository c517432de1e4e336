package story

import (
	"cmp"
	_ "embed"
	"io"
	"strings"

	"roomcall/agent/health"
	"roomcall/agent/host"
)

// head is the same in every page.
//
//go:embed head.html
var head string

// markup is HTML that this package wrote. Everything else that goes into the page is a
// string, and is escaped.
type markup string

// page is built without html/template, which makes the program 2 MB larger.
type page struct{ strings.Builder }

func (p *page) add(parts ...any) {
	for _, part := range parts {
		switch part := part.(type) {
		case markup:
			p.WriteString(string(part))
		case string:
			p.WriteString(host.HTML(part))
		}
	}
}

// WriteHTML writes the story as one page: no script, nothing to load.
func (s *Story) WriteHTML(w io.Writer, look Look) error {
	d := s.compose(look)
	c := &writer{Story: s, Look: look}
	c.span()
	var p page
	p.add(markup("<!DOCTYPE html>\n<html lang=\""), string(cmp.Or(look.Lang, health.English)), markup("\">\n<head>\n"+head+"<title>"), d.title,
		markup("</title>\n</head>\n<body>\n<main>\n<h1>"), d.title, markup("</h1>\n<div class=\"intro\">"))
	for _, line := range d.intro {
		p.add(markup("<p>"), line, markup("</p>"))
	}
	p.add(markup("</div>\n"))
	for i, section := range d.sections {
		p.section(section)
		if i > 0 {
			continue
		}
		for _, f := range []struct{ title, svg string }{
			{"chart_rooms", c.roomsChart()},
			{"chart_loss", c.lineChart("chart_loss", lossSend, lossRecv)},
			{"chart_delay", c.lineChart("chart_delay", delaySend, delayRecv)},
		} {
			if f.svg != "" {
				p.add(markup("<figure><figcaption>"), c.say(f.title), markup("</figcaption><div class=\"wide\">"+f.svg+"</div></figure>\n"))
			}
		}
	}
	p.add(markup("</main>\n</body>\n</html>\n"))
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) section(s section) {
	p.add(markup("<section>\n<h2>"), s.Title, markup("</h2>\n"))
	for _, line := range s.Lines {
		p.add(markup("<p>"), line, markup("</p>\n"))
	}
	for _, t := range s.Tables {
		if t.Lead != "" {
			p.add(markup("<p>"), t.Lead, markup("</p>\n"))
		}
		p.add(markup("<div class=\"wide\"><table>\n<thead><tr>"))
		for _, cell := range t.Head {
			p.add(markup("<th scope=\"col\">"), cell, markup("</th>"))
		}
		p.add(markup("</tr></thead>\n<tbody>\n"))
		for _, r := range t.Rows {
			p.row(r)
		}
		p.add(markup("</tbody></table></div>\n"))
		if t.MoreText != "" {
			p.add(markup("<p>"), t.MoreText, markup("</p>\n"))
		}
	}
	p.add(markup("</section>\n"))
}

func (p *page) row(r row) {
	p.add(markup("<tr class=\""), r.Grade, markup("\">"))
	for _, cell := range r.Cells {
		p.add(markup("<td>"), cell, markup("</td>"))
	}
	p.add(markup("</tr>\n"))
	if r.Note == "" && r.Hint == "" {
		return
	}
	p.add(markup("<tr><td class=\"note\" colspan=\"9\">"), r.Note)
	if r.Hint != "" {
		p.add(markup(" <span class=\"hint\">→ "), r.Hint, markup("</span>"))
	}
	p.add(markup("</td></tr>\n"))
}
