package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"roomcall/agent/report/payload"
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
	skipped int
	others  map[string]bool // devices that are not asked for
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
	if !c.o.wants(l.ClientID, l.Device) {
		c.others[l.Device] = true
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
	c.record(p)
	return nil
}

func (c *collector) record(p any) {
	switch p := p.(type) {
	case *payload.Sample:
		c.sample(p)
	case *payload.Minute:
		c.minutes[minuteKey{p.ClientID + "/" + p.Device, p.MinuteMs}] = p
		if p.CallID != "" {
			c.book.get(p.CallID, &p.Head)
		}
	case *payload.Stream:
		c.stream(p)
	case *payload.Call:
		k := c.book.get(p.CallID, &p.Head)
		k.StartMs, k.EndMs, k.Finished = p.StartMs, p.EndMs, true
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
			k.StartMs = p.SinceMs
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
	for _, g := range []int{payload.AudioSend, payload.VideoSend, payload.AuxSend} {
		k.Sends = k.Sends || p.Media[g].Active
	}
}

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
	f := &Facts{Calls: calls}
	slices.SortFunc(c.samples, func(a, b rawPoint) int {
		return cmp.Or(cmp.Compare(a.TsMs, b.TsMs), cmp.Compare(a.place, b.place), cmp.Compare(a.call, b.call))
	})
	for i := range c.samples {
		s := &c.samples[i]
		s.Call = place[s.call]
		f.Points = append(f.Points, s.Point)
	}
	c.missingMinutes()
	for _, k := range slices.SortedFunc(maps.Keys(c.minutes), func(a, b minuteKey) int {
		return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.place, b.place))
	}) {
		f.Minutes = append(f.Minutes, *c.minutes[k])
	}
	slices.SortFunc(c.peers, func(a, b rawPeer) int {
		return cmp.Or(cmp.Compare(a.TsMs, b.TsMs), cmp.Compare(a.call, b.call), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Index, b.Index))
	})
	for _, p := range c.peers {
		p.Call = place[p.call]
		f.Peers = append(f.Peers, p.Peer)
	}
	return f
}

// devices lists the devices; with their agents when there are several.
func (c *collector) devices() []string {
	places, agents := map[string]string{}, map[string]bool{}
	for _, k := range c.book {
		places[k.place()] = k.Device
		agents[k.ClientID] = true
	}
	list := slices.Sorted(maps.Keys(places))
	for i, place := range list {
		if len(agents) == 1 {
			list[i] = places[place]
		}
	}
	return list
}

// missingMinutes makes the minutes that have samples but no minute record; the
// samples are sorted by time.
func (c *collector) missingMinutes() {
	sums := map[minuteKey]payload.MinuteSums{}
	for i := range c.samples {
		s := &c.samples[i]
		k := minuteKey{s.place, s.TsMs / minuteMs * minuteMs}
		sum, begun := sums[k]
		if c.minutes[k] == nil {
			m := &payload.Minute{MinuteMs: k.ms}
			m.ClientID, m.Device, _ = strings.Cut(k.place, "/")
			c.minutes[k], begun = m, true
		}
		if !begun {
			continue // there is a record
		}
		m := c.minutes[k]
		m.CallID = s.call
		m.Samples++
		m.SamplesOK++
		sums[k] = sum.Add(s.media)
	}
	for k, sum := range sums {
		c.minutes[k].Media = sum.Summaries()
	}
}
