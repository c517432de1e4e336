package story

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"roomcall/agent/report"
	"roomcall/agent/report/payload"
)

// The metrics by which the worst minutes are chosen, each from where it is worth a
// look: ITU-T G.114 calls 150 ms one way acceptable, 1 % of loss and 30 ms of jitter
// are what vendors advise to stay below.
const metrics = 3

var metricKeys = [metrics]struct {
	key, of string // of a sample, of a minute
	floor   float64
}{{"loss_pct", "loss_pct_avg", 1}, {"delay_ms", "delay_ms_avg", 150}, {"jitter_ms", "jitter_ms_avg", 30}}

// maxMetrics bounds what an incident names; a sample has fewer.
const maxMetrics = 64

// worstKept is how many of the worst minutes are kept of a metric.
const worstKept = 5

// The charted values of a minute.
const (
	lossSend = iota
	lossRecv
	delaySend
	delayRecv
	charted
)

func minuteOf(ms int64) int64 { return ms / 60_000 }

// line takes one line of the input.
func (s *Story) line(l *payload.Line) error {
	if l.Kind == "" {
		return nil
	}
	t, seq, err := readID(l.ID)
	if err != nil {
		return err
	}
	own := l.Device == report.AgentDevice
	if f := s.options.Filter; own && !f.Match(f.Device, time.UnixMilli(l.TsMs)) || !own && !f.Match(l.Device, time.UnixMilli(l.TsMs)) {
		if !own && len(s.others) < 1000 {
			s.others[strings.Clone(l.Device)] = true
		}
		return nil
	}
	p := place{strings.Clone(l.ClientID), strings.Clone(l.Device)}
	var record payload.Record
	if l.Kind == "event" || l.Kind == "call" || l.Kind == "minute" {
		if record, err = l.Record(); err != nil {
			return err
		}
	}
	if ev, ok := record.(*payload.Event); ok && own && s.options.Device != "" && ev.OfDevice != s.options.Device {
		return nil
	}
	if !s.room(p) {
		s.leftOut.rooms++
		return nil
	}
	if !s.isNew(t, seq) {
		return nil
	}
	s.records++
	if s.fromMs == 0 || l.TsMs < s.fromMs {
		s.fromMs = l.TsMs
	}
	s.toMs = max(s.toMs, l.TsMs)
	a := s.agents[p.client]
	if l.Replayed && l.Kind != "call" && l.Kind != "minute" { // those are a minute old as a rule
		a.late.add(minuteOf(l.TsMs))
	}
	if l.Kind == "sample" {
		a.seen.add(minuteOf(l.TsMs))
	}
	switch r := record.(type) {
	case *payload.Event:
		s.head(p, &r.Head)
		s.event(p, t.epoch, r)
	case *payload.Call:
		s.head(p, &r.Head)
		s.call(p, r)
	case *payload.Minute:
		s.head(p, &r.Head)
		a.seen.add(minuteOf(r.MinuteMs))
		s.minute(p, r)
	}
	return nil
}

// room makes the room of a place and its agent; false = there are too many.
func (s *Story) room(p place) bool {
	if s.agents[p.client] == nil {
		if len(s.agents) >= s.bounds.rooms {
			return false
		}
		s.agents[p.client] = &agent{seen: bitset{}, late: bitset{}}
	}
	if p.device == report.AgentDevice || s.rooms[p] != nil {
		return len(s.numbers) < 16*s.bounds.rooms
	}
	if len(s.rooms) >= s.bounds.rooms {
		return false
	}
	s.rooms[p] = &room{name: p.device, causes: map[string]float64{}}
	return true
}

// head takes the names that people know; the newest holds.
func (s *Story) head(p place, h *payload.Head) {
	if h.Site != "" && len(s.sites) < 100 {
		s.sites[h.Site] = true
	}
	if r := s.rooms[p]; r != nil && h.Room != "" && h.TsMs >= r.namedMs {
		r.name, r.namedMs = h.Room, h.TsMs
	}
}

