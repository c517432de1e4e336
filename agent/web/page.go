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

// doc builds a page. It is deliberately not html/template, which makes the program
// 2.2 MB larger.
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

// fact is a line of a section; one without a value is not shown.
type fact struct {
	name, value string
	class       markup // its style, "" = none
}

// section shows a list of facts; below are further parts of it.
func (d *doc) section(title string, facts []fact, below ...markup) {
	d.add(markup("<section>\n<h2>"), title, markup("</h2>\n<dl>\n"))
	for _, f := range facts {
		if f.value == "" {
			continue
		}
		d.add(markup("<dt>"), f.name, markup("</dt><dd"))
		if f.class != "" {
			d.add(markup(" class=\""), f.class, markup("\""))
		}
		d.add(markup(">"), f.value, markup("</dd>\n"))
	}
	d.add(markup("</dl>\n"))
	for _, m := range below {
		d.add(m)
	}
	d.add(markup("</section>\n"))
}

func renderPage(s health.Status, now time.Time) string {
	d := &doc{}
	d.add(markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"+
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"refresh\" content=\""),
		refreshSeconds, markup("\">\n<title>"), s.ClientID, markup(" - roomcall</title>\n<style>"), markup(pageCSS),
		markup("</style>\n</head>\n<body>\n<header>\n<h1>"), s.ClientID, markup("</h1>\n"))
	d.verdict(health.English.Problems(s, now))
	d.add(markup("</header>\n<main>\n"))
	for _, e := range s.Endpoints {
		d.endpoint(e, now)
	}
	d.broker(s.Broker, now)
	d.buffer(s.Buffer, now)
	d.section("Agent", []fact{
		{name: "Version", value: s.Version},
		{name: "Client id", value: s.ClientID},
		{name: "Site", value: s.Site},
		{name: "Running for", value: health.Age(time.Duration(s.UptimeS) * time.Second)},
		{name: "Reason of the start", value: s.StartReason},
		{name: "Config", value: s.ConfigPath},
		{name: "Time of this page", value: now.UTC().Format("2006-01-02 15:04:05 UTC")},
	}, "<p class=\"dim\"><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/status\">status as JSON</a> · "+
		"<a href=\"/readyz\">ready?</a></p>\n")
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
		d.add(markup("<p class=\"verdict warn\">It works, with warnings:</p>\n"))
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
		if p.Detail != "" {
			d.add(markup("<p class=\"dim\">"), p.Detail, markup("</p>"))
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
	state := e.State
	switch state {
	case "":
		state = "not polled yet"
	case "in_call":
		state = "in a call"
	}
	facts := []fact{{name: "State", value: state}}
	if e.InCall && e.Grade != "" {
		class := markup("dim")
		if e.Grade == "good" || e.Grade == "fair" || e.Grade == "poor" {
			class = markup(e.Grade)
		}
		facts = append(facts, fact{"Call quality", e.Grade, class}, fact{name: "Because of", value: strings.NewReplacer(",", ", ", "_", " ").Replace(e.GradeReasons)})
	}
	if !e.LastPoll.IsZero() {
		facts = append(facts, fact{name: "Last poll", value: fmt.Sprintf("%s, took %.0f ms", health.Ago(e.LastPoll, now), e.PollMs)})
	}
	if !up(e) && !e.LastOK.IsZero() {
		facts = append(facts, fact{name: "Last good poll", value: health.Ago(e.LastOK, now)})
	}
	facts = append(facts,
		fact{name: "Polls", value: fmt.Sprintf("%d, %d failed, %d skipped", e.Polls, e.Failures, e.Skipped)},
		fact{name: "Address", value: e.URL}, fact{name: "Model", value: e.Model}, fact{name: "Error", value: e.Err})
	d.section(title, facts, mediaTable(e))
}

// columns of the media table: heading, key of the sample, decimals.
var columns = []struct {
	head, key string
	decimals  int
}{
	{"kbit/s", "bitrate_kbps", 0}, {"loss %", "loss_pct", 2}, {"jitter ms", "jitter_ms", 0},
	{"delay ms", "delay_ms", 0}, {"frames/s", "fps", 0}, {"height", "height", 0}, {"MOS est.", "mos_est", 1},
}

