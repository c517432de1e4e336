package story

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"roomcall/agent/host"
)

// The charts are SVG without script: they look the same in a mail, a browser and on
// paper. Colours are classes of the page's style sheet.
const (
	chartWidth = 960.0
	chartLeft  = 130.0 // where the time begins
	chartRooms = 40    // rows
	chartSteps = 400   // points of a line
	chartBars  = 10_000
)

// chart is an SVG that is being drawn.
type chart struct {
	strings.Builder
	w      *writer
	height float64
	bars   int
}

func (w *writer) newChart(height float64, label string) *chart {
	c := &chart{w: w, height: height}
	fmt.Fprintf(c, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, height+48, host.HTML(label))
	return c
}

func (c *chart) end() string {
	if c.bars > chartBars {
		c.text("legend", 4, c.height+38, c.w.say("chart_cut"))
	}
	c.WriteString("</svg>")
	return c.String()
}

// x is where a time is.
func (c *chart) x(ms int64) float64 {
	from, to := c.w.from.UnixMilli(), c.w.to.UnixMilli()
	if to <= from {
		return chartLeft
	}
	share := float64(ms-from) / float64(to-from)
	return math.Round(10*(chartLeft+min(max(share, 0), 1)*(chartWidth-chartLeft-40))) / 10
}

func (c *chart) text(class string, x, y float64, text string) {
	fmt.Fprintf(c, `<text class="%s" x="%g" y="%g">%s</text>`, class, x, y, host.HTML(text))
}

// bar is a span of time in a row; title is shown when somebody points at it.
func (c *chart) bar(class string, fromMs, toMs int64, y, height float64, title string) {
	if c.bars++; c.bars > chartBars {
		return
	}
	x := c.x(fromMs)
	fmt.Fprintf(c, `<rect class="%s" x="%g" y="%g" width="%.1f" height="%g"><title>%s</title></rect>`,
		host.HTML(class), x, y, max(c.x(toMs)-x, 1), height, host.HTML(title))
}

// axis draws the times below, at round times of the zone.
func (c *chart) axis() {
	from, to := c.w.from, c.w.to
	step := max(30*24*time.Hour, to.Sub(from)/12)
	for _, s := range []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
		2 * time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
		if to.Sub(from) <= 12*s {
			step = s
			break
		}
	}
	_, offset := from.Zone()
	shift := time.Duration(offset) * time.Second
	t := from.Add(shift).Truncate(step).Add(-shift - step)
	for range 20 { // more than ticks fit, also for times that no calendar has
		if t = t.Add(step); t.Before(from) {
			continue
		} else if t.After(to) {
			break
		}
		x := c.x(t.UnixMilli())
		fmt.Fprintf(c, `<path class="grid" d="M%g 0V%g"/>`, x, c.height)
		c.text("tick", x, c.height+16, c.w.at(t.UnixMilli()))
	}
}

// legend says what the colours of the rooms are.
func (c *chart) legend() {
	x, y := chartLeft, c.height+28
	for _, entry := range [][2]string{
		{"call good", c.w.Lang.Grade("good")}, {"call fair", c.w.Lang.Grade("fair")}, {"call poor", c.w.Lang.Grade("poor")},
		{"poor", c.w.say("incidents")}, {"call unknown", c.w.Lang.Grade("unknown")}, {"outage", c.w.say("no_answer")}, {"silent", c.w.say("silent")},
	} {
		fmt.Fprintf(c, `<rect class="%s" x="%g" y="%g" width="12" height="10"/>`, entry[0], x, y)
		c.text("legend", x+16, y+10, entry[1])
		x += 32 + 7*float64(host.Columns(entry[1]))
	}
}

