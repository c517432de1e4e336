package story

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"roomcall/agent/health"
	"roomcall/agent/report"
	"roomcall/agent/report/payload"
)

// Look says for whom a story is written.
type Look struct {
	Lang health.Lang
	Zone *time.Location // of all times
}

// Bounds of what is listed, so that a report stays readable whatever happened.
const (
	maxListed = 20
	maxShort  = 3 // of a kind, in "In short"
	// secondsBelow: a report of less has seconds in its times.
	secondsBelow = 15 * time.Minute
	// Together: this many rooms within this many milliseconds.
	clusterRooms  = 5
	clusterWindow = 60_000
)

// document is a story in words, before it becomes text or HTML.
type document struct {
	title    string
	intro    []string
	sections []section
}

type section struct {
	Title  string
	Lines  []string
	Tables []table
}

type table struct {
	Lead     string // a line above it
	Head     []string
	Rows     []row
	more     int    // rows that are left out
	MoreText string // how many, in words
}

// row is a row of a table; note is a sentence below it, hint its next step. grade
// colours it.
type row struct {
	Cells      []string
	Note, Hint string
	Grade      string
}

// writer composes a document.
type writer struct {
	*Story
	Look
	doc  document
	from time.Time
	to   time.Time
}

// compose puts the story into words.
func (s *Story) compose(look Look) document {
	w := &writer{Story: s, Look: look}
	w.span()
	w.head()
	w.short()
	w.callsSection()
	w.roomsSection()
	w.causesSection()
	w.togetherSection()
	w.incidentsSection()
	w.endpointsSection()
	w.deliverySection()
	w.gapsSection()
	w.minutesSection()
	w.unknownSection()
	for i := range w.doc.sections {
		for j := range w.doc.sections[i].Tables {
			if t := &w.doc.sections[i].Tables[j]; t.more > 0 {
				t.MoreText = w.say("more", t.more)
			}
		}
	}
	return w.doc
}

// span chooses the time that the report is about: what was asked for, else what the
// records span, calls that began before included.
func (w *writer) span() {
	w.from, w.to = time.UnixMilli(w.fromMs).In(w.Zone), time.UnixMilli(w.toMs).In(w.Zone)
	if !w.options.Since.IsZero() {
		w.from = w.options.Since.In(w.Zone)
	}
	if !w.options.Until.IsZero() {
		w.to = w.options.Until.In(w.Zone)
	}
}

