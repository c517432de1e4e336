package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"roomcall/agent/health"
	"roomcall/agent/host"
)

// fleetScreen is the live table and the look at one room. It renders only the rows
// that are on the screen, and its order changes once a second, not with each message.
type fleetScreen struct {
	fleet *fleet
	lang  health.Lang
	now   func() time.Time

	width, height int
	rows          []*fleetRow // that match the filter, in order
	top, at       int         // first row on the screen, the chosen row
	order         fleetOrder
	filter        string
	typing        bool
	open          *fleetRow // the room that is looked at, nil = the table
}

const (
	// refreshEvery is how often the order changes and ages grow.
	refreshEvery = time.Second
	// sizeEvery is how often the terminal is asked for its size.
	sizeEvery = 200 * time.Millisecond
)

// run shows the screen until a key or ctx ends it. in is where keys come
// from; when that is no terminal there are none.
func (s *fleetScreen) run(ctx context.Context, in, out *os.File, colours bool) error {
	var keys <-chan string
	if host.IsTerminal(in) {
		pressed, restore, err := host.Keys(in)
		if err != nil {
			return err
		}
		defer restore()
		keys = pressed
	}
	screen := &fullScreen{out: out, plain: !colours}
	screen.open()
	defer screen.close()
	tick := time.NewTicker(sizeEvery)
	defer tick.Stop()
	var refreshed time.Time
	for {
		if size := host.ScreenOf(out); size.Width != s.width || size.Height != s.height || time.Since(refreshed) >= refreshEvery {
			s.resize(size.Width, size.Height)
			refreshed = time.Now()
		}
		if err := screen.draw(s.lines(), host.Screen{Width: s.width, Height: s.height}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case key := <-keys:
			if s.press(key) {
				return nil
			}
		case <-tick.C:
		}
	}
}

// resize fits the table to a size, and sorts it anew.
func (s *fleetScreen) resize(width, height int) {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	s.width, s.height = width, height
	s.refresh()
}

// press does what a key stands for, and reports whether that is the end.
func (s *fleetScreen) press(key string) (quit bool) {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	defer s.refresh()
	if s.typing && key != "ctrl+c" {
		s.typeFilter(key)
		return false
	}
	page := max(s.page()-1, 1)
	switch key {
	case "q", "ctrl+c":
		return true
	case "esc":
		if s.open == nil {
			s.filter = ""
		}
		s.open = nil
	case "enter":
		switch {
		case s.open != nil:
			s.open = nil
		case s.at < len(s.rows):
			s.open = s.rows[s.at]
		}
	case "/":
		s.open, s.typing = nil, true
	case "s":
		if s.open == nil {
			s.order = (s.order + 1) % fleetOrders
			s.at = 0
		}
	case "up", "k":
		s.move(-1)
	case "down", "j":
		s.move(1)
	case "pgup":
		s.move(-page)
	case "pgdown", " ":
		s.move(page)
	case "home":
		s.move(-len(s.rows))
	case "end":
		s.move(len(s.rows))
	}
	return false
}

// typeFilter is a key while the filter is typed.
func (s *fleetScreen) typeFilter(key string) {
	switch {
	case key == "enter":
		s.typing = false
	case key == "esc":
		s.typing, s.filter = false, ""
	case key == "backspace":
		if runes := []rune(s.filter); len(runes) > 0 {
			s.filter = string(runes[:len(runes)-1])
		}
	case utf8.RuneCountInString(key) == 1 && len(s.filter) < nameMax:
		s.filter += ofOthers(key)
	}
}

// move chooses another row, which is the one looked at if one is.
func (s *fleetScreen) move(by int) {
	s.at = max(min(s.at+by, len(s.rows)-1), 0)
	if s.open != nil && s.at < len(s.rows) {
		s.open = s.rows[s.at]
	}
}

