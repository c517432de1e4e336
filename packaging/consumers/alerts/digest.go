package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// digest is a list of alerts, without the incidents that began and ended in it.
type digest struct {
	lines []line
	over  int // incidents that began and ended
	left  int // alerts beyond maxLate
}

type line struct{ incident, text string }

// add puts the event into the digest. What closes an incident of d or of other ends it
// there; of what goes on the newest line stays.
func (d *digest) add(e *event, closes bool, other *digest) {
	if closes && (d.end(e.IncidentID) || other.end(e.IncidentID)) {
		return
	}
	if e.IncidentID != "" {
		d.lines = slices.DeleteFunc(d.lines, func(l line) bool { return l.incident == e.IncidentID })
	}
	d.lines = append(d.lines, line{e.IncidentID, e.line(closes)})
}

// end removes what is open of the incident, and says whether there was something.
func (d *digest) end(incident string) bool {
	before := len(d.lines)
	d.lines = slices.DeleteFunc(d.lines, func(l line) bool { return l.incident == incident })
	if len(d.lines) == before {
		return false
	}
	d.over++
	return true
}

func (d *digest) empty() bool { return len(d.lines)+d.over+d.left == 0 }

// text is what people read: the critical alerts first, each list in its order, as much of it
// as fits, and how many more began (…) or are over (🟢).
func text(digests ...digest) string {
	var lines []string
	left, over := 0, 0
	for _, d := range digests {
		left, over = left+d.left, over+d.over
		for _, l := range d.lines {
			lines = append(lines, l.text)
		}
	}
	rank := func(line string) int {
		return slices.IndexFunc([]string{"🔴", "🟡", "🟢"}, func(mark string) bool { return strings.HasPrefix(line, mark) })
	}
	slices.SortStableFunc(lines, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	var out strings.Builder
	for i, line := range lines {
		if len(line) > maxText {
			line = strings.ToValidUTF8(line[:maxText], "")
		}
		if out.Len()+len(line) > maxText {
			left += len(lines) - i
			break
		}
		out.WriteString(line + "\n")
	}
	if left > 0 {
		fmt.Fprintf(&out, "… +%d\n", left)
	}
	if over > 0 {
		fmt.Fprintf(&out, "🟢 +%d\n", over)
	}
	return strings.TrimSpace(out.String())
}

// line is one alert: how bad, when, at which site, and the agent's sentence, which names
// the room.
func (e *event) line(over bool) string {
	mark := map[string]string{"warning": "🟡", "critical": "🔴"}[e.Severity]
	if over {
		mark = "🟢"
	}
	parts := []string{time.UnixMilli(e.TsMs).Format("01-02 15:04")}
	if e.Site != "" {
		parts = append(parts, e.Site)
	}
	text := e.Text
	switch {
	case text == "": // of an agent of an older version
		text = cmp.Or(e.Room, e.Device) + ": " + e.Type
		if e.Value != nil && e.Limit != nil {
			text += fmt.Sprintf(" (%s %g, limit %g)", e.Metric, *e.Value, *e.Limit)
		}
	case e.Device == "agent": // about the agent, which the sentence does not name
		parts = append(parts, e.ClientID)
	}
	parts = append(parts, text)
	return mark + " " + strings.Join(strings.Fields(strings.Join(parts, " · ")), " ") // one line
}