// say fills a sentence of the report.
func (w *writer) say(key string, args ...any) string {
	text := words[w.Lang][key]
	if text == "" {
		text = words[health.English][key]
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// at is a time for people: with its day only in a report of more than a day, with
// seconds only in a short one.
func (w *writer) at(ms int64) string {
	t := time.UnixMilli(ms).In(w.Zone)
	switch long := w.to.Sub(w.from); {
	case long < secondsBelow:
		return t.Format("15:04:05")
	case long <= 24*time.Hour:
		return t.Format("15:04")
	}
	return t.Format(w.say("day"))
}

func (w *writer) ms(ms int64) string { return w.Lang.For(time.Duration(ms) * time.Millisecond) }

func (w *writer) seconds(s float64) string {
	return w.Lang.For(time.Duration(s * float64(time.Second)))
}

func (w *writer) section(title string) *section {
	w.doc.sections = append(w.doc.sections, section{Title: w.say(title)})
	return &w.doc.sections[len(w.doc.sections)-1]
}

// dropIfEmpty takes back the newest section when it has nothing to tell.
func (w *writer) dropIfEmpty() {
	last := &w.doc.sections[len(w.doc.sections)-1]
	if len(last.Lines) == 0 && len(last.Tables) == 0 {
		w.doc.sections = w.doc.sections[:len(w.doc.sections)-1]
	}
}

func (sec *section) line(text string) { sec.Lines = append(sec.Lines, text) }

// add puts a table into the section unless it is empty; of more rows than are listed
// the first stay.
func (sec *section) add(t table) {
	if len(t.Rows) == 0 {
		return
	}
	if over := len(t.Rows) - maxListed; over > 0 {
		t.Rows, t.more = t.Rows[:maxListed], t.more+over
	}
	sec.Tables = append(sec.Tables, t)
}

func (w *writer) heads(keys ...string) (out []string) {
	for _, key := range keys {
		out = append(out, w.say(key))
	}
	return out
}

// zoneName says which zone the times are in.
func (w *writer) zoneName() string {
	name := func(t time.Time) string {
		if _, offset := t.Zone(); offset == 0 {
			return "UTC"
		}
		return "UTC" + t.Format("-07:00")
	}
	if a, b := name(w.from), name(w.to); a != b {
		return a + " / " + b
	}
	return name(w.from)
}

func (w *writer) head() {
	of := slices.Sorted(maps.Keys(w.sites))
	if len(of) == 0 {
		of = slices.Sorted(maps.Keys(w.agents))
	}
	if len(w.rooms) == 1 {
		for p := range w.rooms {
			of = []string{w.roomName(p)}
		}
	}
	if len(of) > maxShort {
		of = append(of[:maxShort:maxShort], "...")
	}
	w.doc.title = w.say("report", strings.Join(of, ", "))
	layout := w.say("date")
	if w.to.Sub(w.from) < secondsBelow {
		layout = w.say("date_seconds")
	}
	whole := w.say("whole")
	if w.missing > 0 {
		whole = w.say("missing", w.missing)
	}
	w.doc.intro = []string{
		w.say("span", w.from.Format(layout), w.to.Format(layout), w.zoneName()),
		w.say("from", w.records, len(w.rooms), len(w.agents), whole),
	}
}

func (w *writer) short() {
	sec := w.section("short")
	sum, calls := w.total()
	grades := w.grades()
	switch {
	case calls == 0:
		sec.line(w.say("no_calls"))
	case grades["good"] == calls:
		sec.line(w.say("all_good", calls))
	case grades["poor"]+grades["fair"] == 0:
		sec.line(w.say("no_bad", calls, calls-grades["good"]))
	default:
		sec.line(w.say("some_bad", calls, grades["poor"], grades["fair"], sum.share(sum.poor)))
	}
	if worst := w.worstRooms(); len(worst) > 0 && len(w.rooms) > 1 && w.rooms[worst[0]].spent.poor > 0 {
		r := w.rooms[worst[0]]
		if cause := w.Lang.Reason(r.mainCause()); cause != "" {
			sec.line(w.say("worst_room", r.name, w.seconds(r.spent.poor), cause))
		} else {
			sec.line(w.say("worst_plain", r.name, w.seconds(r.spent.poor)))
		}
	}
	for i, c := range w.clusters(clusterRooms, clusterWindow) {
		if i < maxShort {
			sec.line(w.say("together", len(c.rooms), w.at(c.fromMs)))
		}
	}
	open := 0
	for _, i := range w.incidentsOf("quality.degraded") {
		if i.endMs == 0 && open < maxShort {
			open++
			sec.line(w.say("open_poor", w.roomName(i.place), w.Lang.Headline("in_call", "poor", time.UnixMilli(i.sinceMs), time.UnixMilli(w.toMs))))
		}
	}
	outages := w.incidentsOf("endpoint.offline", "endpoint.refused", "endpoint.error")
	slices.SortStableFunc(outages, func(a, b *incident) int { return cmp.Compare(w.lastedMs(b), w.lastedMs(a)) })
	for i, o := range outages {
		if i < maxShort {
			sec.line(w.say("outage_short", w.at(o.sinceMs), w.roomName(o.place), w.trouble(o), w.lasted(o)))
		}
	}
	silent := map[string]int64{}
	for _, s := range w.silences() {
		silent[s.client] += s.to - s.from + 1
	}
	for i, client := range slices.SortedFunc(maps.Keys(silent), func(a, b string) int {
		return cmp.Or(cmp.Compare(silent[b], silent[a]), cmp.Compare(a, b))
	}) {
		if i < maxShort {
			sec.line(w.say("silence_short", client, w.ms(60_000*silent[client])))
		}
	}
	if n := sumGaps(w.gaps); n > 0 {
		sec.line(w.say("gaps_short", n))
	}
	if n := w.missedCount(); n > 0 {
		sec.line(w.say("missed_short", n))
	}
}

// grades counts the calls by grade.
func (w *writer) grades() map[string]int {
	out := map[string]int{}
	for _, c := range w.callList {
		if c.grade != "" {
			out[c.grade]++
		}
	}
	return out
}

func (w *writer) callsSection() {
	sec := w.section("calls")
	sum, calls := w.total()
	grades := w.grades()
	if calls > 0 {
		sec.line(w.say("calls_sum", calls, w.seconds(sum.all()), grades["good"], grades["fair"], grades["poor"], grades["unknown"]))
	}
	if sum.all() > 0 {
		sec.line(w.say("time_sum", sum.share(sum.good), sum.share(sum.fair), sum.share(sum.poor), sum.share(sum.unknown)))
	}
	if most, at := w.peak(); most > 1 {
		sec.line(w.say("peak", most, w.at(at)))
	}
	unfinished := 0
	for _, c := range w.callList {
		if c.endMs == 0 {
			unfinished++
		}
	}
	list := w.badCalls()
	t := table{Lead: w.say("worst_values"), Head: w.heads("when", "room", "lasted", "grade", "poor", "fair")}
	if len(w.callList) <= maxListed { // all of them, in order
		list, t.Lead = w.callList, ""
	} else if unfinished > 0 {
		sec.line(w.say("running", unfinished))
	}
	for _, c := range list {
		t.Rows = append(t.Rows, w.callRow(c))
	}
	sec.add(t)
	w.dropIfEmpty()
}

// callRow is a call in a list.
func (w *writer) callRow(c *call) row {
	out := row{Grade: c.grade, Cells: []string{w.at(c.startMs), w.roomName(c.place)}}
	if c.endMs == 0 {
		out.Note = w.say("open_end")
		return out
	}
	out.Cells = append(out.Cells, w.ms(c.endMs-c.startMs))
	if c.grade == "" {
		out.Note = w.say("unrecorded")
		return out
	}
	out.Cells = append(out.Cells, w.Lang.Grade(c.grade))
	if c.grade == "poor" || c.grade == "fair" {
		out.Cells = append(out.Cells, w.some(c.spent.poor), w.some(c.spent.fair))
		what, hint := w.Lang.Call(c.words())
		out.Note = what
		if len(w.callList) == 1 { // otherwise the causes say it
			out.Hint = hint
		}
	}
	if c.coverage < 99.5 {
		out.Note = strings.TrimSpace(out.Note + w.say("seen", c.coverage))
	}
	return out
}

// some is a time, "" for none.
func (w *writer) some(seconds float64) string {
	if seconds < 0.5 {
		return ""
	}
	return w.seconds(seconds)
}

func (w *writer) roomsSection() {
	list := w.worstRooms()
	if len(w.rooms) < 2 || len(list) == 0 {
		return
	}
	t := table{Head: w.heads("room", "count", "time", "poor", "fair", "share", "cause")}
	for _, p := range list {
		r := w.rooms[p]
		t.Rows = append(t.Rows, row{Cells: []string{r.name, fmt.Sprint(r.calls), w.seconds(r.spent.all()),
			w.some(r.spent.poor), w.some(r.spent.fair), fmt.Sprintf("%.1f %%", r.spent.share(r.spent.poor)), w.Lang.Reason(r.mainCause())}})
	}
	w.section("rooms_title").add(t)
}

func (w *writer) causesSection() {
	list := w.causes()
	if len(list) == 0 || len(w.callList) == 1 { // then the call has said it
		return
	}
	t := table{Head: w.heads("count", "rooms", "poor", "fair")}
	for _, f := range list {
		what, hint := w.Lang.Call(f.words)
		t.Rows = append(t.Rows, row{Cells: []string{fmt.Sprint(f.calls), fmt.Sprint(len(f.rooms)), w.some(f.poor), w.some(f.fair)}, Note: what, Hint: hint})
	}
	w.section("causes_title").add(t)
}

func (w *writer) togetherSection() {
	list := w.clusters(clusterRooms, clusterWindow)
	if len(list) == 0 {
		return
	}
	sec := w.section("together_title")
	sec.line(w.say("together_text", clusterRooms))
	t := table{Head: w.heads("when", "until", "rooms")}
	for _, c := range list {
		var names []string
		for p := range c.rooms {
			names = append(names, w.roomName(p))
		}
		slices.Sort(names)
		if len(names) > maxListed {
			names = append(names[:maxListed], "...")
		}
		t.Rows = append(t.Rows, row{Cells: []string{w.at(c.fromMs), w.at(c.toMs), fmt.Sprint(len(c.rooms))}, Note: strings.Join(names, ", ")})
	}
	sec.add(t)
}

// lasted is how long an incident lasted, in words.
func (w *writer) lasted(i *incident) string {
	if i.endMs == 0 {
		return w.say("still", w.ms(w.lastedMs(i)))
	}
	return w.ms(w.lastedMs(i))
}

func (w *writer) incidentsSection() {
	list := w.incidentsOf("quality.degraded")
	sec := w.section("incidents")
	var all, held int64
	for _, i := range list {
		all += w.lastedMs(i)
		held += i.held
	}
	if len(list) > 0 {
		sec.line(w.say("incidents_text", len(list), w.ms(all)))
	}
	if held > 0 {
		sec.line(w.say("held", held))
	}
	t := table{Head: w.heads("when", "room", "lasted")}
	slices.SortStableFunc(list, func(a, b *incident) int { return cmp.Compare(w.lastedMs(b), w.lastedMs(a)) })
	if len(list) > maxListed/2 {
		list, t.more = list[:maxListed/2], len(list)-maxListed/2
	}
	slices.SortStableFunc(list, func(a, b *incident) int { return cmp.Compare(a.sinceMs, b.sinceMs) })
	for _, i := range list {
		what, _ := w.Lang.Call(i.words())
		t.Rows = append(t.Rows, row{Cells: []string{w.at(i.sinceMs), w.roomName(i.place), w.lasted(i)}, Note: what})
	}
	sec.add(t)
	w.dropIfEmpty()
}

// states are the states of an endpoint by the incidents that they make.
var states = map[string]string{
	"endpoint.offline": "unreachable", "endpoint.refused": "refused", "endpoint.busy": "busy", "endpoint.error": "error",
}

// trouble is an incident of an endpoint in words.
func (w *writer) trouble(i *incident) string {
	if state := states[i.what]; state != "" {
		return w.Lang.Headline(state, "", time.Time{}, w.to)
	}
	return w.say("clock_off")
}

func (w *writer) endpointsSection() {
	sec := w.section("outages")
	list := w.incidentsOf("endpoint.offline", "endpoint.refused", "endpoint.busy", "endpoint.error", "endpoint.clock_off")
	t := table{Head: w.heads("when", "room", "lasted", "what")}
	for _, i := range list {
		t.Rows = append(t.Rows, row{Cells: []string{w.at(i.sinceMs), w.roomName(i.place), w.lasted(i), w.trouble(i)}, Hint: w.Lang.HintFor(i.code, nil)})
	}
	sec.add(t)
	var polls, ok int64
	for _, r := range w.rooms {
		polls, ok = polls+r.samples, ok+r.ok
	}
	if len(list) == 0 && polls > 0 && polls == ok {
		sec.line(w.say("outages_none"))
	}
	w.dropIfEmpty()
}

func (w *writer) deliverySection() {
	sec := w.section("delivery")
	t := table{Lead: w.say("silences"), Head: w.heads("when", "until", "agent", "lasted")}
	for _, s := range w.silences() {
		t.Rows = append(t.Rows, w.spanRow(s))
	}
	sec.add(t)
	t = table{Lead: w.say("delays"), Head: w.heads("when", "until", "agent", "lasted")}
	for _, s := range w.delays() {
		t.Rows = append(t.Rows, w.spanRow(s))
	}
	sec.add(t)
	t = table{Head: w.heads("when", "agent")}
	for _, i := range w.incidentsOf("agent.store_failing") {
		what := cmp.Or(w.Lang.What(i.code, nil), w.say("store_failing"))
		t.Rows = append(t.Rows, row{Cells: []string{w.at(i.sinceMs), i.client}, Note: what + ", " + w.lasted(i), Hint: w.Lang.HintFor(i.code, nil)})
	}
	notices := slices.Clone(w.notices)
	notices = slices.DeleteFunc(notices, func(n notice) bool { return n.Type == "agent.missed" })
	if len(notices) > maxListed/2 { // a start is good to know, not trouble
		notices = slices.DeleteFunc(notices, func(n notice) bool { return n.Severity == "info" })
	}
	for _, n := range notices {
		t.Rows = append(t.Rows, row{Cells: []string{w.at(n.TsMs), n.client}, Note: w.noticeText(&n)})
	}
	sec.add(t)
	w.dropIfEmpty()
}

// noticeText is the text of an agent's own event: its own words, unless they are in
// another language.
func (w *writer) noticeText(n *notice) string {
	chinese := strings.ContainsFunc(n.Text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
	if n.Text != "" && chinese == (w.Lang == health.Chinese) {
		return n.Text
	}
	return cmp.Or(report.AgentText(w.Lang, &n.Event, w.Zone), n.Text, n.Type)
}

func (w *writer) spanRow(s span) row {
	return row{Cells: []string{w.at(60_000 * s.from), w.at(60_000 * (s.to + 1)), s.client, w.ms(60_000 * (s.to - s.from + 1))}}
}

func (w *writer) missedCount() (n uint64) {
	for _, m := range w.notices {
		if m.Type == "agent.missed" {
			n += m.Count
		}
	}
	return n
}

// sumGaps counts what the agents announced as gone; growing ranges count once.
func sumGaps(list []gap) (n uint64) {
	for _, g := range mergeGaps(list) {
		n += g.count
	}
	return n
}

// mergeGaps joins the ranges of a topic that overlap; they have the reason and the
// time of the first.
func mergeGaps(list []gap) (out []gap) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b gap) int {
		return cmp.Or(comparePlaces(a.place, b.place), cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.kind, b.kind), cmp.Compare(a.first, b.first))
	})
	for _, g := range list {
		n := len(out)
		if n > 0 && out[n-1].topic == g.topic && g.first <= out[n-1].last {
			if g.last > out[n-1].last {
				out[n-1].last = g.last
			}
			out[n-1].count = max(out[n-1].count, g.count)
			continue
		}
		out = append(out, g)
	}
	return out
}