// roomsChart shows the rooms over time: calls by grade, what was poor in them, and
// when nobody knows.
func (w *writer) roomsChart() string {
	list := w.worstRooms()
	rest := slices.SortedFunc(maps.Keys(w.rooms), func(a, b place) int {
		return cmp.Or(cmp.Compare(w.roomName(a), w.roomName(b)), comparePlaces(a, b))
	})
	list = list[:min(len(list), chartRooms)]
	for _, p := range rest {
		if len(list) < chartRooms && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	const high = 18.0
	c := w.newChart(high*float64(len(list)), w.say("chart_rooms"))
	c.axis()
	c.legend()
	rows := map[place]float64{}
	for i, p := range list {
		y := high * float64(i)
		rows[p] = y
		name := []rune(w.roomName(p))
		if len(name) > 18 {
			name = append(name[:17], '…')
		}
		c.text("name", chartLeft-8, y+13, string(name))
		fmt.Fprintf(c, `<path class="row" d="M%g %gH%g"/>`, chartLeft, y+9, chartWidth-40)
	}
	for _, s := range w.silences() {
		for _, p := range list {
			if p.client == s.client {
				c.bar("silent", 60_000*s.from, 60_000*(s.to+1), rows[p]+1, high-2, w.say("silent"))
			}
		}
	}
	for _, one := range w.callList {
		if y, ok := rows[one.place]; ok {
			end := cmp.Or(one.endMs, w.toMs)
			grade := cmp.Or(one.grade, "unknown")
			c.bar("call "+grade, one.startMs, end, y+4, high-8, w.at(one.startMs)+", "+w.ms(end-one.startMs)+", "+w.Lang.Grade(grade))
		}
	}
	for _, i := range w.incidentList {
		y, ok := rows[i.place]
		switch {
		case !ok:
		case i.what == "quality.degraded":
			c.bar("poor", i.sinceMs, cmp.Or(i.endMs, w.toMs), y+4, high-8, w.at(i.sinceMs)+", "+w.lasted(i))
		case states[i.what] != "":
			c.bar("outage", i.sinceMs, cmp.Or(i.endMs, w.toMs), y+1, high-2, w.trouble(i)+", "+w.lasted(i))
		}
	}
	return c.end()
}

// lineChart shows two values of the minutes, of the worst room each; minutes without a
// value are gaps.
func (w *writer) lineChart(label string, send, recv int) string {
	const height = 120.0
	c := w.newChart(height, w.say(label))
	from, to := minuteOf(w.from.UnixMilli()), minuteOf(w.to.UnixMilli())
	step := max(1, (to-from+chartSteps)/chartSteps)
	top := 0.0
	lines := [2]map[int64]float64{{}, {}}
	for at, m := range w.minutes {
		for i, what := range []int{send, recv} {
			v := float64(m.values[what])
			if math.IsNaN(v) || at < from || at > to {
				continue
			}
			k := (at - from) / step
			if old, ok := lines[i][k]; !ok || v > old {
				lines[i][k] = v
			}
			top = max(top, v)
		}
	}
	if top == 0 {
		return ""
	}
	top = niceTop(top)
	c.axis()
	for _, share := range []float64{0, 0.5, 1} {
		y := height - share*(height-10)
		fmt.Fprintf(c, `<path class="grid" d="M%g %gH%g"/>`, chartLeft, y, chartWidth-40)
		c.text("name", chartLeft-8, y+4, fmt.Sprintf("%g", share*top))
	}
	for i, class := range []string{"send", "recv"} {
		last := int64(-2)
		var path strings.Builder
		for _, k := range slices.Sorted(maps.Keys(lines[i])) {
			x, y := c.x(60_000*(from+k*step)), height-lines[i][k]/top*(height-10)
			if k == last+1 {
				fmt.Fprintf(&path, "L%g %.1f", x, y)
			} else {
				fmt.Fprintf(&path, "M%g %.1fh1", x, y)
			}
			last = k
		}
		fmt.Fprintf(c, `<path class="line %s" d="%s"/>`, class, path.String())
	}
	c.text("legend send", 4, height/2-8, w.say("sent"))
	c.text("legend recv", 4, height/2+10, w.say("received"))
	return c.end()
}

// niceTop is the end of a scale that holds x.
func niceTop(x float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(x)))
	for _, n := range []float64{1, 2, 5, 10} {
		if x <= n*base {
			return n * base
		}
	}
	return 10 * base
}
