package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
)

// pagePolicy allows the page what this server has of its own, and nothing else: no
// script or style within the page, no request to anybody else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// page shows the only room, the room that is asked for, or the list of the rooms. It
// is whole without the script, which draws the charts and keeps it up to date.
func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	q, ok := h.query(w, r, "device")
	if !ok {
		return
	}
	p := newPage(h.src.Status(), h.history, h.now(), health.Language(h.language, r.Header.Get("Accept-Language")))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Vary", "Accept-Language")
	w.Write([]byte(p.render(q.Device)))
}

// markup is HTML that this package wrote. Everything else that goes into the
// page is a string, and is escaped.
type markup string

// doc builds a page. It is deliberately not html/template, which makes the program
// 2.2 MB larger.
type doc struct{ strings.Builder }

// add writes markup as it is and all else as text.
func (d *doc) add(parts ...any) {
	for _, p := range parts {
		if m, ok := p.(markup); ok {
			d.WriteString(string(m))
			continue
		}
		d.WriteString(host.HTML(fmt.Sprint(p)))
	}
}

// page is one page being written, in one language.
type page struct {
	doc
	status  health.Status
	history *History
	now     time.Time
	lang    health.Lang
	own     []health.Problem // of the agent itself
	rooms   []roomView       // the worst first
}

// look is how a room is shown, the worst first.
type look int

const (
	lookFailed look = iota
	lookBusy
	lookPoor
	lookFair
	lookCall
	lookGood
	lookIdle
	lookNew
)

// shownLook is a look on the page; the sign says without colour what the colour says.
type shownLook struct {
	class  markup
	sign   string
	colour string // of the icon
	word   string
}

var looks = [...]shownLook{
	{"failed", "✕", "#b3261e", "failing"}, {"busy", "…", "#8a5a00", "busy"}, {"poor", "!", "#c62828", "poor"}, {"fair", "~", "#b26a00", "fair"},
	{"call", "•", "#3367b0", "in a call"}, {"good", "✓", "#17733b", "good"}, {"idle", "○", "#5d6877", "ready"}, {"new", "·", "#5d6877", "not polled yet"},
}

// lookOf is the look of a call with a grade.
func lookOf(grade string) look {
	switch grade {
	case "poor":
		return lookPoor
	case "fair":
		return lookFair
	case "good":
		return lookGood
	}
	return lookCall
}

// roomView is what a page says of a room.
type roomView struct {
	health.Endpoint
	look               look
	headline           string // with since when
	said               string // without: it changes only with the state
	what, hint, detail string
	others             []health.Problem // beside its state
}

func newPage(s health.Status, history *History, now time.Time, lang health.Lang) *page {
	p := &page{status: s, history: history, now: now, lang: lang}
	byDevice := map[string][]health.Problem{}
	for _, problem := range lang.Problems(s, now) {
		if problem.Device == "" {
			p.own = append(p.own, problem)
		} else {
			byDevice[problem.Device] = append(byDevice[problem.Device], problem)
		}
	}
	for _, e := range s.Endpoints {
		p.rooms = append(p.rooms, p.view(e, byDevice[e.Device]))
	}
	slices.SortStableFunc(p.rooms, func(a, b roomView) int {
		return cmp.Or(cmp.Compare(a.look, b.look), cmp.Compare(len(b.others), len(a.others)))
	})
	return p
}

// view finds the words of a room.
func (p *page) view(e health.Endpoint, problems []health.Problem) roomView {
	e.CallGrade = cmp.Or(e.CallGrade, e.Grade)
	v := roomView{Endpoint: e, look: lookIdle, headline: e.Headline(p.lang, p.now)}
	bare := e
	bare.StateSince, bare.GradeSince = time.Time{}, time.Time{}
	v.said = bare.Headline(p.lang, p.now)
	switch {
	case e.LastPoll.IsZero():
		v.look = lookNew
	case e.State == "busy", e.State == "upgrading":
		v.look = lookBusy
	case e.State == "in_call":
		v.look = lookOf(e.CallGrade)
		v.what, v.hint = p.lang.Call(p.status.Call(e))
	case e.State != "idle" && e.State != "":
		v.look = lookFailed
	}
	for _, problem := range problems {
		switch problem.Code {
		case "endpoint_overdue":
			v.look, v.headline, v.said = lookFailed, problem.What, problem.What
			v.what, v.hint = "", problem.Hint
		case "endpoint_poor_call":
			v.hint = problem.Hint
		case "endpoint_" + e.State, "endpoint_error":
			v.hint, v.detail = problem.Hint, problem.Detail
		default:
			v.others = append(v.others, problem)
		}
	}
	return v
}