func (w *writer) gapsSection() {
	sec := w.section("gaps")
	if w.missing > 0 {
		sec.line(w.say("gaps_text", w.missing, w.explained, w.missing-w.explained))
	}
	type key struct {
		place
		kind, reason string
	}
	sums := map[key]uint64{}
	first := map[key]int64{}
	for _, g := range mergeGaps(w.gaps) {
		k := key{g.place, g.kind, g.reason}
		sums[k] += g.count
		if first[k] == 0 || g.atMs < first[k] {
			first[k] = g.atMs
		}
	}
	t := table{Lead: w.say("gaps_announced"), Head: w.heads("when", "room", "kind", "records", "why")}
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b key) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), comparePlaces(a.place, b.place), cmp.Compare(a.kind, b.kind), cmp.Compare(a.reason, b.reason))
	}) {
		t.Rows = append(t.Rows, row{Cells: []string{w.at(first[k]), w.roomName(k.place), k.kind, fmt.Sprint(sums[k]), w.Lang.Why(k.reason)}})
	}
	sec.add(t)
	t = table{Lead: w.say("missed"), Head: w.heads("when", "until", "room", "polls", "why")}
	for _, n := range w.notices {
		if n.Type == "agent.missed" {
			t.Rows = append(t.Rows, row{Cells: []string{w.at(cmp.Or(n.SinceMs, n.TsMs)), w.at(n.TsMs), w.roomName(place{n.client, n.OfDevice}), fmt.Sprint(n.Count), w.Lang.Why(n.Reason)}})
		}
	}
	sec.add(t)
	w.dropIfEmpty()
}