func (s *Story) minute(p place, m *payload.Minute) {
	r := s.rooms[p]
	if r == nil {
		return
	}
	r.samples += m.Samples
	r.ok += m.SamplesOK
	at := minuteOf(m.MinuteMs)
	for g, group := range payload.GroupNames {
		for k, metric := range metricKeys {
			if x, ok := m.Media[g][metric.of]; ok && x >= metric.floor {
				s.keepWorst(k, worst{p, at, group.Name + "_" + metric.key, x})
			}
		}
		loss, delay := lossSend, delaySend
		if group.Direction == "recv" {
			loss, delay = lossRecv, delayRecv
		}
		s.chart(at, loss, m.Media[g], "loss_pct_avg")
		s.chart(at, delay, m.Media[g], "delay_ms_avg")
	}
}

// chart keeps the worst value of a minute, if it was said.
func (s *Story) chart(at int64, what int, of payload.Summary, key string) {
	x, known := of[key]
	if !known {
		return
	}
	m := s.minutes[at]
	if m == nil {
		if len(s.minutes) >= s.bounds.minutes {
			return
		}
		nan := float32(math.NaN())
		m = &minute{[charted]float32{nan, nan, nan, nan}}
		s.minutes[at] = m
	}
	if v := m.values[what]; !(float32(x) <= v) {
		m.values[what] = float32(x)
	}
}

// keepWorst keeps w if it is among the worst minutes of its metric; a room has one
// value a minute.
func (s *Story) keepWorst(metric int, w worst) {
	list := s.worst[metric]
	if i := slices.IndexFunc(list, func(o worst) bool { return o.place == w.place && o.minute == w.minute }); i >= 0 {
		if list[i].value >= w.value {
			return
		}
		list = slices.Delete(list, i, i+1)
	}
	i, _ := slices.BinarySearchFunc(list, w, func(a, b worst) int {
		return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.minute, b.minute), cmp.Compare(a.client, b.client), cmp.Compare(a.device, b.device))
	})
	list = slices.Insert(list, i, w)
	s.worst[metric] = list[:min(len(list), worstKept)]
}

// callOf is the call of an id, nil when there are too many.
func (s *Story) callOf(p place, id string) *call {
	c := s.calls[id]
	if c == nil {
		if len(s.calls) >= s.bounds.calls {
			s.leftOut.calls++
			return nil
		}
		c = &call{place: p, id: id}
		s.calls[id] = c
	}
	return c
}

func (s *Story) call(p place, r *payload.Call) {
	room := s.rooms[p]
	if room == nil {
		return
	}
	sum := spent{r.SecondsGood, r.SecondsFair, r.SecondsPoor, r.SecondsUnknown}
	room.calls++
	room.spent.add(sum)
	if r.Cause != "" {
		room.causes[r.Cause] += sum.poor + sum.fair
	}
	c := s.callOf(p, r.CallID)
	if c == nil {
		return
	}
	c.startMs, c.endMs, c.spent, c.coverage = r.StartMs, r.EndMs, sum, r.CoveragePct
	c.grade, c.cause, c.scope = r.Grade, r.Cause, r.CauseScope
	switch c.grade {
	case "fair", "poor":
	case "good":
		return
	default: // a file may say anything
		c.grade = "unknown"
		return
	}
	c.values = map[string]float64{}
	for g, group := range payload.GroupNames {
		for key, of := range map[string]string{"loss_pct": "loss_pct_max", "delay_ms": "delay_ms_max", "jitter_ms": "jitter_ms_max", "fps": "fps_min"} {
			if x, ok := r.Media[g][of]; ok {
				c.values[group.Name+"_"+key] = x
			}
		}
	}
}

// opens and closes name the incidents by the types of their events. An endpoint.online
// without its opening event is told by its code, or, in old records, by its reason.
var (
	opens = map[string]bool{
		"quality.degraded": true, "endpoint.offline": true, "endpoint.refused": true, "endpoint.busy": true, "endpoint.error": true,
		"endpoint.clock_off": true, "agent.store_failing": true,
	}
	closes = map[string]string{"quality.recovered": "quality.degraded", "agent.store_working": "agent.store_failing", "endpoint.online": ""}
	online = map[string]string{
		"endpoint_unreachable": "endpoint.offline", "endpoint_refused": "endpoint.refused", "endpoint_busy": "endpoint.busy",
		"endpoint_upgrading": "endpoint.busy", "endpoint_error": "endpoint.error", "endpoint_clock_off": "endpoint.clock_off",
		"answers": "endpoint.offline", "accepted": "endpoint.refused",
	}
)

