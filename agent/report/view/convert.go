package view

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// Names lists the views.
func Names() []string { return []string{"zoom", "agora", "volc", "trtc"} }

// AgoraParts lists the parts of the agora view.
func AgoraParts() []string { return []string{"details", "lists", "live", "diagnosis"} }

// Options of Convert.
type Options struct {
	Device string // only this device's records; "" = all
	// Part of the agora view: "" = all in one document, "details", "lists",
	// "live", "diagnosis".
	Part string
	// Approximate adds Agora's loss metrics, Suspected its exp_id.
	Approximate, Suspected bool
	// Granularity of the volc view: "5min" (also "") or "1d".
	Granularity string
	// Swap exchanges Zoom's input and output.
	Swap bool
}

func (o *Options) check(to string) error {
	if !slices.Contains(Names(), to) {
		return fmt.Errorf("convert: unknown view %q, allowed are %s", to, strings.Join(Names(), ", "))
	}
	if o.Part != "" && !slices.Contains(AgoraParts(), o.Part) {
		return fmt.Errorf("convert: unknown part %q, allowed are %s", o.Part, strings.Join(AgoraParts(), ", "))
	}
	if o.Granularity == "" {
		o.Granularity = "5min"
	}
	if Granularities[o.Granularity] == 0 {
		return fmt.Errorf("convert: unknown granularity %q, allowed are 5min, 1d", o.Granularity)
	}
	return nil
}

// ErrDevices: the zoom view speaks of one participant, and the input has more.
var ErrDevices = errors.New("the input has several devices and the zoom view speaks of one")

// maxLine bounds a line of the input.
const maxLine = 4 << 20

// Convert reads published or exported records, one JSON object a line, any
// kinds, in any order, duplicates allowed, and writes one document in the shape
// of the other system's reply. Lines that are no JSON object are skipped and
// counted; a broken object is an error with its line number.
func Convert(to string, in io.Reader, o Options) ([]byte, error) {
	if err := o.check(to); err != nil {
		return nil, err
	}
	c := collector{o: o, seen: map[string]bool{}, book: callBook{}, minutes: map[minuteKey]*payload.Minute{}}
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for sc.Scan() {
		n++
		if err := c.line(sc.Bytes()); err != nil {
			return nil, fmt.Errorf("convert: line %d: %w", n, err)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("convert: read line %d: %w", n+1, err)
	}
	f := c.facts()
	if devices := c.devices(); to == "zoom" && len(devices) > 1 {
		return nil, fmt.Errorf("convert: %w; choose one of %s", ErrDevices, strings.Join(devices, ", "))
	}
	doc, meta := Document(to, f, o)
	meta.Skipped = c.skipped
	return Encode(doc)
}

// Document makes the document of a view from facts; meta is its _meta.
func Document(to string, f *Facts, o Options) (doc any, meta *Meta) {
	switch to {
	case "zoom":
		z := zoom(f, o.Swap)
		return z, z.Meta
	case "agora":
		a := agora(f, o)
		return a, a.Meta
	case "volc":
		v := volc(bucketsOf(f.Points, cmp.Or(o.Granularity, "5min")), cmp.Or(o.Granularity, "5min"))
		return v, v.Meta
	default:
		t := trtc(f)
		return t, t.Meta
	}
}

// VolcDocument makes the volc document of one finished bucket.
func VolcDocument(b Bucket, granularity string) *Volc { return volc([]Bucket{b}, granularity) }

// Encode writes a document as JSON on one line, with < and > as they are.
func Encode(doc any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("encode view: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

type minuteKey struct {
	device string
	ms     int64
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
}

// rawPoint and rawPeer name their call by its id until all calls are known.
type rawPoint struct {
	call   string
	device string
	Point
	media *[payload.Groups]payload.Media
}

type rawPeer struct {
	call string
	Peer
}

// line takes one line. A topic or other text before the object is ignored.
func (c *collector) line(b []byte) error {
	i := bytes.IndexByte(b, '{')
	if i < 0 {
		if len(bytes.TrimSpace(b)) > 0 {
			c.skipped++
		}
		return nil
	}
	b = b[i:]
	var head struct {
		Schema, ID, Device string
		Payload            json.RawMessage
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return err
	}
	if head.Schema == "" && len(head.Payload) > 0 && head.Payload[0] == '{' { // an export with an envelope
		return c.line(head.Payload)
	}
	name, ok := strings.CutPrefix(head.Schema, "roomcall.")
	name, version, _ := strings.Cut(name, "/")
	p := payload.New(name)
	if !ok || p == nil || !strings.HasPrefix(version, "1.") {
		c.skipped++
		return nil
	}
	if c.seen[head.ID] || c.o.Device != "" && head.Device != c.o.Device {
		return nil
	}
	if err := payload.Decode(b, p); err != nil {
		return err
	}
	c.seen[head.ID] = true
	c.record(p)
	return nil
}

func (c *collector) record(p any) {
	switch p := p.(type) {
	case *payload.Sample:
		c.sample(p)
	case *payload.Minute:
		c.minutes[minuteKey{p.Device, p.MinuteMs}] = p
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
		if p.SinceMs.Known && !k.Finished {
			k.StartMs = int64(p.SinceMs.Value)
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
	media := p.Media
	c.samples = append(c.samples, rawPoint{call: p.CallID, device: p.Device, Point: NewPoint(p, 0), media: &media})
}

// See takes what a sample says about its call.
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
				TsMs: p.TsMs, Group: g, Index: p.Stream, Name: p.Peer, Bitrate: p.BitrateKbps,
				FPS: p.FPS, Loss: p.LossPct, Width: p.Width, Height: p.Height,
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

// get is a reading by its number.
func (p *Peer) get(reading int) cgi.Reading {
	return [readings]cgi.Reading{p.Bitrate, p.Loss, p.FPS, p.Width, p.Height}[reading]
}

// facts puts what was gathered in order.
func (c *collector) facts() *Facts {
	calls, place := c.book.sorted()
	f := &Facts{Calls: calls}
	slices.SortFunc(c.samples, func(a, b rawPoint) int {
		return cmp.Or(cmp.Compare(a.TsMs, b.TsMs), cmp.Compare(a.device, b.device), cmp.Compare(a.call, b.call))
	})
	for i := range c.samples {
		s := &c.samples[i]
		s.Call = place[s.call]
		f.Points = append(f.Points, s.Point)
	}
	c.missingMinutes()
	for _, k := range slices.SortedFunc(maps.Keys(c.minutes), func(a, b minuteKey) int {
		return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.device, b.device))
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

func (c *collector) devices() []string {
	set := map[string]bool{}
	for _, k := range c.book {
		set[k.Device] = true
	}
	return slices.Sorted(maps.Keys(set))
}
