// Package view puts published records into the reply shapes of other systems:
// Zoom (umeeting) participant QoS, Agora Analytics, Volcengine ListQuality and
// Tencent TRTC DescribeCallDetail.
//
// Promise: a key of theirs is filled only where the record has the fact. What is
// the same, what comes close and what is not there is listed in every document's
// _meta; what is not there stays empty or absent, as in the system's own
// example. One document is one reply of that system: what holds one call there
// holds one call here.
package view

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"roomcall/agent/report/payload"
)

// system is another system's interface: its parts, the first one being what is
// made when no part is asked for.
type system struct {
	name  string
	parts []part
}

// part is one kind of reply.
type part struct {
	name    string
	oneCall bool
	page    int      // entries of a page when none is asked for; 0 = the reply has no pages
	metrics []string // what may be asked for by name
	absent  []string // further names of theirs: known, never there
	make    func(f *Facts, o *Options) any
}

var systems = []system{
	{"zoom", []part{
		{name: "qos", oneCall: true, make: zoomMinutes},
		{name: "live", oneCall: true, make: zoomMinutes},
		{name: "past", oneCall: true, make: zoomMinutes},
	}},
	{"agora", []part{
		{name: "details", oneCall: true, page: 10, metrics: agoraMIDNames(), absent: agoraAbsentMIDs, make: agoraDetails},
		{name: "lists", page: 10, make: agoraLists},
		{name: "scale", metrics: []string{"pcu", "pcc"}, make: agoraScale},
		{name: "net", metrics: []string{"videoUpstreamExcellentTransRate", "audioUpstreamExcellentTransRate"},
			absent: []string{"videoEnd2EndExcellentTransRate", "audioEnd2EndExcellentTransRate"}, make: agoraNet},
		{name: "experience", absent: []string{"joinSuccessRate", "joinSuccess5SecsRate", "videoFreezeRate", "audioFreezeRate"}, make: agoraExperience},
		{name: "diagnosis", page: 10, make: agoraDiagnosis},
		{name: "usage", metrics: []string{"userCount", "sessionCount", "channelCount"}, make: agoraUsage},
	}},
	{"volc", []part{{name: "quality", metrics: volcIndicators[:], absent: volcAbsent, make: volcQuality}}},
	{"trtc", []part{{name: "detail", oneCall: true, page: 6, metrics: trtcNames(), absent: trtcAbsent, make: trtcDetail}}},
}

// Names lists the views.
func Names() []string {
	var names []string
	for _, s := range systems {
		names = append(names, s.name)
	}
	return names
}

// Parts lists the parts of a view, the first one being the default.
func Parts(name string) []string {
	var parts []string
	for _, s := range systems {
		for _, p := range s.parts {
			if s.name == name {
				parts = append(parts, p.name)
			}
		}
	}
	return parts
}

// Metrics lists what may be asked for by name in a part of a view.
func Metrics(name, part string) []string {
	p, _ := find(name, part, nil)
	return p.metrics
}

// find finds a part; "" is the first one that knows the metrics that are asked for, or
// the first one.
func find(name, partName string, metrics []string) (part, error) {
	i := slices.IndexFunc(systems, func(s system) bool { return s.name == name })
	if i < 0 {
		return part{}, fmt.Errorf("unknown view %q, allowed are %s", name, strings.Join(Names(), ", "))
	}
	parts := systems[i].parts
	for _, p := range parts {
		if p.name == partName || partName == "" && len(metrics) > 0 && p.knows(metrics) {
			return p, nil
		}
	}
	if partName == "" {
		return parts[0], nil
	}
	return part{}, fmt.Errorf("unknown part %q of %s, allowed are %s", partName, name, strings.Join(Parts(name), ", "))
}

// knows reports whether all metrics belong to the part.
func (p *part) knows(metrics []string) bool {
	all := slices.Concat(p.metrics, p.absent)
	return !slices.ContainsFunc(metrics, func(name string) bool { return !slices.Contains(all, name) })
}

// NoMetrics asks for none of the series: the list of users alone.
const NoMetrics = "none"

