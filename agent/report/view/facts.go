package view

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// The readings of a point by group.
const (
	bitrate = iota
	loss
	fps
	width
	height
	readings
)

func readingsOf(m *payload.Media) [readings]cgi.Reading {
	v := &m.Values
	return [readings]cgi.Reading{v[payload.Bitrate], v[payload.Loss], v[payload.FPS], v[payload.Width], v[payload.Height]}
}

// A Point is what the shapes need of one sample in a call. It is plain data and
// small: readings holds pairs of group*5+reading and value.
type Point struct {
	TsMs     int64     `json:"t"`
	Call     int       `json:"c,omitzero"` // index into the calls
	Grade    int64     `json:"g,omitzero"` // grade_code
	Factors  []int     `json:"f,omitempty"`
	Readings []float64 `json:"r,omitempty"`
}

// NewPoint copies a sample's readings.
func NewPoint(s *payload.Sample, call int) Point {
	p := Point{TsMs: s.TsMs, Call: call, Grade: s.GradeCode, Factors: Factors(s.GradeReasons)}
	for g := range s.Media {
		for k, x := range readingsOf(&s.Media[g]) {
			if x.Known {
				p.Readings = append(p.Readings, float64(g*readings+k), x.Value)
			}
		}
	}
	return p
}

// get finds a reading of a group.
func (p *Point) get(group, reading int) cgi.Reading {
	for i := 0; i+1 < len(p.Readings); i += 2 {
		if p.Readings[i] == float64(group*readings+reading) {
			return cgi.Known(p.Readings[i+1])
		}
	}
	return cgi.Reading{}
}

// Call is what the shapes need of a call.
type Call struct {
	ID       string `json:"id"`
	ClientID string `json:"client_id"`
	Device   string `json:"device"`
	Room     string `json:"room"`
	Model    string `json:"model,omitempty"`
	StartMs  int64  `json:"start_ms"`
	EndMs    int64  `json:"end_ms"` // the last sample while the call is open
	Finished bool   `json:"finished,omitempty"`
	Sends    bool   `json:"sends,omitempty"` // the room sends audio or video
}

// name is the channel or room: the room's human name, else the device.
func (c *Call) name() string {
	if c.Room != "" {
		return c.Room
	}
	return c.Device
}

// place names the device among several agents: client_id/device.
func (c *Call) place() string { return c.ClientID + "/" + c.Device }

// user is uid as a text.
func (c *Call) user() string { return strconv.FormatInt(c.uid(), 10) }

// uid is a stable number for the device, for systems whose users have numbers:
// FNV-1a over client_id/device, 32 bits. Two of 10,000 devices share one with a
// chance of 1 %.
func (c *Call) uid() int64 {
	h := fnv.New32a()
	h.Write([]byte(c.place())) // a hash never fails
	return int64(h.Sum32())
}

// Peer is one received or sent stream that has a row of its own.
type Peer struct {
	Call     int
	TsMs     int64
	Group    int
	Index    int64
	Name     string
	Readings [readings]cgi.Reading
}

// Facts are the records a document is made from.
type Facts struct {
	Calls   []Call   // by start
	Points  []Point  // by time
	Minutes []Minute // by time
	Peers   []Peer   // by time; only from stream records
	Days    []int64  // the UTC days of which there is any record, Unix ms, rising
	Skipped int      // lines of the input that are no records
}

// Minute is what one call did in one UTC minute.
type Minute struct {
	Call    int
	StartMs int64
	Media   payload.GroupSummaries
}

// only returns the facts that are asked for, of the calls that a part speaks of:
// those that were going on in the time asked for.
func (f *Facts) only(o *Options, part string) *Facts {
	out := &Facts{Days: f.Days, Skipped: f.Skipped}
	at := make([]int, len(f.Calls))
	for i := range f.Calls {
		c := &f.Calls[i]
		at[i] = -1
		if o.Call != "" && o.Call != c.ID || part == "live" && c.Finished || part == "past" && !c.Finished ||
			!o.Since.IsZero() && c.EndMs < o.Since.UnixMilli() || !o.Until.IsZero() && c.StartMs > o.Until.UnixMilli() {
			continue
		}
		at[i] = len(out.Calls)
		out.Calls = append(out.Calls, *c)
	}
	for _, p := range f.Points {
		if p.Call = at[p.Call]; p.Call >= 0 {
			out.Points = append(out.Points, p)
		}
	}
	for _, m := range f.Minutes {
		if m.Call = at[m.Call]; m.Call >= 0 && o.in(m.StartMs) {
			out.Minutes = append(out.Minutes, m)
		}
	}
	for _, p := range f.Peers {
		if p.Call = at[p.Call]; p.Call >= 0 && o.in(p.TsMs) {
			out.Peers = append(out.Peers, p)
		}
	}
	return out
}