func (s *Story) event(p place, epoch string, e *payload.Event) {
	_, closing := closes[e.Type]
	switch {
	case opens[e.Type], closing, e.Type == "quality.changed":
		s.incident(p, e, closing)
	case e.Type == "call.started", e.Type == "call.ended":
		if e.CallID == "" {
			return
		}
		c := s.callOf(p, e.CallID)
		if c == nil || c.grade != "" { // its record says it better
			return
		}
		if c.startMs == 0 {
			c.startMs = e.SinceMs
		}
		if e.Type == "call.ended" {
			c.endMs = e.EndMs
		}
	case e.Type == "agent.gap":
		if len(s.gaps) >= s.bounds.gaps {
			s.leftOut.gaps++
			return
		}
		s.gaps = append(s.gaps, gap{topic{place{p.client, e.OfDevice}, epoch, e.Kind}, e.FirstSeq, e.LastSeq, e.Count, e.Reason, e.TsMs})
	case p.device == report.AgentDevice:
		if len(s.notices) >= s.bounds.notices {
			s.leftOut.notices++
			return
		}
		s.notices = append(s.notices, notice{p.client, *e})
	}
}

func (s *Story) incident(p place, e *payload.Event, closing bool) {
	i := s.incidents[e.IncidentID]
	if i == nil {
		if len(s.incidents) >= s.bounds.incidents {
			s.leftOut.incidents++
			return
		}
		i = &incident{place: p, metrics: map[string]bool{}, limits: map[string]float64{}}
		s.incidents[e.IncidentID] = i
	}
	i.held += e.Suppressed
	i.sinceMs = cmp.Or(e.SinceMs, i.sinceMs, e.TsMs)
	for key := range strings.SplitSeq(cmp.Or(e.Metrics, e.Metric), ",") {
		if key = strings.TrimSpace(key); key != "" && len(i.metrics) < maxMetrics {
			i.metrics[key] = true
		}
	}
	if closing {
		i.endMs = e.TsMs
		i.what = cmp.Or(i.what, closes[e.Type], online[e.Code], online[e.Reason], "endpoint.offline")
		return
	}
	media, rest, _ := strings.Cut(e.Metric, "_")
	if _, metric, ok := strings.Cut(rest, "_"); ok && e.Limit != nil && len(i.limits) < maxMetrics {
		i.limits[media+"_"+metric+"_poor"] = *e.Limit
	}
	i.what = e.Type
	if e.Type == "quality.changed" {
		i.what = "quality.degraded"
	}
	if e.TsMs >= i.seenMs {
		i.seenMs, i.callID, i.code, i.scope = e.TsMs, e.CallID, e.Code, e.Scope
	}
}

// finish puts what was read in order, so that the story does not depend on the order
// of arrival.
func (s *Story) finish() {
	s.callList = slices.SortedFunc(maps.Values(s.calls), func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.startMs, b.startMs), cmp.Compare(a.id, b.id))
	})
	for id, i := range s.incidents {
		i.id = id
	}
	s.incidentList = slices.SortedFunc(maps.Values(s.incidents), func(a, b *incident) int {
		return cmp.Or(cmp.Compare(a.sinceMs, b.sinceMs), cmp.Compare(a.id, b.id))
	})
	for _, i := range s.incidentList {
		if c := s.calls[i.callID]; c != nil && i.what == "quality.degraded" {
			c.incidents = append(c.incidents, i)
		}
	}
	slices.SortFunc(s.notices, func(a, b notice) int { return cmp.Or(cmp.Compare(a.TsMs, b.TsMs), cmp.Compare(a.ID, b.ID)) })
	slices.SortFunc(s.gaps, func(a, b gap) int {
		return cmp.Or(cmp.Compare(a.atMs, b.atMs), cmp.Compare(a.client, b.client), cmp.Compare(a.device, b.device), cmp.Compare(a.kind, b.kind), cmp.Compare(a.first, b.first))
	})
	s.countMissing()
}