// Options of Convert: which records, and which part of the other system's
// interface. The zero value is everything.
type Options struct {
	Part string // see Parts

	Call         string   // only this call
	Devices      []string // only these, as device or client_id/device
	Room         string   // only this room: its name, or the device where it has none
	ClientID     string   // only this agent
	Since, Until time.Time
	// Metrics are the names of theirs that are asked for, empty = all that are exact;
	// a name that is asked for is there also when it is approximate. NoMetrics = none.
	Metrics []string
	// Limit is the number of entries of a page, 0 = the other system's default; Page
	// counts from 0. Only where the reply has pages.
	Limit, Page int
	// Zone is where days begin, and of the time stamps that have one; nil = UTC.
	Zone *time.Location
	// Approximate adds Agora's metrics that are approximate.
	Approximate bool
	// Granularity of the volc view: "5min" (also "") or "1d".
	Granularity string
	// Swap exchanges Zoom's input and output.
	Swap bool

	oneCall bool // set by Document: the part is one call

	// Bad is called for each line that cannot be read, with its number from 1; nil
	// = nobody wants to know.
	Bad func(line int, err error)
	// Empty is called when the input has no record, or no call for a document of one,
	// that is asked for, with the devices that it has, or the rooms or agents where
	// these were asked for; nil = nobody wants to know.
	Empty func(others []string)
}

// wants reports whether the records of a device are asked for.
func (o *Options) wants(client, device, room string) bool {
	return (o.ClientID == "" || o.ClientID == client) &&
		(o.Room == "" || o.Room == cmp.Or(room, device)) &&
		(len(o.Devices) == 0 || slices.Contains(o.Devices, device) || slices.Contains(o.Devices, client+"/"+device))
}

// asks reports whether a metric is asked for by its name, or by none.
func (o *Options) asks(name string) bool {
	return len(o.Metrics) == 0 || slices.Contains(o.Metrics, name)
}

// asksApproximate reports whether a metric that is approximate is asked for.
func (o *Options) asksApproximate(name string) bool {
	return slices.Contains(o.Metrics, name) || len(o.Metrics) == 0 && o.Approximate
}

// in reports whether a time is asked for, in Unix ms; both ends are.
func (o *Options) in(ms int64) bool {
	return (o.Since.IsZero() || ms >= o.Since.UnixMilli()) && (o.Until.IsZero() || ms <= o.Until.UnixMilli())
}

func (o *Options) zone() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

// page cuts a list to the page that is asked for; more: further entries follow.
func page[T any](list []T, o *Options, size int) (cut []T, more bool) {
	size = cmp.Or(o.Limit, size)
	from := len(list) // a page behind the last one is empty
	if o.Page <= len(list)/size {
		from = max(o.Page, 0) * size
	}
	to := min(from+size, len(list))
	return list[from:to], to < len(list)
}

// A RequestError is a choice that the other system refuses, with the code of its
// own document where it has one.
type RequestError struct{ Code, Text string }

func (e *RequestError) Error() string {
	if e.Code == "" {
		return e.Text
	}
	return e.Code + ": " + e.Text
}

func refuse(code, format string, args ...any) error {
	return &RequestError{code, fmt.Sprintf(format, args...)}
}

// Check rejects choices that a view does not know; the error is a *RequestError.
func (o *Options) Check(to string) error {
	p, err := find(to, o.Part, o.Metrics)
	if err != nil {
		return refuse("", "%v", err)
	}
	for _, name := range o.Metrics {
		if name == NoMetrics && len(o.Metrics) == 1 && (to == "volc" || p.oneCall && p.metrics != nil) {
			continue
		}
		if all := slices.Concat(p.metrics, p.absent); !slices.Contains(all, name) {
			if len(all) == 0 {
				return refuse("", "%s has no metrics to choose in its part %s", to, p.name)
			}
			return refuse("", "unknown metric %q of %s %s, allowed are %s", name, to, p.name, strings.Join(all, ", "))
		}
	}
	switch {
	case o.Limit < 0 || o.Page < 0:
		return refuse("", "limit and page cannot be negative")
	case p.page == 0 && (o.Limit > 0 || o.Page > 0):
		return refuse("", "%s has no pages in its part %s", to, p.name)
	case o.Granularity != "" && Granularities[o.Granularity] == 0:
		return refuse("", "unknown granularity %q, allowed are 5min, 1d", o.Granularity)
	case !o.Since.IsZero() && !o.Until.IsZero() && o.Until.Before(o.Since):
		return refuse("", "the end of the time range is before its start")
	case to == "trtc":
		return trtcCheck(o)
	}
	return nil
}

