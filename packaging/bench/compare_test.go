package main

import (
	"fmt"
	"strings"
	"testing"
)

// contested gives each program a figure for a contest.
func contested(c contest, figures map[string]float64) results {
	res := results{figures: map[string][]float64{}}
	for name, v := range figures {
		res.figures[fmt.Sprintf(c.key, name)] = []float64{v}
	}
	return res
}

func TestTheComparisonSaysWhereOursIsBehindAndWhy(t *testing.T) {
	less := contest{key: "x %s y", format: "%.0f", ours: "samples", why: "because"}
	more := less
	more.more = true
	for name, c := range map[string]struct {
		contest contest
		figures map[string]float64
		want    string
	}{
		"less is better":               {less, map[string]float64{"samples": 2, "telegraf-minimal": 4, "node-red": 8}, "0.50 ahead"},
		"one of the others is better":  {less, map[string]float64{"samples": 6, "telegraf-minimal": 4, "node-red": 8}, "1.50 behind: because"},
		"more is better":               {more, map[string]float64{"samples": 8, "telegraf-minimal": 4, "node-red": 2}, "2.00 ahead"},
		"more, and another has it":     {more, map[string]float64{"samples": 2, "telegraf-minimal": 4}, "0.50 behind: because"},
		"the same":                     {less, map[string]float64{"samples": 4, "telegraf-minimal": 4}, "1.00 equal"},
		"nearly the same":              {less, map[string]float64{"samples": 4.1, "telegraf-minimal": 4}, "1.02 equal"},
		"the floor is no other":        {less, map[string]float64{"samples": 4, "telegraf-full": 8, "floor": 1}, "0.50 ahead"},
		"ours was not measured":        {less, map[string]float64{"telegraf-minimal": 4}, " not measured"},
		"none of the others was":       {less, map[string]float64{"samples": 4, "floor": 1}, " not measured"},
		"the best of them needs none":  {less, map[string]float64{"samples": 4, "node-red": 0}, " not comparable"},
		"another of ours in its place": {contest{key: "x %s y", ours: "roomcall", as: "-late"}, map[string]float64{"roomcall": 9, "roomcall-late": 1, "node-red": 4}, "0.25 ahead"},
	} {
		if got := strings.Join(c.contest.verdict(contested(c.contest, c.figures)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Losses count first, then the order, then what arrives twice.
func TestWhatIsLostWeighsMost(t *testing.T) {
	c := contest{key: "x %s ", ours: "roomcall", losses: true, why: "because"}
	ours := fate{of: 100, doubled: 5}
	for name, one := range map[string]struct {
		theirs fate
		want   string
	}{
		"they lose one":                {fate{of: 100, lost: 1}, "ahead"},
		"they do not poll":             {fate{unpolled: 10}, "ahead"},
		"they mix the order":           {fate{of: 100, disordered: 1}, "ahead"},
		"they double more":             {fate{of: 100, doubled: 6}, "ahead"},
		"they double as much":          {fate{of: 100, doubled: 5}, "equal"},
		"they double less":             {fate{of: 100, doubled: 4}, "behind: because"},
		"as many of more is less":      {fate{of: 1000, doubled: 5}, "behind: because"},
		"one of them does best of all": {fate{of: 100}, "behind: because"},
	} {
		res := results{figures: map[string][]float64{}}
		for peer, f := range map[string]fate{"roomcall": ours, "node-red": one.theirs, "telegraf-minimal": {of: 1, lost: 1}} {
			for unit, v := range map[string]float64{"of": f.of, "lost": f.lost, "unpolled": f.unpolled, "doubled": f.doubled, "disordered": f.disordered} {
				res.figures[fmt.Sprintf(c.key, peer)+unit] = []float64{v}
			}
		}
		if got := c.verdict(res)[1]; got != one.want {
			t.Errorf("%s: %q, want %q", name, got, one.want)
		}
	}
}

// What was not measured leaves its cell empty, and each row of the README says so.
func TestAComparisonWithoutFiguresHasAllRows(t *testing.T) {
	for _, fill := range []func(results) grid{compared, forBuyers} {
		for _, row := range fill(results{}).rows {
			if last := row[len(row)-1]; last != "not measured" {
				t.Errorf("%q", row)
			}
		}
	}
}
