package web

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"roomcall/agent/health"
)

//go:embed page.css
var pageCSS string

// pagePolicy allows the page its own style sheet and nothing else: no script,
// no image, no request.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}()

// refreshSeconds is how often the page loads itself again.
const refreshSeconds = 5

func (h *handler) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Write([]byte(renderPage(h.src.Status(), h.now())))
}

// markup is HTML that this package wrote. Everything else that goes into the
// page is a string, and is escaped.
type markup string

// doc builds a page. It is no template engine on purpose: a plain writer keeps
// the agent small, and text cannot get in unescaped.
type doc struct{ strings.Builder }

func (d *doc) add(parts ...any) {
	for _, p := range parts {
		if m, ok := p.(markup); ok {
			d.WriteString(string(m))
			continue
		}
		d.WriteString(html.EscapeString(strings.ToValidUTF8(fmt.Sprint(p), "\uFFFD")))
	}
}

// row adds a line of a list of facts; a fact that is not known is left out.
func (d *doc) row(name, value string) {
	if value != "" {
		d.add(markup("<dt>"), name, markup("</dt><dd>"), value, markup("</dd>\n"))
	}
}

func renderPage(s health.Status, now time.Time) string {
	d := &doc{}
	d.add(markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"+
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"refresh\" content=\""),
		refreshSeconds, markup("\">\n<title>"), s.ClientID, markup(" - roomcall</title>\n<style>"), markup(pageCSS),
		markup("</style>\n</head>\n<body>\n<header>\n<h1>"), s.ClientID, markup("</h1>\n"))
	d.verdict(health.Problems(s, now))
	d.add(markup("</header>\n<main>\n"))
	for _, e := range s.Endpoints {
		d.endpoint(e, now)
	}
	d.broker(s.Broker, now)
	d.buffer(s.Buffer, now)
	d.agent(s, now)
	d.add(markup("</main>\n</body>\n</html>\n"))
	return d.String()
}

func (d *doc) verdict(all []health.Problem) {
	switch {
	case len(all) == 0:
		d.add(markup("<p class=\"verdict good\">All is well.</p>\n"))
		return
	case all[0].Bad:
		d.add(markup("<p class=\"verdict poor\">Something is wrong:</p>\n"))
	default:
		d.add(markup("<p class=\"verdict warn\">It works, with remarks:</p>\n"))
	}
	d.add(markup("<ul>\n"))
	for _, p := range all {
		class := markup("problem")
		if p.Bad {
			class += " bad"
		}
		d.add(markup("<li class=\""), class, markup("\"><b>"), p.What, markup("</b>"))
		if p.Hint != "" {
			d.add(markup("<p>What to do: "), p.Hint, markup("</p>"))
		}
		d.add(markup("</li>\n"))
	}
	d.add(markup("</ul>\n"))
}

func (d *doc) endpoint(e health.Endpoint, now time.Time) {
	title := e.Device
	if e.Room != "" {
		title = e.Room + " (" + e.Device + ")"
	}
	d.add(markup("<section>\n<h2>"), title, markup("</h2>\n<dl>\n"))
	d.row("State", stateWords(e))
	if e.InCall && e.Grade != "" {
		d.add(markup("<dt>Call quality</dt><dd class=\""), gradeClass(e.Grade), markup("\">"), e.Grade, markup("</dd>\n"))
		d.row("Because of", health.Words(e.GradeReasons))
	}
	if !e.LastPoll.IsZero() {
		d.row("Last poll", health.Ago(e.LastPoll, now)+", took "+strconv.FormatFloat(e.PollMs, 'f', 0, 64)+" ms")
	}
	if !up(e) && !e.LastOK.IsZero() {
		d.row("Last good poll", health.Ago(e.LastOK, now))
	}
	d.row("Polls", fmt.Sprintf("%d, %d failed, %d skipped", e.Polls, e.Failures, e.Skipped))
	d.row("Address", e.URL)
	d.row("Model", e.Model)
	d.row("Error", e.Err)
	d.add(markup("</dl>\n"))
	d.media(e)
	d.add(markup("</section>\n"))
}

// gradeClass is the style of a grade; a text that is no grade gets none.
func gradeClass(grade string) markup {
	switch grade {
	case "good", "fair", "poor":
		return markup(grade)
	}
	return "dim"
}

func stateWords(e health.Endpoint) string {
	switch e.State {
	case "":
		return "not polled yet"
	case "in_call":
		return "in a call"
	}
	return e.State
}

// columns of the media table: heading, key of the sample, decimals.
var columns = []struct {
	head, key string
	decimals  int
}{
	{"kbit/s", "bitrate_kbps", 0}, {"loss %", "loss_pct", 2}, {"jitter ms", "jitter_ms", 0},
	{"delay ms", "delay_ms", 0}, {"frames/s", "fps", 0}, {"height", "height", 0}, {"MOS est.", "mos_est", 1},
}

// media shows the newest sample; a medium without any value has no line.
func (d *doc) media(e health.Endpoint) {
	values := measurements(e.Sample)
	var rows strings.Builder
	for _, m := range media {
		line, any := &doc{}, false
		line.add(markup("<tr><th>"), mediaWords(m), markup("</th>"))
		for _, c := range columns {
			v, ok := values[m.key(c.key)]
			any = any || ok
			line.add(markup("<td>"))
			if ok {
				line.add(strconv.FormatFloat(v, 'f', c.decimals, 64))
			}
			line.add(markup("</td>"))
		}
		if any {
			rows.WriteString(line.String() + "</tr>\n")
		}
	}
	if rows.Len() == 0 {
		return
	}
	d.add(markup("<div class=\"scroll\"><table>\n<tr><th></th>"))
	for _, c := range columns {
		d.add(markup("<th>"), c.head, markup("</th>"))
	}
	d.add(markup("</tr>\n"), markup(rows.String()), markup("</table></div>\n"))
}

func mediaWords(m medium) string {
	name := map[string]string{"audio": "audio", "video": "video", "aux": "content"}[m.media]
	return name + " " + map[string]string{"recv": "received", "send": "sent"}[m.direction]
}