// refresh sorts anew. The first row stays the first, so that the worst is seen; any
// other choice follows its room.
func (s *fleetScreen) refresh() {
	var chosen *fleetRow
	if (s.at > 0 || s.open != nil) && s.at < len(s.rows) {
		chosen = s.rows[s.at]
	}
	s.fleet.judgeAll(s.now())
	s.rows = s.fleet.list(s.filter, s.order)
	for i, r := range s.rows {
		if r == chosen {
			s.at = i
		}
	}
	s.at = max(min(s.at, len(s.rows)-1), 0)
	page := s.page()
	s.top = max(min(s.top, s.at, len(s.rows)-page), s.at-page+1, 0)
}

// page is how many rows fit on the screen.
func (s *fleetScreen) page() int {
	return max(s.height-len(s.head())-len(s.foot())-1, 1) // the headings
}

// lines are what is on the screen.
func (s *fleetScreen) lines() []string {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	lines := s.head()
	if s.open != nil {
		lines = append(lines, s.room(s.open)...)
	} else {
		lines = append(lines, s.table()...)
	}
	foot := s.foot()
	room := max(s.height-len(foot), 0)
	lines = lines[:min(len(lines), room)]
	for len(lines) < room {
		lines = append(lines, "")
	}
	return append(lines, foot...)
}

// head is what is above the table: the connection, and the counts, the worst first.
func (s *fleetScreen) head() []string {
	w, now := watchWords[s.lang], s.now()
	f := s.fleet
	title := "roomcall watch  " + cmp.Or(f.broker, w.connecting)
	if gap := s.width - host.Columns(title) - 8; gap > 0 {
		title += strings.Repeat(" ", gap) + now.Format("15:04:05")
	}
	lines := []string{bold(title)}
	if !f.down.IsZero() {
		lines = append(lines, paint(rankLost, fmt.Sprintf(w.down, s.lang.For(now.Sub(f.down)))), dim(f.why))
	}
	count := f.count()
	parts := []string{fmt.Sprintf(w.rooms, len(f.rows))}
	for r, n := range count {
		if n > 0 {
			parts = append(parts, paint(rank(r), fmt.Sprintf("%d %s", n, w.ranks[r])))
		}
	}
	line := ""
	for _, part := range parts {
		switch {
		case line == "":
			line = part
		case host.Columns(line)+2+host.Columns(part) > s.width:
			lines = append(lines, line)
			line = part
		default:
			line += "  " + part
		}
	}
	return append(lines, line, "")
}

// foot is what is below the table: what cannot be seen, and the keys.
func (s *fleetScreen) foot() (lines []string) {
	w, f := watchWords[s.lang], s.fleet
	for _, note := range f.blindSpots(s.now()) {
		lines = append(lines, dim(w.notes[note]))
	}
	switch {
	case s.typing:
		return append(lines, "/"+s.filter+"_  "+fmt.Sprintf(w.matches, len(s.rows), len(f.rows))+"  "+dim(w.typingKeys))
	case s.open != nil:
		return append(lines, dim(w.roomKeys))
	}
	place := fmt.Sprintf("%d/%d", min(s.at+1, len(s.rows)), len(s.rows))
	if s.filter != "" {
		place += "  /" + s.filter
	}
	return append(lines, place+"  "+w.orders[s.order]+"  "+dim(w.keys))
}

// blindSpot is something that the watcher cannot see.
type blindSpot int

const (
	noRetained blindSpot = iota
	tooMany
)

// retainedPatience is how long the kept states of a fleet may take to come.
const retainedPatience = 10 * time.Second

// blindSpots are those that show by now.
func (f *fleet) blindSpots(now time.Time) (list []blindSpot) {
	if f.broker != "" && f.retained == 0 && now.Sub(f.up) > retainedPatience {
		list = append(list, noRetained)
	}
	if f.full {
		list = append(list, tooMany)
	}
	return list
}

// table are the headings and the rows that are on the screen.
func (s *fleetScreen) table() []string {
	w, now := watchWords[s.lang], s.now()
	c := columnsOf(s.width)
	lines := []string{dim(c.line(w.room, w.device, w.state, w.grade, w.worst, w.age))}
	if len(s.rows) == 0 {
		return append(lines, w.nothing)
	}
	for i := s.top; i < min(s.top+s.page(), len(s.rows)); i++ {
		r := s.rows[i]
		line := c.line(r.name(), r.key(), s.stateOf(r), s.gradeOf(r), dash(r.worst(s.lang)), health.Age(now.Sub(r.heard)))
		if i == s.at {
			line = reverse(line)
		} else {
			line = paint(r.rank, line)
		}
		lines = append(lines, line)
	}
	return lines
}

