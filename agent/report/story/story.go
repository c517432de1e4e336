// Package story says what happened, from published records and nothing else: calls
// with grade and cause, incidents, outages, gaps, the worst minutes; as text, and as
// one HTML page with charts.
//
// Promise: it is pure but for the reader that it is given. The same records give the
// same story, in any order and with duplicates. What nobody measured or what is
// missing is said as such, and never as good. Memory grows with rooms, calls and
// incidents up to bounds, not with the number of samples; what a bound leaves out is
// said.
package story

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"roomcall/agent/report"
	"roomcall/agent/report/payload"
)

// bounds are those of what a story keeps in memory. Sums go on beyond them, but not
// those of further rooms.
type bounds struct {
	rooms, calls, incidents int
	notices                 int // the agents' own events
	gaps                    int // announced ranges of missing records
	minutes                 int // of the charts
}

var usualBounds = bounds{rooms: 20_000, calls: 100_000, incidents: 100_000, notices: 10_000, gaps: 10_000, minutes: 1 << 18}

// Options choose what the story is about.
type Options struct {
	// Filter chooses by device and by the time of a record; a call has the time of
	// its end. Of the agents' own events those that speak of the device are chosen.
	report.Filter
	// Store: the records come from the store of an agent, which does not know when the
	// broker was away.
	Store bool
	// Bad is called for each line that cannot be read, with its number from 1; nil =
	// nobody wants to know.
	Bad func(line int, err error)
}

// ErrNothing: the input has no record that is asked for.
var ErrNothing = errors.New("there is no record")

// Read reads published or exported records, as payload.ReadLines does, and returns
// their story. When lines cannot be read, it returns the story of the others and a
// *payload.BadLinesError. The error wraps ErrNothing when no record is chosen.
func Read(in io.Reader, o Options) (*Story, error) { return read(in, o, usualBounds) }

func read(in io.Reader, o Options, b bounds) (*Story, error) {
	s := &Story{
		options: o, bounds: b, numbers: map[topic]*numbers{}, rooms: map[place]*room{}, calls: map[string]*call{},
		incidents: map[string]*incident{}, agents: map[string]*agent{}, minutes: map[int64]*minute{},
		others: map[string]bool{}, sites: map[string]bool{},
	}
	err := payload.ReadLines(in, o.Bad, s.line)
	if bad := new(payload.BadLinesError); err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	if s.records == 0 {
		return nil, errors.Join(s.nothing(), err)
	}
	s.finish()
	return s, err
}

// nothing says why there is no story.
func (s *Story) nothing() error {
	switch list := slices.Sorted(maps.Keys(s.others)); {
	case len(list) > 10:
		return fmt.Errorf("%w of that device and time; the input has %d devices, such as %s", ErrNothing, len(list), strings.Join(list[:10], ", "))
	case len(list) > 0:
		return fmt.Errorf("%w of that device and time; the input has records of %s", ErrNothing, strings.Join(list, ", "))
	}
	return ErrNothing
}

// Story is what the records say.
type Story struct {
	options Options
	bounds  bounds

	records      int // without duplicates
	fromMs, toMs int64
	sites        map[string]bool
	agents       map[string]*agent
	rooms        map[place]*room
	calls        map[string]*call     // by call_id
	incidents    map[string]*incident // by incident_id
	notices      []notice
	gaps         []gap
	minutes      map[int64]*minute // the worst of all rooms, by its number since 1970
	worst        [metrics][]worst
	numbers      map[topic]*numbers
	others       map[string]bool // devices that are not asked for
	leftOut      leftOut

	// made by finish
	callList           []*call
	incidentList       []*incident
	missing, explained uint64
}

// leftOut counts what the bounds left out.
type leftOut struct{ rooms, calls, incidents, notices, gaps int }

// place is a device of an agent.
type place struct{ client, device string }

// room is what is known of a place.
type room struct {
	name        string
	samples, ok int64 // by the minute records
	calls       int
	spent       spent
	causes      map[string]float64 // poor and fair seconds by cause
	namedMs     int64              // of the record that has the name
}

// spent is time in calls by grade, in seconds.
type spent struct{ good, fair, poor, unknown float64 }

func (s *spent) add(o spent) {
	s.good += o.good
	s.fair += o.fair
	s.poor += o.poor
	s.unknown += o.unknown
}

func (s spent) all() float64 { return s.good + s.fair + s.poor + s.unknown }

// share is a part of s in percent.
func (s spent) share(part float64) float64 {
	if s.all() == 0 {
		return 0
	}
	return 100 * part / s.all()
}

// call is one call: its record, or what the events say of it.
type call struct {
	place
	id             string
	startMs, endMs int64 // endMs 0 = not known
	spent          spent
	coverage       float64
	grade          string // "" = no record of its end
	cause, scope   string
	values         map[string]float64 // the worst of the call, by the keys of a sample
	incidents      []*incident        // in it
}

// incident is trouble with a beginning and an end.
type incident struct {
	place
	what           string          // the type of its opening event
	sinceMs, endMs int64           // endMs 0 = still open
	seenMs         int64           // of the newest event that describes it
	metrics        map[string]bool // all that were beyond their limits, keys of a sample
	scope          string
	limits         map[string]float64 // poor limits by the profile's keys, as far as the events say them
	callID         string
	held           int64
	code           string // in the table of agent/health, "" = an event without one
	id             string
}

// notice is one of an agent's own events.
type notice struct {
	client string
	payload.Event
}

// gap is a range of records that an agent says are missing.
type gap struct {
	topic
	first, last, count uint64
	reason             string
	atMs               int64
}

// agent is when an agent was at work.
type agent struct {
	seen bitset // minutes with a poll
	late bitset // minutes whose records were sent late
}

// minute is the worst of all rooms in one minute; NaN = not known.
type minute struct{ values [charted]float32 }

// worst is one of the worst minutes.
type worst struct {
	place
	minute int64
	key    string
	value  float64
}