var mediaWords = map[string]string{"audio": "audio", "video": "video", "aux": "content", "recv": "received", "send": "sent"}

// mediaTable shows the newest sample; a medium without any value has no line.
func mediaTable(e health.Endpoint) markup {
	values := measurements(e.Sample)
	table, rows := &doc{}, 0
	table.add(markup("<div class=\"scroll\"><table>\n<tr><th></th>"))
	for _, c := range columns {
		table.add(markup("<th>"), c.head, markup("</th>"))
	}
	table.add(markup("</tr>\n"))
	for _, m := range media {
		line, known := &doc{}, false
		line.add(markup("<tr><th>"), mediaWords[m.media]+" "+mediaWords[m.direction], markup("</th>"))
		for _, c := range columns {
			text := ""
			if v, ok := values[m.key(c.key)]; ok {
				text, known = strconv.FormatFloat(v, 'f', c.decimals, 64), true
			}
			line.add(markup("<td>"), text, markup("</td>"))
		}
		if known {
			table.add(markup(line.String() + "</tr>\n"))
			rows++
		}
	}
	if rows == 0 {
		return ""
	}
	return markup(table.String() + "</table></div>\n")
}

var proofWords = map[string]string{
	"proven":   "proven: the broker handed a test message back",
	"unproven": "not proven: no right to read the echo topic",
	"failed":   "FAILED: acknowledged, but not handed back",
	"pending":  "being checked",
	"":         "not checked yet",
}

func (d *doc) broker(b health.Broker, now time.Time) {
	state, delivery, acked := health.OrUnknown(b.State), proofWords[b.Proof], health.Records(b.Acked)
	if !b.Since.IsZero() {
		state += " for " + health.Age(now.Sub(b.Since))
	}
	if b.ProofDetail != "" {
		delivery += ": " + b.ProofDetail
	}
	if !b.LastAck.IsZero() {
		acked += ", the last " + health.Ago(b.LastAck, now)
	}
	d.section("Broker", []fact{
		{name: "State", value: state},
		{name: "Address", value: b.URL},
		{name: "Delivery", value: delivery},
		{name: "Delivered", value: acked},
		{name: "In flight", value: fmt.Sprint(b.InFlight)},
		{name: "Connections", value: fmt.Sprintf("%d made, %d lost", b.Connects, b.Losses)},
		{name: "Error", value: b.Error},
	})
}

func (d *doc) buffer(b health.Buffer, now time.Time) {
	waiting := health.Records(b.Waiting)
	if !b.Oldest.IsZero() {
		waiting += ", the oldest from " + health.Ago(b.Oldest, now)
	}
	facts := []fact{
		{name: "State", value: health.OrUnknown(b.State)},
		{name: "Waiting", value: waiting},
		{name: "Delivered and kept", value: health.Records(b.DeliveredKept)},
		{name: "On disk", value: fmt.Sprintf("%s of %s in %d files", health.Bytes(b.BytesOnDisk), health.Bytes(b.MaxBytes), b.Segments)},
	}
	if b.DiskFree != nil {
		facts = append(facts, fact{name: "Free on the disk", value: health.Bytes(*b.DiskFree)})
	}
	if b.Evicted > 0 {
		facts = append(facts, fact{name: "Evicted", value: health.Records(b.Evicted)})
	}
	if polls := health.MissedPolls(b.Missed); polls > 0 {
		facts = append(facts, fact{name: "Polls not recorded", value: strconv.FormatUint(polls, 10)})
	}
	if b.Quarantined > 0 {
		facts = append(facts, fact{name: "Quarantined", value: health.Records(b.Quarantined)})
	}
	if b.DamagedFiles > 0 {
		facts = append(facts, fact{name: "Damaged files", value: strconv.Itoa(b.DamagedFiles)})
	}
	d.section("Store", append(facts, fact{name: "Error", value: b.Error}))
}
