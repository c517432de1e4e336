package story

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"roomcall/agent/health"
)

// roomName is the name of a place for people.
func (s *Story) roomName(p place) string {
	if r := s.rooms[p]; r != nil {
		return r.name
	}
	return p.device
}

// worstRooms are the rooms with poor or fair time in calls, the worst first.
func (s *Story) worstRooms() []place {
	var list []place
	for p, r := range s.rooms {
		if r.spent.poor+r.spent.fair > 0 {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b place) int {
		x, y := s.rooms[a].spent, s.rooms[b].spent
		return cmp.Or(cmp.Compare(y.poor, x.poor), cmp.Compare(y.fair, x.fair), comparePlaces(a, b))
	})
	return list
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.device, b.device))
}

// mainCause is what made most of a room's time poor or fair.
func (r *room) mainCause() string {
	best := ""
	for _, c := range slices.Sorted(maps.Keys(r.causes)) {
		if best == "" || r.causes[c] > r.causes[best] {
			best = c
		}
	}
	return best
}

// total sums up all calls.
func (s *Story) total() (sum spent, calls int) {
	for _, r := range s.rooms {
		sum.add(r.spent)
		calls += r.calls
	}
	return sum, calls
}

// badCalls are the calls that were poor or fair, the worst first.
func (s *Story) badCalls() []*call {
	var list []*call
	for _, c := range s.callList {
		if c.grade == "fair" || c.grade == "poor" {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b *call) int {
		return cmp.Or(cmp.Compare(b.grade, a.grade), cmp.Compare(b.spent.poor, a.spent.poor), cmp.Compare(b.spent.fair, a.spent.fair))
	})
	return list
}

// words is a call as its words need it: the cause, and what its incidents add. The
// values are the worst of the call; to be short, they are those that explain it best,
// one a direction.
func (c *call) words() health.Call {
	out := health.Call{Grade: c.grade, Limits: map[string]float64{}}
	if c.scope == "far_end" {
		out.Scope = "far_end"
	}
	reasons := []string{}
	add := func(key string) {
		for _, unit := range []string{"_pct", "_ms"} {
			key = strings.TrimSuffix(key, unit)
		}
		if key != "" && !slices.Contains(reasons, key) {
			reasons = append(reasons, key)
		}
	}
	add(c.cause)
	for _, i := range c.incidents {
		for _, key := range slices.Sorted(maps.Keys(i.metrics)) {
			add(key)
		}
		maps.Copy(out.Limits, i.limits)
	}
	out.Reasons = strings.Join(reasons, ",")
	out.Values = c.explaining(out.Code(), reasons)
	return out
}

// explaining are the worst values of the metric that explains the call.
func (c *call) explaining(code string, reasons []string) map[string]float64 {
	out := map[string]float64{}
	for _, metric := range []string{"loss", "delay", "jitter", "fps"} {
		for _, direction := range []string{"send", "recv"} {
			worst, value := "", 0.0
			for _, reason := range reasons {
				if !strings.HasSuffix(reason, "_"+direction+"_"+metric) {
					continue
				}
				for _, unit := range []string{"", "_pct", "_ms"} {
					if x, ok := c.values[reason+unit]; ok && (worst == "" || (x > value) == (metric != "fps")) {
						worst, value = reason+unit, x
					}
				}
			}
			if worst != "" {
				out[worst] = value
			}
		}
		if len(out) > 0 || strings.HasSuffix(code, "_"+metric) {
			break
		}
	}
	return out
}

// words is a poor stretch of a call as its words need it.
func (i *incident) words() health.Call {
	out := health.Call{Grade: "poor", Reasons: strings.Join(slices.Sorted(maps.Keys(i.metrics)), ",")}
	if i.scope == "far_end" {
		out.Scope = i.scope
	}
	return out
}

// incidentsOf are the incidents that opened with this event, in order of time.
func (s *Story) incidentsOf(what ...string) (list []*incident) {
	for _, i := range s.incidentList {
		if slices.Contains(what, i.what) {
			list = append(list, i)
		}
	}
	return list
}

