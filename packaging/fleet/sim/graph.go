package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
)

// stormGraph shows how the rooms come back after the broker was killed: seconds to the
// right, part of the rooms upwards.
func stormGraph(list []result) []byte {
	const left, top, width, height = 60, 20, 640, 280
	most := 10.0
	for _, r := range list {
		for _, p := range stormOf(r) {
			most = max(most, p.S)
		}
	}
	most = math.Ceil(most/10) * 10
	x := func(s float64) float64 { return left + width*s/most }
	y := func(part float64) float64 { return top + height*(1-part) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", left+width+30, top+height+55)
	fmt.Fprintf(&b, `<title>Rooms that are connected and proven, after a broker that was killed is up again</title>`+"\n")
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	for part := 0.0; part <= 1; part += 0.25 {
		fmt.Fprintf(&b, `<path d="M%d %.0fh%d" stroke="#ddd"/><text x="%d" y="%.0f" text-anchor="end">%.0f %%</text>`+"\n",
			left, y(part), width, left-8, y(part)+4, 100*part)
	}
	for i := range 6 {
		s := most * float64(i) / 5
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%.0f s</text>`+"\n", x(s), top+height+20, s)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">after the broker is up again</text>`+"\n", left+width/2, top+height+42)
	colours := []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd"}
	for i, r := range list {
		colour := colours[i%len(colours)]
		fmt.Fprintf(&b, `<path fill="none" stroke="%s" stroke-width="2" d="M`, colour)
		for _, p := range stormOf(r) {
			fmt.Fprintf(&b, "%.1f %.1f ", x(p.S), y(float64(p.Proven)/float64(r.Rooms)))
		}
		fmt.Fprintf(&b, `"/>`+"\n"+`<text x="%d" y="%d" text-anchor="end" fill="%s">%s: %s rooms</text>`+"\n",
			left+width-10, top+height-14-20*(len(list)-1-i), colour, r.Broker, thousands(r.Rooms))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// dayGraph shows the bytes of a room and day for each choice.
func dayGraph(bills []bill) []byte {
	const left, width, step = 380, 260, 26
	most := 1.0
	for _, b := range bills {
		most = max(most, b.Day)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", left+width+90, step*len(bills)+20)
	fmt.Fprintf(&b, `<title>Bytes of a room and day for each choice of kinds and intervals</title>`+"\n")
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	for i, bill := range bills {
		y, long := 10+step*i, width*bill.Day/most
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="#1f77b4"/><text x="%.1f" y="%d">%s</text>`+"\n",
			left-8, y+17, bill.choice, left, y+3, long, step-6, left+long+8, y+17, kilobytes(bill.Day))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// String is a choice in short.
func (c choice) String() string {
	s := cmp.Or(c.Kinds, "all kinds")
	for _, part := range []struct{ name, value string }{{"state", c.State}, {"idle poll", c.IdlePoll}, {"keepalive", c.Keep}} {
		if part.value != "" {
			s += ", " + part.name + " " + part.value
		}
	}
	return s
}

func stormOf(r result) []point {
	for _, c := range r.Curves {
		if c.After == afterKill {
			return c.Points
		}
	}
	return nil
}
