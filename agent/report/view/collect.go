package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"roomcall/agent/report/payload"
)

const (
	minuteMs = 60_000
	dayMs    = 24 * 60 * minuteMs
)

// minuteKey is a minute of a place: client_id/device.
type minuteKey struct {
	place string
	ms    int64
}

// collector gathers the facts of an input.
type collector struct {
	o       Options
	seen    map[string]bool
	book    callBook
	minutes map[minuteKey]*payload.Minute
	samples []rawPoint
	peers   []rawPeer
	days    map[int64]bool // UTC days that have a record
	skipped int
	others  map[string]bool // what the input has in place of what is asked for, see otherThan
}

// rawPoint and rawPeer name their call by its id until all calls are known.
type rawPoint struct {
	call  string
	place string
	Point
	media *payload.GroupMedia
}

type rawPeer struct {
	call string
	Peer
}

// line takes one record.
func (c *collector) line(l *payload.Line) error {
	if l.Kind == "" {
		c.skipped++
		return nil
	}
	if !c.o.wants(l.ClientID, l.Device, l.Room) {
		if l.Kind != "event" { // those of agents are of no room
			c.others[c.o.otherThan(l)] = true
		}
		return nil
	}
	if c.seen[l.ID] {
		return nil
	}
	p, err := l.Record()
	if err != nil {
		return err
	}
	c.seen[l.ID] = true
	c.days[l.TsMs/dayMs*dayMs] = true
	c.record(p)
	return nil
}

// otherThan is the agent, room or device of a record that is not asked for.
func (o *Options) otherThan(l *payload.Line) string {
	switch {
	case o.ClientID != "" && o.ClientID != l.ClientID:
		return l.ClientID
	case o.Room != "" && o.Room != cmp.Or(l.Room, l.Device):
		return cmp.Or(l.Room, l.Device)
	}
	return l.Device
}

func (c *collector) record(p any) {
	switch p := p.(type) {
	case *payload.Sample:
		c.sample(p)
	case *payload.Minute:
		c.minutes[minuteKey{p.ClientID + "/" + p.Device, p.MinuteMs}] = p
		if p.CallID != "" {
			if k := c.book.get(p.CallID, &p.Head); !k.Finished {
				k.EndMs = max(k.EndMs, p.MinuteMs)
			}
		}
	case *payload.Stream:
		c.stream(p)
	case *payload.Call:
		k := c.book.get(p.CallID, &p.Head)
		k.StartMs, k.EndMs, k.Finished = p.StartMs, p.EndMs, true
		for _, g := range sending {
			k.Sends = k.Sends || len(p.Media[g]) > 0
		}
	case *payload.Event:
		c.event(p)
	}
}

func (c *collector) event(p *payload.Event) {
	if p.CallID == "" {
		return
	}
	k := c.book.get(p.CallID, &p.Head)
	switch p.Type {
	case "call.started":
		if p.SinceMs != 0 && !k.Finished {
			k.StartMs, k.EndMs = p.SinceMs, max(k.EndMs, p.TsMs) // in the call at that poll
		}
	case "call.ended":
		if !k.Finished {
			k.EndMs, k.Finished = max(k.EndMs, p.TsMs), true
		}
	}
}

func (c *collector) sample(p *payload.Sample) {
	if p.CallID == "" {
		return
	}
	k := c.book.get(p.CallID, &p.Head)
	k.See(p)
	c.samples = append(c.samples, rawPoint{call: p.CallID, place: p.ClientID + "/" + p.Device, Point: NewPoint(p, 0), media: &p.Media})
}

// See notes what a sample says about its call.
func (k *Call) See(p *payload.Sample) {
	if p.Model != "" {
		k.Model = p.Model
	}
	if !k.Finished {
		k.EndMs = max(k.EndMs, p.TsMs)
	}
	for _, g := range sending {
		k.Sends = k.Sends || p.Media[g].Active
	}
}

// sending are the groups of what a room sends.
var sending = []int{payload.AudioSend, payload.VideoSend, payload.AuxSend}

func (c *collector) stream(p *payload.Stream) {
	if p.CallID == "" {
		return
	}
	c.book.get(p.CallID, &p.Head)
	for g, name := range payload.GroupNames {
		if name.Media == p.Media && name.Direction == p.Direction {
			c.peers = append(c.peers, rawPeer{p.CallID, Peer{
				TsMs: p.TsMs, Group: g, Index: p.Stream, Name: p.Peer, Readings: readingsOf(&p.Measured),
			}})
		}
	}
}

// name is the peer as TRTC's PeerId.
func (p *Peer) name() string {
	if p.Name != "" {
		return p.Name
	}
	return fmt.Sprintf("stream-%d", p.Index)
}

// facts puts what was gathered in order.
func (c *collector) facts() *Facts {
	calls, place := c.book.sorted()
	f := &Facts{Calls: calls, Days: slices.Sorted(maps.Keys(c.days)), Skipped: c.skipped}
	slices.SortFunc(c.samples, func(a, b rawPoint) int {
		return cmp.Or(cmp.Compare(a.TsMs, b.TsMs), cmp.Compare(a.place, b.place), cmp.Compare(a.call, b.call))
	})
	for i := range c.samples {
		s := &c.samples[i]
		s.Call = place[s.call]
		f.Points = append(f.Points, s.Point)
	}
	f.Minutes = c.byCall(place)
	slices.SortFunc(c.peers, func(a, b rawPeer) int {
		return cmp.Or(cmp.Compare(a.TsMs, b.TsMs), cmp.Compare(a.call, b.call), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Index, b.Index))
	})
	for _, p := range c.peers {
		p.Call = place[p.call]
		f.Peers = append(f.Peers, p.Peer)
	}
	return f
}

// byCall makes the minutes of each call. The minute's record says it, unless the
// minute has samples of several calls: then each call's own samples do. They also do
// where there is no record.
func (c *collector) byCall(place map[string]int) []Minute {
	type key struct {
		minuteKey
		call string
	}
	sums, calls := map[key]payload.MinuteSums{}, map[minuteKey]int{}
	for i := range c.samples {
		s := &c.samples[i]
		k := key{minuteKey{s.place, s.TsMs / minuteMs * minuteMs}, s.call}
		sum, again := sums[k]
		if !again {
			calls[k.minuteKey]++
		}
		sums[k] = sum.Add(s.media)
	}
	var out []Minute
	for k, m := range c.minutes {
		_, seen := sums[key{k, m.CallID}]
		if m.CallID != "" && (calls[k] == 0 || calls[k] == 1 && seen) {
			out = append(out, Minute{place[m.CallID], k.ms, m.Media})
			delete(sums, key{k, m.CallID})
		}
	}
	for k, sum := range sums {
		out = append(out, Minute{place[k.call], k.ms, sum.Summaries()})
	}
	slices.SortFunc(out, func(a, b Minute) int { return cmp.Or(cmp.Compare(a.StartMs, b.StartMs), cmp.Compare(a.Call, b.Call)) })
	return out
}
