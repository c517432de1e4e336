package main

import (
	"cmp"
	"maps"
	"slices"
)

// seconds are spans of calls by grade.
type seconds struct{ good, fair, poor, unknown int64 }

func (s *seconds) add(r record) {
	s.good += r.Good
	s.fair += r.Fair
	s.poor += r.Poor
	s.unknown += r.Unknown
}

func (s seconds) all() int64 { return s.good + s.fair + s.poor + s.unknown }

// share is a part of s in percent of all.
func (s seconds) share(n int64) float64 {
	if s.all() == 0 {
		return 0
	}
	return 100 * float64(n) / float64(s.all())
}

// roomFacts are a room's day.
type roomFacts struct {
	name   string
	calls  int
	spent  seconds
	causes map[string]int64 // poor or fair seconds by the call's cause
}

func (f *roomFacts) cause() string {
	best := ""
	for _, c := range slices.Sorted(maps.Keys(f.causes)) {
		if best == "" || f.causes[c] > f.causes[best] {
			best = c
		}
	}
	return best
}

// byRoom sums the calls of each room, the worst first: most poor seconds, then most
// fair seconds, then by name.
func (d *day) byRoom() []*roomFacts {
	rooms := map[string]*roomFacts{}
	for _, c := range d.calls {
		key := c.ClientID + "/" + c.Device
		f := rooms[key]
		if f == nil {
			f = &roomFacts{name: d.room(c), causes: map[string]int64{}}
			rooms[key] = f
		}
		f.calls++
		f.spent.add(c)
		if c.Cause != "" {
			f.causes[c.Cause] += c.Poor + c.Fair
		}
	}
	list := slices.Collect(maps.Values(rooms))
	slices.SortFunc(list, func(a, b *roomFacts) int {
		return cmp.Or(cmp.Compare(b.spent.poor, a.spent.poor), cmp.Compare(b.spent.fair, a.spent.fair), cmp.Compare(a.name, b.name))
	})
	return list
}

// causeFacts are the calls of one cause.
type causeFacts struct {
	name       string
	calls      int
	rooms      map[string]bool
	poor, fair int64
	scopes     map[string]int
}

func (d *day) byCause() []*causeFacts {
	causes := map[string]*causeFacts{}
	for _, c := range d.calls {
		if c.Cause == "" {
			continue
		}
		f := causes[c.Cause]
		if f == nil {
			f = &causeFacts{name: c.Cause, rooms: map[string]bool{}, scopes: map[string]int{}}
			causes[c.Cause] = f
		}
		f.calls++
		f.rooms[c.ClientID+"/"+c.Device] = true
		f.poor += c.Poor
		f.fair += c.Fair
		if c.Scope != "" {
			f.scopes[c.Scope]++
		}
	}
	list := slices.Collect(maps.Values(causes))
	slices.SortFunc(list, func(a, b *causeFacts) int {
		return cmp.Or(cmp.Compare(b.poor, a.poor), cmp.Compare(b.fair, a.fair), cmp.Compare(a.name, b.name))
	})
	return list
}

// incident is an opening event with its closing one. open: the day ended first.
type incident struct {
	record
	endMs int64
	open  bool
}

// incidents pairs events by incident_id. An incident without a closing event ends with
// the day.
func (d *day) incidents(opening, closing string) []incident {
	ends := map[string]int64{}
	for _, e := range d.events {
		if e.Type == closing {
			ends[e.IncidentID] = e.TsMs
		}
	}
	var list []incident
	for _, e := range d.events {
		if e.Type != opening {
			continue
		}
		end, ok := ends[e.IncidentID]
		if !ok {
			end = d.toMs
		}
		list = append(list, incident{record: e, endMs: end, open: !ok})
	}
	return list
}

// cluster is a period in which several rooms became poor together.
type cluster struct {
	fromMs, toMs int64
	rooms        map[string]bool
}

// clusters finds periods with quality incidents in at least least rooms that began
// within windowMs of each other. This is hardly chance, so what these rooms share is
// the first suspect. Overlapping periods are joined.
func (d *day) clusters(least int, windowMs int64) []cluster {
	var found []cluster
	list := d.incidents("quality.degraded", "quality.recovered")
	for i := range list {
		c := cluster{fromMs: list[i].TsMs, rooms: map[string]bool{}}
		for _, one := range list[i:] {
			if one.TsMs-c.fromMs > windowMs {
				break
			}
			c.rooms[one.ClientID+"/"+one.Device] = true
			c.toMs = max(c.toMs, one.endMs)
		}
		if len(c.rooms) < least {
			continue
		}
		if n := len(found); n > 0 && c.fromMs <= found[n-1].toMs {
			found[n-1].toMs = max(found[n-1].toMs, c.toMs)
			maps.Copy(found[n-1].rooms, c.rooms)
		} else {
			found = append(found, c)
		}
	}
	return found
}

// peak is the largest number of calls at one instant, and when it was first
// reached.
func (d *day) peak() (most int, atMs int64) {
	type edge struct {
		at    int64
		delta int
	}
	var edges []edge
	for _, c := range d.calls {
		edges = append(edges, edge{c.StartMs, 1}, edge{c.EndMs, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.delta, b.delta)) })
	now := 0
	for _, e := range edges {
		if now += e.delta; now > most {
			most, atMs = now, e.at
		}
	}
	return most, atMs
}
