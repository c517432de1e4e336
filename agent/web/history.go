package web

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/valyala/fastjson"
)

// Bounds of a History, over all devices together. With many devices each has fewer
// points, which stand for a longer time, and fewer calls.
const (
	historyBytes = 1 << 20 // points, but at least fewestPoints of each device
	fewestPoints = 120     // a strip of 60 minutes, and as many for a day
	historyCalls = 4096
	hourS, dayS  = 3600, 86400
	finestStep   = 5   // seconds that a reading stands for at least
	minuteStep   = 60  // and a minute
	mostCalls    = 100 // of one device
)

// History is what the page draws of each device: an hour of readings, and a day of
// minutes and of ended calls. It lives in memory, in points of a fixed size; a start
// fills it again from the records of the store. It is safe for concurrent use.
type History struct {
	rooms map[string]*room // by device; the map never changes

	mu        sync.Mutex // guards the rooms and what follows
	listeners map[*listener]bool
}

// room is the history of one device.
type room struct {
	readings, minutes series
	calls             []call // by end, oldest first
	mostCalls         int
}

// call is an ended call, with the keys of its record.
type call struct {
	CallID         string  `json:"call_id"`
	StartMs        int64   `json:"start_ms"`
	EndMs          int64   `json:"end_ms"`
	DurationS      float64 `json:"duration_s"`
	SecondsFair    float64 `json:"seconds_fair"`
	SecondsPoor    float64 `json:"seconds_poor"`
	SecondsUnknown float64 `json:"seconds_unknown"`
	Grade          string  `json:"grade"`
	Cause          string  `json:"cause,omitempty"`
	CauseScope     string  `json:"cause_scope,omitempty"`
}

// scope is where the call was poor, for its words; "" = as its cause says.
func (c call) scope() string {
	if c.CauseScope == "far_end" {
		return c.CauseScope
	}
	return ""
}

// NewHistory makes an empty history of devices.
func NewHistory(devices []string) *History {
	h := &History{rooms: map[string]*room{}, listeners: map[*listener]bool{}}
	each := max(1, len(devices))
	points := max(fewestPoints, historyBytes/each/int(unsafe.Sizeof(point{})))
	readings := newSeries(hourS, finestStep, points/2)
	minutes := newSeries(dayS, minuteStep, points-readings.keep)
	for _, name := range devices {
		h.rooms[name] = &room{readings: readings, minutes: minutes, mostCalls: min(max(historyCalls/each, 2), mostCalls)}
	}
	return h
}

// Add takes a record of a device, in the order in which records are made, and tells
// it to whoever listens. Kinds that it does not know are ignored.
func (h *History) Add(device, kind string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.rooms[device]; r != nil {
		r.add(kind, payload)
	}
	h.tell(device, kind, payload)
}

func (r *room) add(kind string, payload []byte) {
	switch kind {
	case "sample":
		p := pointOf(payload)
		r.readings.add(p)
		r.minutes.add(p)
	case "call":
		var c call
		if json.Unmarshal(payload, &c) != nil {
			return
		}
		r.calls = append(slices.DeleteFunc(r.calls, func(old call) bool { return old.CallID == c.CallID }), c)
		r.calls = slices.Delete(r.calls, 0, max(0, len(r.calls)-r.mostCalls))
	}
}

// Restore puts what was before, as read from the store, in front of what came since.
func (h *History) Restore(past *History) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for device, r := range h.rooms {
		if was := past.rooms[device]; was != nil {
			r.readings.restore(was.readings)
			r.minutes.restore(was.minutes)
			known := func(c call) bool {
				return slices.ContainsFunc(r.calls, func(now call) bool { return now.CallID == c.CallID })
			}
			r.calls = append(slices.DeleteFunc(was.calls, known), r.calls...)
			r.calls = slices.Delete(r.calls, 0, max(0, len(r.calls)-r.mostCalls))
		}
	}
}

// series are points of equal length in time, oldest first.
type series struct {
	span   uint32 // seconds that it shows
	step   uint32 // seconds that a point stands for
	keep   int    // points at most
	points []point
}