// OfCall returns the facts of one call alone, its minutes and streams not among them.
func (f *Facts) OfCall(call int) *Facts {
	out := &Facts{Calls: f.Calls[call : call+1 : call+1]}
	for _, p := range f.Points {
		if p.Call == call {
			p.Call = 0
			out.Points = append(out.Points, p)
		}
	}
	return out
}

// users names the devices behind the numbers of Agora's users.
func (f *Facts) users() map[string]string {
	users := map[string]string{}
	for i := range f.Calls {
		users[f.Calls[i].user()] = f.Calls[i].place()
	}
	return users
}

// pointsByCall groups the points of the time asked for by their call.
func (f *Facts) pointsByCall(o *Options) [][]*Point {
	out := make([][]*Point, len(f.Calls))
	for i := range f.Points {
		if p := &f.Points[i]; o.in(p.TsMs) {
			out[p.Call] = append(out[p.Call], p)
		}
	}
	return out
}

// peersByCall groups the streams of one group by their call.
func (f *Facts) peersByCall(group int) [][]*Peer {
	out := make([][]*Peer, len(f.Calls))
	for i := range f.Peers {
		if p := &f.Peers[i]; p.Group == group {
			out[p.Call] = append(out[p.Call], p)
		}
	}
	return out
}

// factors are the ids of Agora's table of root causes by the word of grade_reasons, in
// the order in which causes of the same number of samples are named: loss before delay
// before jitter. The table knows audio and video, uplink and downlink.
var factors = []struct {
	reason string
	id     int
}{
	{"audio_send_loss", 22}, {"audio_recv_loss", 24}, {"video_send_loss", 21}, {"video_recv_loss", 23},
	{"audio_send_delay", 43}, {"audio_recv_delay", 9}, {"video_send_delay", 42}, {"video_recv_delay", 8},
	{"audio_send_jitter", 45}, {"audio_recv_jitter", 47}, {"video_send_jitter", 44}, {"video_recv_jitter", 46},
}

// FactorID is Agora's factor id of a reason such as "video_recv_loss", 0 = none.
func FactorID(reason string) int {
	for _, f := range factors {
		if f.reason == reason {
			return f.id
		}
	}
	return 0
}

// factorOrder is the place of an id among factors.
func factorOrder(id int) int {
	for i, f := range factors {
		if f.id == id {
			return i
		}
	}
	return len(factors)
}

// Factors returns the ids of a list of reasons.
func Factors(reasons string) []int {
	if reasons == "" {
		return nil
	}
	var out []int
	for word := range strings.SplitSeq(reasons, ",") {
		if id := FactorID(word); id != 0 {
			out = append(out, id)
		}
	}
	return out
}

// callBook has calls by id; a call of which only the id is known starts at the
// second in its id.
type callBook map[string]*Call

func (b callBook) get(id string, h *payload.Head) *Call {
	c := b[id]
	if c == nil {
		c = &Call{ID: id, ClientID: h.ClientID, Device: h.Device, Room: h.Room}
		if s, err := strconv.ParseInt(id[strings.LastIndexByte(id, '.')+1:], 10, 64); err == nil && s < 1<<40 {
			c.StartMs, c.EndMs = s*1000, s*1000
		}
		b[id] = c
	}
	return c
}

// ids lists the calls, at most as many as an error lists.
func (b callBook) ids() []string {
	ids := slices.Sorted(maps.Keys(b))
	return ids[:min(len(ids), maxListed)]
}

// sorted returns the calls by start and their places by id.
func (b callBook) sorted() ([]Call, map[string]int) {
	ids := slices.SortedFunc(maps.Keys(b), func(x, y string) int {
		return cmp.Or(cmp.Compare(b[x].StartMs, b[y].StartMs), cmp.Compare(x, y))
	})
	list, place := make([]Call, 0, len(ids)), map[string]int{}
	for i, id := range ids {
		place[id] = i
		list = append(list, *b[id])
	}
	return list, place
}