// lastedMs is how long an incident lasted; one that is open lasts until the end of the
// records.
func (s *Story) lastedMs(i *incident) int64 {
	return max(0, cmp.Or(i.endMs, s.toMs)-i.sinceMs)
}

// causeFacts are the calls that the same words explain.
type causeFacts struct {
	words      health.Call // without values
	calls      int
	rooms      map[place]bool
	poor, fair float64
}

// causes sums up the poor and fair calls by what explains them, the worst first.
func (s *Story) causes() []*causeFacts {
	by := map[string]*causeFacts{}
	for _, c := range s.badCalls() {
		words := c.words()
		code := words.Code()
		f := by[code]
		if f == nil {
			words.Values = nil
			f = &causeFacts{words: words, rooms: map[place]bool{}}
			by[code] = f
		}
		f.calls++
		f.rooms[c.place] = true
		f.poor += c.spent.poor
		f.fair += c.spent.fair
	}
	return slices.SortedFunc(maps.Values(by), func(a, b *causeFacts) int {
		return cmp.Or(cmp.Compare(b.poor, a.poor), cmp.Compare(b.fair, a.fair), cmp.Compare(a.words.Code(), b.words.Code()))
	})
}

// cluster is a period in which several rooms became poor together.
type cluster struct {
	fromMs, toMs int64
	rooms        map[place]bool
}

// clusters finds periods with incidents of calls in at least least rooms that began
// within windowMs of each other. This is hardly chance, so what these rooms share is
// the first suspect. Periods that overlap are joined.
func (s *Story) clusters(least int, windowMs int64) []cluster {
	var found []cluster
	list := s.incidentsOf("quality.degraded")
	window := map[place]int{} // the incidents of each room in the window that begins with i
	end, told := 0, 0         // the window ends before end; those before told are in a cluster or in none
	for i, first := range list {
		for ; end < len(list) && list[end].sinceMs-first.sinceMs <= windowMs; end++ {
			window[list[end].place]++
		}
		if len(window) >= least {
			n := len(found)
			if n == 0 || first.sinceMs > found[n-1].toMs {
				found, n, told = append(found, cluster{fromMs: first.sinceMs, rooms: map[place]bool{}}), n+1, i
			}
			c := &found[n-1]
			for told = max(told, i); told < end; told++ {
				c.rooms[list[told].place] = true
				c.toMs = max(c.toMs, list[told].sinceMs+s.lastedMs(list[told]))
			}
		}
		if window[first.place]--; window[first.place] == 0 {
			delete(window, first.place)
		}
	}
	return found
}

// peak is the largest number of calls at one instant, and when it was first reached.
func (s *Story) peak() (most int, atMs int64) {
	type edge struct {
		at    int64
		delta int
	}
	var edges []edge
	for _, c := range s.callList {
		if c.endMs != 0 {
			edges = append(edges, edge{c.startMs, 1}, edge{c.endMs, -1})
		}
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

// span is a time that belongs to an agent, in minutes since 1970, both included.
type span struct {
	client   string
	from, to int64
}

// silences are the minutes between an agent's first and last poll in which it made
// none: it did not run, or its records are not here.
func (s *Story) silences() (list []span) {
	for client, a := range s.agents {
		runs := a.seen.spans()
		for i := 1; i < len(runs); i++ {
			list = append(list, span{client, runs[i-1][1] + 1, runs[i][0] - 1})
		}
	}
	sortSpans(list)
	return list
}

// delays are the times whose records arrived late, because the broker or the way to it
// was away. Only a file from a broker shows them; a pause of a few minutes joins two.
func (s *Story) delays() (list []span) {
	for client, a := range s.agents {
		for _, run := range a.late.spans() {
			if n := len(list); n > 0 && list[n-1].client == client && run[0]-list[n-1].to <= 3 {
				list[n-1].to = run[1]
				continue
			}
			list = append(list, span{client, run[0], run[1]})
		}
	}
	sortSpans(list)
	return list
}

func sortSpans(list []span) {
	slices.SortFunc(list, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.client, b.client))
	})
}