// stateOf is the state of a row in a word or two.
func (s *fleetScreen) stateOf(r *fleetRow) string {
	w := watchWords[s.lang]
	switch {
	case r.rank == rankLost, r.rank == rankStale && r.state != "" && !s.fleet.stopped(r):
		return w.ranks[r.rank]
	case r.rank == rankStale:
		return w.stopped
	}
	return cmp.Or(w.states[r.state], r.state)
}

// stopped: the agent of a row was stopped in good order.
func (f *fleet) stopped(r *fleetRow) bool {
	away, gone := f.gone[r.client]
	return gone && !away.lost
}

// gradeOf is the grade of the running call.
func (s *fleetScreen) gradeOf(r *fleetRow) string {
	if r.rank < rankPoor || r.rank == rankStale || r.rank == rankIdle {
		return "-"
	}
	return cmp.Or(watchWords[s.lang].grades[r.grade], r.grade)
}

// tableColumns are the widths of the columns; 0 = left out.
type tableColumns struct{ room, device, state, grade, worst, age int }

// columnsOf fits the columns into a width.
func columnsOf(width int) tableColumns {
	c := tableColumns{state: 13, grade: 7, age: 6}
	rest := width - c.state - c.grade - c.age - 3*2
	switch {
	case rest < 24: // a phone's or a split window
		c.room = max(rest+c.grade+2, 8)
		c.grade = 0
		return c
	case rest >= 84:
		c.device = 26
		rest -= c.device + 2
	}
	rest -= 2
	c.worst = min(max(rest/2, 12), 40)
	c.room = rest - c.worst
	return c
}

// line puts texts into the columns.
func (c tableColumns) line(room, device, state, grade, worst, age string) string {
	var b strings.Builder
	for _, cell := range []struct {
		text  string
		width int
	}{{room, c.room}, {device, c.device}, {state, c.state}, {grade, c.grade}, {worst, c.worst}} {
		if cell.width > 0 {
			b.WriteString(fit(cell.text, cell.width) + "  ")
		}
	}
	return b.String() + strings.Repeat(" ", max(c.age-host.Columns(age), 0)) + age
}

// fit cuts a text at the width of a cell, or fills it up.
func fit(text string, width int) string {
	text = host.Cut(text, width, "~")
	return text + strings.Repeat(" ", max(width-host.Columns(text), 0))
}

// room is the look at one room: how it is, in words, its readings, and what was seen
// of it since it is followed.
func (s *fleetScreen) room(r *fleetRow) []string {
	w, now := watchWords[s.lang], s.now()
	lines := []string{bold(r.name()), dim(r.key()), ""}
	lines = append(lines, paint(r.rank, s.headline(r, now)))
	if r.rank >= rankPoor && r.rank != rankStale && r.state == "in_call" {
		what, hint := s.lang.Call(health.CallOf(r.sample, nil))
		lines = append(lines, s.wrap(what)...)
		lines = append(lines, s.wrap(hint)...)
	} else {
		lines = append(lines, s.wrap(s.nextStep(r))...)
	}
	if r.err != "" {
		lines = append(lines, dim(r.err))
	}
	lines = append(lines, dim(fmt.Sprintf(w.heard, s.lang.For(now.Sub(r.heard)))), "")
	if readings := streamTable(r.sample, w); len(readings) > 1 {
		lines = append(append(lines, readings...), "")
	}
	return append(lines, s.seen(r)...)
}

// headline says how a room is, and since when if that was seen.
func (s *fleetScreen) headline(r *fleetRow, now time.Time) string {
	if r.rank == rankLost || r.rank == rankStale {
		text := s.stateOf(r)
		if !r.since.IsZero() {
			text += " " + fmt.Sprintf(watchWords[s.lang].since, s.lang.Clock(r.since, now))
		}
		return text
	}
	return s.lang.Headline(r.state, r.grade, r.since, now)
}