// newSeries has at most so many points, each of at least finest seconds.
func newSeries(span, finest uint32, points int) series {
	step := max(finest, (span+uint32(points)-1)/uint32(points))
	return series{span: span, step: step, keep: int((span + step - 1) / step)}
}

func (s *series) add(p point) {
	p.t -= p.t % s.step
	n := len(s.points)
	for n > 0 && s.points[n-1].t > p.t {
		n-- // the clock was set back
	}
	s.points = s.points[:n]
	if n > 0 && s.points[n-1].t == p.t {
		s.points[n-1].merge(&p)
		return
	}
	if s.points == nil {
		s.points = make([]point, 0, s.keep)
	}
	if n == s.keep {
		s.points = slices.Delete(s.points, 0, 1)
	}
	s.points = append(s.points, p)
}

func (s *series) restore(was series) {
	now := s.points
	s.points = was.points
	if len(now) > 0 {
		s.points = slices.DeleteFunc(s.points, func(p point) bool { return p.t >= now[0].t })
	}
	for _, p := range now {
		s.add(p)
	}
}

// since are the points from a time on that the span before now still holds.
func (s *series) since(from, now time.Time) []point {
	first := max(from.Unix(), now.Unix()-int64(s.span))
	i := slices.IndexFunc(s.points, func(p point) bool { return int64(p.t) >= first })
	if i < 0 {
		return nil
	}
	return s.points[i:]
}

// point is what the polls of a short time said.
type point struct {
	t      uint32 // Unix second of its beginning
	level  level
	values [len(media) * len(curves)]uint16 // value x scale + 1; 0 = not said
}

// level is the state and the grade of a poll, in the order of what counts when several
// polls share a point: an answered one before a failed one, then the worst grade.
type level uint8

const (
	levelNone  level = 0
	levelIdle  level = 6 // below are the failed polls: endpoint_state_code 2 to 6, less 1
	levelGrade level = 7 // in a call: plus grade_code
)

// codes are a level's endpoint_state_code and grade_code.
func (l level) codes() (state, grade int) {
	switch {
	case l < levelIdle:
		return int(l) + 1, 0
	case l == levelIdle:
		return 0, 0
	}
	return 1, int(l - levelGrade)
}

// curves are the measures that are kept, for each medium and direction.
var curves = [...]struct {
	key   string
	scale float64
	// merge is the value of a point from those of two polls: the worse one, so that a
	// short trouble stays to be seen; the later bit rate.
	merge func(before, now uint16) uint16
}{
	{"loss_pct", 100, highest}, {"jitter_ms", 10, highest}, {"delay_ms", 10, highest}, {"bitrate_kbps", 1, later}, {"fps", 10, lowest},
}

func highest(a, b uint16) uint16 { return max(a, b) }
func lowest(a, b uint16) uint16  { return min(a, b) }
func later(_, b uint16) uint16   { return b }

// pointOf makes a point of a sample's payload.
func pointOf(sample []byte) point {
	parser := parsers.Get()
	defer parsers.Put(parser)
	v, err := parser.ParseBytes(sample)
	if err != nil {
		return point{level: levelGrade} // nothing is known
	}
	p := point{t: uint32(min(max(v.GetFloat64("ts_ms")/1000, 0), math.MaxUint32))}
	code := v.GetInt("endpoint_state_code")
	switch {
	case !v.Exists("endpoint_state_code") || code == 1:
		p.level = levelGrade + level(min(max(v.GetInt("grade_code"), 0), 3))
	case code == 0:
		p.level = levelIdle
	default:
		p.level = level(min(max(code, 2), 6)) - 1
	}
	for i, key := range columnKeys {
		if x := v.Get(key); x != nil && x.Type() == fastjson.TypeNumber {
			p.values[i] = uint16(min(max(math.Round(x.GetFloat64()*curves[i%len(curves)].scale), 0)+1, math.MaxUint16))
		}
	}
	return p
}

