package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bounds of the page, so that it stays one page whatever the day was.
const (
	maxRooms     = 10
	maxCauses    = 8
	maxIncidents = 10
	// Together: this many rooms within this many milliseconds.
	clusterRooms  = 5
	clusterWindow = 60_000
)

// page writes lines and keeps the writer's first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// writePage writes the page as Markdown.
func (d *day) writePage(w io.Writer) error {
	p := &page{w: w}
	p.line("# %s, %s", d.title(), utc(d.fromMs, "2006-01-02"))
	p.line("")
	p.line("Made from %d published records and nothing else (%d calls, %d events, %d minutes). Times are", d.records, len(d.calls), len(d.events), len(d.minutes))
	p.line("UTC. The limits in the agents' config decide the grades. %s", d.wholeness())
	d.writeDay(p)
	d.writeHours(p)
	d.writeRooms(p)
	d.writeCauses(p)
	d.writeClusters(p)
	d.writeTrouble(p)
	return p.err
}

func (d *day) title() string {
	if len(d.sites) == 0 {
		return "A day"
	}
	return strings.Join(d.sites, ", ")
}

func (d *day) wholeness() string {
	if d.missing == 0 {
		return "No record is missing."
	}
	return fmt.Sprintf("**%d records are missing**, as `seq` shows.", d.missing)
}

func (d *day) writeDay(p *page) {
	var spent seconds
	grades := map[string]int{}
	inCall := map[string]bool{}
	for _, c := range d.calls {
		spent.add(c)
		grades[c.Grade]++
		inCall[c.ClientID+"/"+c.Device] = true
	}
	var samples, ok int64
	for _, m := range d.minutes {
		samples += m.Samples
		ok += m.OK
	}
	most, at := d.peak()
	p.line("\n## The day\n")
	p.line("| | |\n| --- | --- |")
	p.line("| rooms | %d, %d of them in a call |", len(d.rooms), len(inCall))
	p.line("| calls | %d: %d good, %d fair, %d poor, %d unknown |", len(d.calls), grades["good"], grades["fair"], grades["poor"], grades["unknown"])
	p.line("| time in calls | %s h: %.1f %% good, %.1f %% fair, %.1f %% poor, %.1f %% unknown |", hours(spent.all()),
		spent.share(spent.good), spent.share(spent.fair), spent.share(spent.poor), spent.share(spent.unknown))
	p.line("| most calls at the same time | %d, at %s |", most, utc(at, "15:04"))
	p.line("| polls | %d, %.2f %% answered |", samples, percent(ok, samples))
}

// writeHours shows when calls began and how good they were.
func (d *day) writeHours(p *page) {
	type hour struct {
		calls, bad int
		spent      seconds
	}
	var list [24]hour
	for _, c := range d.calls {
		h := &list[time.UnixMilli(c.StartMs).UTC().Hour()]
		h.calls++
		h.spent.add(c)
		if c.Grade == "fair" || c.Grade == "poor" {
			h.bad++
		}
	}
	p.line("\n## Calls by hour of start\n\nEach ▪ is two calls.\n")
	p.line("| hour | calls | fair or poor | poor time | |\n| --- | ---: | ---: | ---: | --- |")
	for i, h := range list {
		if h.calls > 0 {
			p.line("| %02d | %d | %d | %.1f %% | %s |", i, h.calls, h.bad, h.spent.share(h.spent.poor), strings.Repeat("▪", (h.calls+1)/2))
		}
	}
}

func (d *day) writeRooms(p *page) {
	p.line("\n## Worst rooms\n")
	p.line("| room | calls | time in calls | poor | fair | poor share | main cause |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |")
	for i, f := range d.byRoom() {
		if i == maxRooms || f.spent.poor+f.spent.fair == 0 {
			break
		}
		p.line("| %s | %d | %s h | %s | %s | %.1f %% | %s |", cell(f.name), f.calls, hours(f.spent.all()),
			minutes(f.spent.poor), minutes(f.spent.fair), f.spent.share(f.spent.poor), words(f.cause()))
	}
}

func (d *day) writeCauses(p *page) {
	p.line("\n## Causes\n")
	p.line("| cause | calls | rooms | poor | fair | where |\n| --- | ---: | ---: | ---: | ---: | --- |")
	for i, f := range d.byCause() {
		if i == maxCauses {
			break
		}
		p.line("| %s | %d | %d | %s | %s | %s |", words(f.name), f.calls, len(f.rooms), minutes(f.poor), minutes(f.fair), where(f.scopes))
	}
}

func (d *day) writeClusters(p *page) {
	list := d.clusters(clusterRooms, clusterWindow)
	if len(list) == 0 {
		return
	}
	p.line("\n## Several rooms at once\n")
	p.line("When at least %d rooms become poor within a minute, this is hardly chance: check the\nlink of the site first.\n", clusterRooms)
	p.line("| from | until | rooms |\n| --- | --- | --- |")
	for i, c := range list {
		if i == maxIncidents {
			break
		}
		names := make([]string, 0, len(c.rooms))
		for key := range c.rooms {
			names = append(names, cell(d.rooms[key]))
		}
		slices.Sort(names)
		p.line("| %s | %s | %d: %s |", utc(c.fromMs, "15:04"), utc(c.toMs, "15:04"), len(names), strings.Join(names, ", "))
	}
}

// trouble are the incidents that are not about the network.
var trouble = []struct{ open, close, text string }{
	{"endpoint.offline", "endpoint.online", "no answer"},
	{"endpoint.refused", "endpoint.online", "login refused"},
}

func (d *day) writeTrouble(p *page) {
	p.line("\n## Endpoints and agents\n")
	p.line("| what | where | from | minutes |\n| --- | --- | --- | ---: |")
	n := 0
	for _, kind := range trouble {
		for _, i := range d.incidents(kind.open, kind.close) {
			if n++; n > maxIncidents {
				continue
			}
			until := minutes((i.endMs - i.SinceMs) / 1000)
			if i.open {
				until += " (still)"
			}
			p.line("| %s | %s | %s | %s |", kind.text, cell(d.room(i.record)), utc(i.SinceMs, "15:04"), until)
		}
	}
	starts := map[string]int{}
	for _, e := range d.events {
		if strings.HasPrefix(e.Type, "agent.") {
			starts[e.Type]++
		}
	}
	for _, t := range []string{"agent.started", "agent.gap", "agent.missed", "agent.quarantined", "agent.store_damaged", "agent.undelivered", "agent.clock_step"} {
		if starts[t] > 0 {
			p.line("| %s | %d times | | |", t, starts[t])
		}
	}
}