func (w *writer) minutesSection() {
	sec := w.section("minutes")
	t := table{Lead: w.say("minutes_text"), Head: w.heads("when", "room", "what", "value")}
	for k, list := range w.worst {
		for _, m := range list {
			unit := " ms"
			if metricKeys[k].key == "loss_pct" {
				unit = " %"
			}
			t.Rows = append(t.Rows, row{Cells: []string{w.at(60_000 * m.minute), w.roomName(m.place), w.Lang.Reason(m.key), fmt.Sprintf("%g", payload.Round(m.value, 1)) + unit}})
		}
	}
	sec.add(t)
	w.dropIfEmpty()
}

func (w *writer) unknownSection() {
	sec := w.section("unknown")
	var polls, ok int64
	for _, r := range w.rooms {
		polls, ok = polls+r.samples, ok+r.ok
	}
	if polls == 0 {
		sec.line(w.say("no_minutes"))
	} else if ok < polls {
		sec.line(w.say("polls_text", polls, math.Floor(10000*float64(ok)/float64(polls))/100))
	}
	sum, calls := w.total()
	if sum.unknown >= 1 {
		sec.line(w.say("unknown_time", w.seconds(sum.unknown)))
	}
	if calls == 0 && len(w.callList) > 0 {
		sec.line(w.say("no_call_records"))
	}
	if first, last := time.UnixMilli(w.fromMs), time.UnixMilli(w.toMs); first.Sub(w.from) > time.Minute || w.to.Sub(last) > 2*time.Minute {
		sec.line(w.say("from_records", first.In(w.Zone).Format(w.say("date")), last.In(w.Zone).Format(w.say("date"))))
	}
	if w.options.Store {
		sec.line(w.say("no_broker"))
	}
	if l := w.leftOut; l != (leftOut{}) {
		sec.line(w.say("left_out", l.calls, l.incidents, l.notices, l.gaps, l.rooms))
	}
	w.dropIfEmpty()
}