// A SeveralCallsError says that a document of one call was asked for, and the
// records that are asked for have more.
type SeveralCallsError struct {
	To, Part string
	Calls    []Call // by start
}

// maxListed is how many calls an error lists.
const maxListed = 20

func (e *SeveralCallsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s is one call in its system and the input has %d; choose one with --call, or narrow them by device and time:", e.To, e.Part, len(e.Calls))
	for i := range e.Calls {
		if i == maxListed {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Calls)-i)
			break
		}
		b.WriteString("\n  " + e.Calls[i].line())
	}
	return b.String()
}

// line is a call in a list for people, times in UTC.
func (c *Call) line() string {
	end := "running"
	if c.Finished {
		end = clock(c.EndMs)
	}
	return fmt.Sprintf("%s  %s  %s to %s", c.ID, payload.Clip(c.name()), clock(c.StartMs), end)
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z") }

// ErrNoCall: the call that is asked for is not in the input.
var ErrNoCall = errors.New("the call is not in the input")

// Convert reads published or exported records, one JSON object a line, any
// kinds, in any order, duplicates allowed, and writes one document in the shape
// of the other system's reply. Blank lines are ignored. What is no record
// but belongs to roomcall's topics (availability, echo, birth, views) and objects
// of others are skipped and counted in _meta. When lines cannot be read,
// the document has the others, and the error is a
// *payload.BadLinesError. Other errors are
// a *RequestError, a *SeveralCallsError, ErrNoCall or that of the reader.
func Convert(to string, in io.Reader, o Options) ([]byte, error) {
	if err := o.Check(to); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	c := collector{o: o, seen: map[string]bool{}, book: callBook{}, others: map[string]bool{}, days: map[int64]bool{}, minutes: map[minuteKey]*payload.Minute{}}
	var bad *payload.BadLinesError
	if err := payload.ReadLines(in, o.Bad, c.line); err != nil && !errors.As(err, &bad) {
		return nil, fmt.Errorf("convert: %w", err)
	}
	doc, err := c.document(to)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	b, err := payload.JSON(doc)
	if err == nil && bad != nil {
		err = fmt.Errorf("convert: %w", bad)
	}
	return b, err
}

// document makes the document from what was read.
func (c *collector) document(to string) (any, error) {
	p, err := find(to, c.o.Part, c.o.Metrics)
	if err != nil {
		return nil, err
	}
	f := c.facts().only(&c.o, p.name)
	if c.o.Call != "" && len(f.Calls) == 0 && (len(c.seen) > 0 || len(c.others) == 0) {
		if c.book[c.o.Call] != nil {
			return nil, fmt.Errorf("%w in the time or state that is asked for: %s", ErrNoCall, c.o.Call)
		}
		return nil, fmt.Errorf("%w: %s; it has %s", ErrNoCall, c.o.Call, cmp.Or(strings.Join(c.book.ids(), ", "), "none"))
	}
	if c.o.Empty != nil && len(c.seen) == 0 {
		c.o.Empty(slices.Sorted(maps.Keys(c.others)))
	} else if c.o.Empty != nil && p.oneCall && len(f.Calls) == 0 {
		c.o.Empty(nil)
	}
	if p.oneCall && len(f.Calls) > 1 {
		return nil, &SeveralCallsError{To: to, Part: p.name, Calls: f.Calls}
	}
	return Document(to, f, c.o), nil
}

// Document makes the document of a part of a view from facts.
func Document(to string, f *Facts, o Options) any {
	p, err := find(to, o.Part, o.Metrics)
	if err != nil {
		return nil
	}
	o.Part, o.oneCall = p.name, p.oneCall
	return p.make(f, &o)
}
