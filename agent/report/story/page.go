package story

import (
	"cmp"
	_ "embed"
	"html/template"
	"io"

	"roomcall/agent/health"
	"roomcall/agent/host"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("report").Funcs(template.FuncMap{"plain": host.Printable}).Parse(pageSource))

// WriteHTML writes the story as one page: no script, nothing to load.
func (s *Story) WriteHTML(w io.Writer, look Look) error {
	d := s.compose(look)
	c := &writer{Story: s, Look: look}
	c.span()
	type figure struct {
		Title string
		SVG   template.HTML
	}
	var figures []figure
	for _, f := range []struct{ title, svg string }{
		{"chart_rooms", c.roomsChart()},
		{"chart_loss", c.lineChart("chart_loss", lossSend, lossRecv)},
		{"chart_delay", c.lineChart("chart_delay", delaySend, delayRecv)},
	} {
		if f.svg != "" {
			figures = append(figures, figure{c.say(f.title), template.HTML(f.svg)}) //nolint:gosec // ours; texts in it are escaped
		}
	}
	return page.Execute(w, map[string]any{
		"Lang": cmp.Or(look.Lang, health.English), "Title": d.title, "Intro": d.intro, "Sections": d.sections, "Figures": figures,
	})
}