// name is how people call a room.
func (v roomView) name() string { return cmp.Or(v.Room, v.Device) }

// render writes the page of a room, or of all rooms.
func (p *page) render(device string) string {
	one := slices.IndexFunc(p.rooms, func(v roomView) bool { return v.Device == device })
	if len(p.rooms) == 1 {
		one = 0
	}
	title := cmp.Or(p.status.Site, p.status.ClientID)
	class := markup("idle")
	if len(p.rooms) > 0 {
		class = looks[p.rooms[max(one, 0)].look].class
	}
	if one >= 0 {
		title = p.rooms[one].name() + " · " + p.rooms[one].headline
	}
	p.add(markup("<!DOCTYPE html>\n<html lang=\""), string(p.lang), markup("\" data-version=\""), p.status.Version, markup("\">\n<head>\n<meta charset=\"utf-8\">\n"+
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>"),
		title, markup("</title>\n<link rel=\"icon\" href=\"/assets/"), class, markup(".svg\">\n"+
			"<link rel=\"stylesheet\" href=\"/assets/uplot/uPlot.min.css\">\n<link rel=\"stylesheet\" href=\"/assets/page.css\">\n"+
			"<script src=\"/assets/uplot/uPlot.iife.min.js\" defer></script>\n<script src=\"/assets/page.js\" defer></script>\n"+
			"</head>\n<body>\n<p id=\"lost\" class=\"lost\" role=\"alert\" hidden>"), p.w("The agent does not answer; what is shown may be old. This page goes on by itself when it is back."),
		markup("</p>\n"))
	if one >= 0 {
		p.room(p.rooms[one])
	} else {
		p.list()
	}
	p.agent()
	p.add(markup("</main>\n</body>\n</html>\n"))
	return p.String()
}

// room writes the page of one room.
func (p *page) room(v roomView) {
	p.add(markup("<header>\n"))
	if len(p.rooms) > 1 {
		p.add(markup("<p><a href=\"/\">← "), p.w("All rooms"), markup("</a></p>\n"))
	}
	p.add(markup("<h1><bdi>"), v.name(), markup("</bdi></h1>\n<p class=\"dim\">"))
	for i, text := range slices.DeleteFunc([]string{v.Device, p.status.Site, v.Model}, func(s string) bool { return s == "" }) {
		if i > 0 {
			p.add(markup(" · "))
		}
		p.add(markup("<bdi>"), text, markup("</bdi>"))
	}
	p.add(markup("</p>\n</header>\n<main>\n<section id=\"state\" class=\"state "), looks[v.look].class, markup("\">\n"))
	p.add(markup("<p class=\"hidden\" role=\"status\">"), v.said, markup("</p>\n<p class=\"headline\"><span class=\"sign\" aria-hidden=\"true\">"),
		looks[v.look].sign, markup("</span>"), v.headline, markup("</p>\n"))
	p.advice(v)
	p.add(markup("<div class=\"hour\">"))
	p.strip(v.Device, true)
	p.add(markup("<p class=\"ticks dim\" aria-hidden=\"true\"><span>"), p.lang.Clock(p.now.Add(-time.Hour), p.now), markup("</span><span>"),
		p.lang.Clock(p.now.Add(-30*time.Minute), p.now), markup("</span><span>"), p.w("now"), markup("</span></p></div>\n</section>\n"))
	p.problems(append(slices.Clone(v.others), p.own...))
	p.table(v.Endpoint)
	p.charts(v.Endpoint)
	p.calls(v.Endpoint)
	p.fold(p.w("Endpoint"), v.URL, "", []fact{
		{p.w("Address"), v.URL}, {p.w("Model"), v.Model}, {p.w("API"), v.SourceAPI},
		{p.w("Last poll"), p.polled(v.Endpoint)},
		{p.w("Last good poll"), p.lang.Ago(v.LastOK, p.now)},
		{p.w("Polls"), fmt.Sprintf(p.w("%d, %d failed, %d skipped"), v.Polls, v.Failures, v.Skipped)},
		{p.w("Error"), v.Err},
	})
}

// advice writes the sentence of a room, the next step and the detail.
func (p *page) advice(v roomView) {
	if v.what != "" {
		p.add(markup("<p class=\"what\">"), v.what, markup("</p>\n"))
	}
	if v.hint != "" {
		p.add(markup("<p class=\"hint\"><b>"), p.w("What to do:"), markup("</b> "), v.hint, markup("</p>\n"))
	}
	if v.detail != "" {
		p.add(markup("<p class=\"detail dim\">"), v.detail, markup("</p>\n"))
	}
}

func (p *page) polled(e health.Endpoint) string {
	if e.LastPoll.IsZero() {
		return p.w("not polled yet")
	}
	return p.lang.Ago(e.LastPoll, p.now) + fmt.Sprintf(" (%.0f ms)", e.PollMs)
}

// list writes the page of several rooms: how many are how, and a row for each, the
// worst first.
func (p *page) list() {
	var counts [len(looks)]int
	for _, v := range p.rooms {
		counts[v.look]++
	}
	p.add(markup("<header>\n<h1><bdi>"), cmp.Or(p.status.Site, p.status.ClientID), markup("</bdi></h1>\n<div role=\"status\"><ul class=\"counts\">\n"))
	for i, n := range counts {
		if n > 0 {
			p.add(markup("<li class=\""), looks[i].class, markup("\"><b>"), n, markup("</b> "), p.w(looks[i].word), markup("</li>\n"))
		}
	}
	p.add(markup("</ul></div>\n</header>\n<main>\n"))
	p.problems(p.own)
	if len(p.rooms) == 0 {
		p.add(markup("<p>"), p.w("No endpoint is configured."), markup("</p>\n"))
	}
	p.add(markup("<div id=\"rooms\">\n"))
	for _, v := range p.rooms {
		p.add(markup("<details id=\"r-"), v.Device, markup("\" class=\"row "), looks[v.look].class, markup("\"><summary data-sign=\""),
			looks[v.look].sign, markup("\"><b><bdi>"), v.name(), markup("</bdi></b> <span>"), v.headline)
		if len(v.others) > 0 {
			p.add(p.w(", and something wants attention"))
		}
		p.add(markup("</span>"))
		p.strip(v.Device, false)
		p.add(markup("</summary>\n"))
		if v.look == lookGood {
			v.what = ""
		}
		p.advice(v)
		for _, problem := range v.others {
			p.advice(roomView{what: problem.What, hint: problem.Hint, detail: problem.Detail})
		}
		p.add(markup("<p><a href=\"/?device="), v.Device, markup("\">"), p.w("Charts and calls"), markup("</a></p></details>\n"))
	}
	p.add(markup("</div>\n"))
}

// strip draws the grades of the last hour: for each level a line with a dash for each
// of its stretches, so that even a restless hour stays small. said: it is told in words
// too.
func (p *page) strip(device string, said bool) {
	var dashes [len(levels)]strings.Builder
	var minutes, drawn [len(levels)]int
	strip := p.history.strip(device, p.now)
	if len(p.rooms) > 100 { // two minutes are one
		for i := 0; i < len(strip); i += 2 {
			strip[i] = max(strip[i], strip[i+1])
			strip[i+1] = strip[i]
		}
	}
	for i := 0; i < len(strip); {
		end := i + 1
		for end < len(strip) && strip[end] == strip[i] {
			end++
		}
		if l := strip[i]; l != levelNone {
			n := l.shown()
			if drawn[n] == 0 {
				dashes[n].WriteString("0")
			}
			fmt.Fprintf(&dashes[n], " %d %d", i-drawn[n], end-i)
			drawn[n] = end
			minutes[n] += end - i
		}
		i = end
	}
	p.add(markup("<svg class=\"strip\" viewBox=\"0 0 60 2\" preserveAspectRatio=\"none\""))
	if said {
		words := []string{p.w("The last hour, in minutes:")}
		for i, n := range minutes {
			if n > 0 {
				words = append(words, fmt.Sprintf("%s %d", p.w(levels[i].word), n))
			}
		}
		if len(words) == 1 {
			words = append(words, p.w("nothing known"))
		}
		p.add(markup(" role=\"img\" aria-label=\""), strings.Join(words, " "), markup("\""))
	} else {
		p.add(markup(" aria-hidden=\"true\""))
	}
	p.add(markup(">"))
	for i := range dashes {
		if drawn[i] > 0 {
			p.add(markup("<path class=\""), levels[i].class, markup("\" d=\"M0 1H60\" stroke-dasharray=\""), markup(dashes[i].String()), markup(" 60\"/>"))
		}
	}
	p.add(markup("</svg>"))
}

// levels are how the strip shows the levels of a point.
var levels = [...]struct {
	class markup
	word  string
}{{"failed", "no answer"}, {"busy", "busy"}, {"idle", "ready"}, {"call", "in a call"}, {"good", "good"}, {"fair", "fair"}, {"poor", "poor"}}

// shown is the index of a level in levels.
func (l level) shown() int {
	switch state, grade := l.codes(); state {
	case 0:
		return 2
	case 1:
		return 3 + grade
	case 4, 5:
		return 1
	}
	return 0
}

// problems writes what else is wrong, a line each; what is critical is unfolded. A code
// may be there twice, an id of the page may not.
func (p *page) problems(list []health.Problem) {
	p.add(markup("<div id=\"problems\">\n"))
	times := map[string]int{}
	for _, problem := range list {
		id := "p-" + problem.Code
		if times[id]++; times[id] > 1 {
			id += "-" + strconv.Itoa(times[id])
		}
		class, sign, open := looks[lookBusy].class, looks[lookPoor].sign, markup("")
		if problem.Severity == health.Critical {
			class, sign, open = looks[lookFailed].class, looks[lookFailed].sign, " open"
		}
		p.add(markup("<details id=\""), id, markup("\" class=\"problem "), class, markup("\""), open, markup("><summary><span class=\"sign\" aria-hidden=\"true\">"), sign,
			markup("</span><b>"), problem.What, markup("</b></summary>\n"))
		p.advice(roomView{hint: problem.Hint, detail: problem.Detail})
		p.add(markup("</details>\n"))
	}
	p.add(markup("</div>\n"))
}

// columns of the table of media: heading, key of the sample, decimals.
var columns = [...]struct {
	head, key string
	decimals  int
}{
	{"Loss %", "loss_pct", 2}, {"Jitter ms", "jitter_ms", 0}, {"Delay ms", "delay_ms", 0},
	{"kbit/s", "bitrate_kbps", 0}, {"Frames/s", "fps", 0}, {"Lines", "height", 0}, {"MOS est.", "mos_est", 1},
}

// shownMedia are the rows of the table.
var shownMedia = [...]struct {
	medium
	word string
}{
	{medium{"audio", "send"}, "Audio sent"}, {medium{"video", "send"}, "Video sent"}, {medium{"aux", "send"}, "Content sent"},
	{medium{"audio", "recv"}, "Audio received"}, {medium{"video", "recv"}, "Video received"}, {medium{"aux", "recv"}, "Content received"},
}

// table shows the newest sample. A medium without any value has no row, and what is
// beyond a limit is marked with it.
func (p *page) table(e health.Endpoint) {
	p.add(markup("<div id=\"values\">\n"))
	values := measurements(e.Sample)
	rows := 0
	for _, m := range shownMedia {
		known := false
		for _, c := range columns {
			_, ok := values[m.key(c.key)]
			known = known || ok
		}
		if !known {
			continue
		}
		if rows++; rows == 1 {
			p.add(markup("<section><h2>"), p.w("Now"), markup("</h2>\n<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><td></td>"))
			for _, c := range columns {
				p.add(markup("<th scope=\"col\">"), p.w(c.head), markup("</th>"))
			}
			p.add(markup("</tr></thead>\n<tbody>\n"))
		}
		p.add(markup("<tr><th scope=\"row\">"), p.w(m.word), markup("</th>"))
		for _, c := range columns {
			v, known := values[m.key(c.key)]
			if !known {
				p.add(markup("<td></td>"))
				continue
			}
			text := strconv.FormatFloat(v, 'f', c.decimals, 64)
			grade, limit := p.beyond(e, m.medium, c.key, v)
			if grade == "" {
				p.add(markup("<td>"), text, markup("</td>"))
				continue
			}
			p.add(markup("<td class=\""), markup(grade), markup("\"><b>"), text, markup("</b> <small>"), fmt.Sprintf(p.w("limit %s"), limit), markup("</small></td>"))
		}
		p.add(markup("</tr>\n"))
	}
	if rows > 0 {
		p.add(markup("</tbody></table></div></section>\n"))
	}
	p.add(markup("</div>\n"))
}

// beyond is the grade of a value that is beyond a limit, with that limit; "" = it is
// within.
func (p *page) beyond(e health.Endpoint, m medium, key string, v float64) (grade, limit string) {
	for _, grade := range []string{"poor", "fair"} {
		l, known := p.status.Limits[e.Limits][m.media+"_"+key+"_"+grade]
		if known && (key == "fps" && v < l || key != "fps" && v >= l) {
			return grade, strconv.FormatFloat(l, 'f', -1, 64)
		}
	}
	return "", ""
}

// charts writes the places that the script draws into.
func (p *page) charts(e health.Endpoint) {
	words, _ := json.Marshal(map[string]string{"audio": p.w("audio"), "video": p.w("video"), "aux": p.w("content"), "time": p.w("Time")})
	limits, _ := json.Marshal(p.status.Limits[e.Limits])
	_, zone := p.now.Zone()
	call := int64(0)
	if e.InCall && !e.CallSince.IsZero() {
		call = e.CallSince.Unix()
	}
	p.add(markup("<section id=\"charts\" class=\"charts\" hidden data-device=\""), e.Device, markup("\" data-zone=\""), zone, markup("\" data-interval=\""), e.IntervalS,
		markup("\" data-call=\""), call, markup("\" data-words=\""), string(words), markup("\" data-limits=\""), string(limits), markup("\">\n<h2>"),
		p.w("Charts"), markup("</h2>\n<div class=\"spans\" role=\"group\" aria-label=\""), p.w("Time"), markup("\">"))
	for _, span := range []struct{ id, word string }{{"hour", "Last hour"}, {"call", "This call"}, {"day", "Last day"}} {
		p.add(markup("<button type=\"button\" data-span=\""), span.id, markup("\" aria-pressed=\"false\">"), p.w(span.word), markup("</button>"))
	}
	p.add(markup("</div>\n<p class=\"dim\" id=\"nocall\" hidden>"), p.w("No call in this time."), markup("</p>\n<p class=\"dim\" id=\"worst\" hidden>"), p.w("Each point is the worst of its minute."), markup("</p>\n<div class=\"plots\" data-keep>\n"))
	for _, c := range []struct{ key, send, recv string }{
		{"loss_pct", "Loss sent, %", "Loss received, %"}, {"jitter_ms", "Jitter sent, ms", "Jitter received, ms"},
		{"delay_ms", "Delay sent, ms", "Delay received, ms"}, {"bitrate_kbps", "Bit rate sent, kbit/s", "Bit rate received, kbit/s"},
		{"fps", "Frame rate sent, /s", "Frame rate received, /s"},
	} {
		for _, one := range []struct{ direction, word string }{{"send", c.send}, {"recv", c.recv}} {
			p.add(markup("<figure data-key=\""), markup(c.key), markup("\" data-direction=\""), markup(one.direction), markup("\"><figcaption>"), p.w(one.word), markup("</figcaption></figure>\n"))
		}
	}
	p.add(markup("</div>\n</section>\n"))
}

// calls writes the calls of a day, the newest first.
func (p *page) calls(e health.Endpoint) {
	p.add(markup("<section id=\"calls\"><h2>"), p.w("Calls of the last 24 hours"), markup("</h2>\n"))
	list := p.history.callsOf(e.Device, p.now)
	if len(list) == 0 {
		p.add(markup("<p class=\"dim\">"), p.w("No call has ended."), markup("</p></section>\n"))
		return
	}
	p.add(markup("<div class=\"scroll\" tabindex=\"0\"><table class=\"calls\">\n<thead><tr>"))
	for _, head := range []string{"Start", "Duration", "Grade", "Cause"} {
		p.add(markup("<th scope=\"col\">"), p.w(head), markup("</th>"))
	}
	p.add(markup("</tr></thead>\n<tbody>\n"))
	for _, c := range list {
		start := time.UnixMilli(c.StartMs)
		shown := looks[lookOf(c.Grade)]
		cause, _ := p.lang.Call(health.Call{Grade: c.Grade, Reasons: c.Cause, Scope: c.scope()})
		p.add(markup("<tr><td><time datetime=\""), start.UTC().Format(time.RFC3339), markup("\">"), p.lang.Clock(start, p.now), markup("</time></td><td>"),
			p.lang.For(time.Duration(c.DurationS*float64(time.Second))), markup("</td><td class=\""), shown.class, markup("\"><span aria-hidden=\"true\">"),
			shown.sign, markup("</span> "), p.lang.Grade(cmp.Or(c.Grade, "unknown")), markup("</td><td>"), cause, markup("</td></tr>\n"))
	}
	p.add(markup("</tbody></table></div></section>\n"))
}

// fact is a line of a list; one without a value is not shown.
type fact struct{ name, value string }

// fold writes one line, with its details folded.
func (p *page) fold(title, line string, class markup, facts []fact) {
	p.add(markup("<details class=\"fold\"><summary><b>"), title, markup("</b> <span class=\""), class, markup("\">"), line, markup("</span></summary>\n<dl>\n"))
	for _, f := range facts {
		if f.value != "" {
			p.add(markup("<dt>"), f.name, markup("</dt><dd>"), f.value, markup("</dd>\n"))
		}
	}
	p.add(markup("</dl></details>\n"))
}

// agent writes the broker, the store and the agent, a line each.
func (p *page) agent() {
	s := p.status
	b := s.Broker
	line, class := p.lang.State("broker", b.State), markup("ok")
	if !b.Since.IsZero() {
		line += " · " + p.lang.For(p.now.Sub(b.Since))
	}
	if b.State != "connected" {
		class = "bad"
	}
	proof := p.w(map[string]string{
		"proven": "proven: the broker handed a test message back", "unproven": "not proven: no right to read the echo topic",
		"failed": "failed: acknowledged, but not handed back", "pending": "being checked", "": "not checked yet",
	}[b.Proof])
	p.fold(p.w("Broker"), line, class, []fact{
		{p.w("Address"), b.URL}, {p.w("Delivery"), proof}, {p.w("Delivered"), fmt.Sprintf(p.w("%d records"), b.Acked)},
		{p.w("Last confirmation"), p.lang.Ago(b.LastAck, p.now)}, {p.w("In flight"), fmt.Sprint(b.InFlight)},
		{p.w("Connections"), fmt.Sprintf(p.w("%d made, %d lost"), b.Connects, b.Losses)}, {p.w("Error"), b.Error},
	})
	m := s.Buffer
	line, class = fmt.Sprintf(p.w("%s · %d records wait · %s of %s"), p.lang.State("store", m.State), m.Waiting, health.Bytes(m.BytesOnDisk), health.Bytes(m.MaxBytes)), "ok"
	if m.State != "open" {
		class = "bad"
	}
	free := ""
	if m.DiskFree != nil {
		free = health.Bytes(*m.DiskFree)
	}
	count := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	p.fold(p.w("Store"), line, class, []fact{
		{p.w("Oldest that waits"), p.lang.Ago(m.Oldest, p.now)}, {p.w("Delivered and kept"), fmt.Sprintf(p.w("%d records"), m.DeliveredKept)},
		{p.w("Files"), strconv.Itoa(m.Segments)}, {p.w("Free on the disk"), free}, {p.w("Evicted"), count(m.Evicted)},
		{p.w("Polls not recorded"), count(health.MissedPolls(m.Missed))}, {p.w("Quarantined"), count(m.Quarantined)},
		{p.w("Damaged files"), count(uint64(m.DamagedFiles))}, {p.w("Error"), m.Error},
	})
	p.fold(p.w("Agent"), "roomcall "+s.Version, "", []fact{
		{p.w("Client id"), s.ClientID}, {p.w("Site"), s.Site}, {p.w("Running for"), p.lang.For(time.Duration(s.UptimeS) * time.Second)},
		{p.w("Config"), s.ConfigPath}, {p.w("Time of this page"), p.now.Format("2006-01-02 15:04:05 -0700")},
	})
	p.add(markup("<p class=\"dim links\"><a href=\"/api/v1/status\">"), p.w("Status as JSON"), markup("</a> · <a href=\"/metrics\">"), p.w("Metrics"),
		markup("</a> · <a href=\"/readyz\">"), p.w("Ready?"), markup("</a></p>\n"))
}