var parsers fastjson.ParserPool

// columnKeys are the keys of the values of a point.
var columnKeys = func() (keys [len(media) * len(curves)]string) {
	for i := range keys {
		keys[i] = media[i/len(curves)].key(curves[i%len(curves)].key)
	}
	return keys
}()

// merge adds a later poll.
func (p *point) merge(now *point) {
	p.level = max(p.level, now.level)
	for i, v := range now.values {
		switch {
		case p.values[i] == 0:
			p.values[i] = v
		case v != 0:
			p.values[i] = curves[i%len(curves)].merge(p.values[i], v)
		}
	}
}

// stripMinutes is how many minutes the strip of grades has.
const stripMinutes = 60

// strip has the levels of the minutes up to now, oldest first; levelNone is a gap.
func (h *History) strip(device string, now time.Time) (list [stripMinutes]level) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[device]
	if r == nil {
		return list
	}
	minute := now.Unix() / 60
	for _, p := range r.readings.since(now.Add(-time.Hour), now) {
		for t := int64(p.t); t < int64(p.t+r.readings.step); t += 60 {
			if i := stripMinutes - 1 - (minute - t/60); i >= 0 && i < stripMinutes {
				list[i] = max(list[i], p.level)
			}
		}
	}
	return list
}

// callsOf are the calls that ended within a day, the newest first.
func (h *History) callsOf(device string, now time.Time) []call {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[device] == nil {
		return nil
	}
	list := slices.Clone(h.rooms[device].since(now.Add(-dayS * time.Second)))
	slices.Reverse(list)
	return list
}

// since are the calls that ended at a time or later.
func (r *room) since(t time.Time) []call {
	return slices.DeleteFunc(slices.Clone(r.calls), func(c call) bool { return c.EndMs < t.UnixMilli() })
}

// answer is the answer of /api/v1/history; limits are those that grade the device.
func (h *History) answer(device string, limits map[string]float64, since, now time.Time) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[device]
	oldest := int64(0)
	if all := r.minutes.since(time.Time{}, now); len(all) > 0 {
		oldest = int64(all[0].t) * 1000
	}
	calls := r.since(now.Add(-dayS * time.Second))
	if !since.IsZero() {
		calls = r.since(since)
	}
	return json.Marshal(struct {
		Device   string             `json:"device"`
		TsMs     int64              `json:"ts_ms"`
		OldestMs int64              `json:"oldest_ms,omitempty"` // of all minutes, also those before since
		Limits   map[string]float64 `json:"limits,omitempty"`
		Readings map[string]any     `json:"readings"`
		Minutes  map[string]any     `json:"minutes"`
		Calls    []call             `json:"calls"`
	}{device, now.UnixMilli(), oldest, limits, r.readings.columns(since, now), r.minutes.columns(since, now), append([]call{}, calls...)})
}

// columns are the points from a time on, a list for each key; a column without any
// value is left out.
func (s *series) columns(since, now time.Time) map[string]any {
	points := s.since(since, now)
	times, states, grades := make([]uint32, len(points)), make([]int, len(points)), make([]int, len(points))
	for i, p := range points {
		times[i] = p.t
		states[i], grades[i] = p.level.codes()
	}
	out := map[string]any{"step_s": s.step, "t": times, "endpoint_state_code": states, "grade_code": grades}
	for i, key := range columnKeys {
		if col := (column{points, i}); slices.ContainsFunc(points, col.said) {
			out[key] = col
		}
	}
	return out
}

// column is one value of each point.
type column struct {
	points []point
	index  int
}

func (c column) said(p point) bool { return p.values[c.index] != 0 }

// MarshalJSON writes null for what was not said.
func (c column) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, p := range c.points {
		if i > 0 {
			b = append(b, ',')
		}
		if !c.said(p) {
			b = append(b, "null"...)
			continue
		}
		b = strconv.AppendFloat(b, float64(p.values[c.index]-1)/curves[c.index%len(curves)].scale, 'f', -1, 64)
	}
	return append(b, ']'), nil
}