// nextStep is what to do about a room that is in no call.
func (s *fleetScreen) nextStep(r *fleetRow) string {
	switch {
	case r.rank == rankLost:
		return watchWords[s.lang].lostHint
	case r.rank == rankStale && !s.fleet.stopped(r):
		return watchWords[s.lang].staleHint
	case r.rank > rankBusy:
		return ""
	}
	return s.lang.HintFor("endpoint_"+r.state, nil)
}

func (s *fleetScreen) wrap(text string) []string {
	if text == "" {
		return nil
	}
	return host.Wrap(host.Printable(text), max(s.width, 20))
}

// streamTable are the readings of a sample: a heading, then one row a media and
// direction that has any.
func streamTable(payload []byte, w screenWords) []string {
	var sample map[string]any
	if json.Unmarshal(payload, &sample) != nil {
		return nil
	}
	measures := []string{"bitrate_kbps", "loss_pct", "jitter_ms", "delay_ms", "fps"}
	line := func(name string, cells []string) string {
		out := fit(name, 14)
		for _, cell := range cells {
			out += strings.Repeat(" ", max(10-host.Columns(cell), 1)) + cell
		}
		return out
	}
	lines := []string{dim(line(w.stream, []string{"kbit/s", w.media["loss"] + " %", w.media["jitter"] + " ms", w.media["delay"] + " ms", "fps"}))}
	for _, media := range []string{"audio", "video", "aux"} {
		for _, direction := range []string{"send", "recv"} {
			cells, any := []string{}, false
			for _, measure := range measures {
				v, ok := sample[media+"_"+direction+"_"+measure].(float64)
				any = any || ok
				if !ok {
					cells = append(cells, "-")
				} else {
					cells = append(cells, number(v))
				}
			}
			if any {
				lines = append(lines, line(w.media[media]+" "+w.media[direction], cells))
			}
		}
	}
	return lines
}

// seen are sparklines of what was seen of a room since it is followed.
func (s *fleetScreen) seen(r *fleetRow) []string {
	w, h := watchWords[s.lang], &r.past
	if len(h.points) == 0 {
		return nil
	}
	points := h.points[max(len(h.points)-max(s.width-30, 1), 0):]
	var strip strings.Builder
	for _, p := range points {
		strip.WriteString(mark(p))
	}
	lines := []string{
		fmt.Sprintf(w.seen, s.lang.For(s.now().Sub(h.began)), s.lang.For(h.step)),
		fit(w.state, 8) + strip.String() + "  " + dim(w.legend),
	}
	for _, measure := range []struct {
		name, unit string
		of         func(point) float32
	}{
		{w.media["loss"], "%", func(p point) float32 { return p.loss }},
		{w.media["jitter"], "ms", func(p point) float32 { return p.jitter }},
		{w.media["delay"], "ms", func(p point) float32 { return p.delay }},
	} {
		if line, most := spark(points, measure.of); most >= 0 {
			lines = append(lines, fit(measure.name, 8)+line+"  "+dim(fmt.Sprintf(w.most, number(float64(most))+" "+measure.unit)))
		}
	}
	return lines
}

// mark stands for a point in the strip of states.
func mark(p point) string {
	switch {
	case !p.seen:
		return " "
	case p.rank <= rankBusy:
		return paint(p.rank, "x")
	case p.rank == rankPoor:
		return paint(p.rank, "█")
	case p.rank == rankFair:
		return paint(p.rank, "▄")
	case p.rank == rankGood:
		return paint(p.rank, "▁")
	case p.rank == rankIdle:
		return paint(p.rank, ".")
	}
	return paint(p.rank, "?")
}

// spark draws numbers as blocks between 0 and the largest, which it returns; -1 = there
// is none.
func spark(points []point, of func(point) float32) (line string, most float32) {
	most = -1
	for _, p := range points {
		if v := of(p); p.seen && v > most {
			most = v
		}
	}
	var b strings.Builder
	for _, p := range points {
		switch v := of(p); {
		case !p.seen || v != v:
			b.WriteByte(' ')
		case most <= 0:
			b.WriteRune('▁')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[int(v/most*7)])
		}
	}
	return b.String(), most
}
