// Package payload holds the published records: their structs, their one table
// of media measures, and the way to flat JSON, back, and to JSON Schema.
//
// Promise: each key is described once, by a struct field or by a row of the
// table of measures. The bytes that are sent, the schema that is published and
// the reader that converts exported records all work from that description, in
// the same order. A measurement that is not there is an absent key, never 0 and
// never null.
//
// Beside the json tag, a struct field has doc, its description; enum, the
// allowed words or numbers; min and max, the range of a number. A key is
// required unless it is omitempty or omitzero.
package payload

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Version is the major version of the payloads; SchemaVersion the version of
// their schemas.
const (
	Version       = 1
	SchemaVersion = "1.0"
)

// Head is what every payload begins with.
type Head struct {
	V        int64  `json:"v" enum:"1" doc:"Major version of the payload."`
	Schema   string `json:"schema" doc:"Name and version of this payload's schema."`
	ID       string `json:"id" doc:"Unique name of the record: client_id.epoch.device.kind.seq. A record that is sent again keeps it."`
	Epoch    int64  `json:"epoch" min:"0" max:"9007199254740991" doc:"Names the life of the agent's store: Unix second of its beginning x 2^20 + 20 random bits. With a new one seq starts again; it is never smaller than an earlier one."`
	Seq      uint64 `json:"seq" min:"1" doc:"Number of the record within device and kind, rising by exactly one."`
	TsMs     int64  `json:"ts_ms" min:"0" doc:"Time of the record, Unix milliseconds, UTC."`
	Ts       string `json:"ts" format:"date-time" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$" doc:"The same time, RFC 3339 with milliseconds, UTC."`
	ClientID string `json:"client_id" pattern:"^[a-z0-9-]{1,63}$" doc:"The agent."`
	Site     string `json:"site" doc:"The site, as configured; may be empty."`
	Room     string `json:"room" doc:"The room's human name, as configured; may be empty."`
	Device   string `json:"device" pattern:"^[a-z0-9-]{1,63}$" doc:"The device, as configured, or \"agent\" for the agent's own events."`
	Replayed int64  `json:"replayed,omitzero" enum:"0|1" doc:"1 when the record is sent late (more than 2 poll intervals and 2 s after ts_ms); else absent."`
}

// Header is the head itself.
func (h *Head) Header() *Head { return h }

// Place is the part of a head that stays the same for all records of a device.
type Place struct {
	ClientID, Site, Room, Device string
	Epoch                        int64
}

// Head makes the head of the record seq of a kind.
func (p Place) Head(kind string, seq uint64, tsMs int64) Head {
	return Head{
		V:        Version,
		Schema:   SchemaName(kind),
		ID:       strings.Join([]string{p.ClientID, strconv.FormatInt(p.Epoch, 10), p.Device, kind, strconv.FormatUint(seq, 10)}, "."),
		Epoch:    p.Epoch,
		Seq:      seq,
		TsMs:     tsMs,
		Ts:       time.UnixMilli(tsMs).UTC().Format("2006-01-02T15:04:05.000Z"),
		ClientID: p.ClientID,
		Site:     p.Site,
		Room:     p.Room,
		Device:   p.Device,
	}
}

// SchemaName is the value of the key schema.
func SchemaName(kind string) string { return "roomcall." + kind + "/" + SchemaVersion }

// The six media groups, in the order of the payload's keys.
const (
	AudioSend = iota
	AudioRecv
	VideoSend
	VideoRecv
	AuxSend
	AuxRecv
	Groups // the number of groups
)

// Group is one of the six: a medium in one direction.
type Group struct {
	Media, Direction string
	// Name is "<media>_<direction>", for example "video_recv".
	Name string
}

// GroupNames are the groups by index.
var GroupNames = [Groups]Group{
	{"audio", "send", "audio_send"}, {"audio", "recv", "audio_recv"},
	{"video", "send", "video_send"}, {"video", "recv", "video_recv"},
	{"aux", "send", "aux_send"}, {"aux", "recv", "aux_recv"},
}

// Record is a pointer to a Sample, Stream, Event, Call or Minute.
type Record interface {
	// Header is the record's own head, to be filled.
	Header() *Head
	// media is where the measures are, and which keys they have; nil for an
	// event.
	media() (measured, []column)
}

// measured holds the measures of a record. A value is a float64, a string, or
// nil when absent.
type measured interface {
	get(c *column) any
	set(c *column, x any) error
}

// New returns an empty record of a flat kind, nil for any other word.
func New(kind string) Record {
	switch kind {
	case "sample":
		return new(Sample)
	case "stream":
		return new(Stream)
	case "event":
		return new(Event)
	case "call":
		return new(Call)
	case "minute":
		return new(Minute)
	}
	return nil
}

// Kinds lists the flat kinds in the order of the documents.
func Kinds() []string { return []string{"sample", "stream", "event", "call", "minute"} }

// column is one key that a measure has in a kind of record.
type column struct {
	key     string // whole
	inGroup string // without the group's name
	group   int
	measure int
	doc     string // the description of a statistic, "" = the measure's own
}

// The columns of the kinds, in the order of their keys.
var (
	streamColumns = oneStream()
	sampleColumns = byGroup(nil)
	callColumns   = byGroup((*measure).ofCall)
	minuteColumns = byGroup((*measure).ofMinute)
)

// oneStream has the measures that a single stream has a value of.
func oneStream() (out []column) {
	for k, row := range measureTable {
		if row.rule != derived && row.rule != lowest {
			out = append(out, column{key: row.key, measure: k})
		}
	}
	return out
}

// byGroup has the measures of each group whose medium has them, or the wanted
// statistics of them.
func byGroup(wanted func(*measure) statistic) (out []column) {
	for g, group := range GroupNames {
		for k := range measureTable {
			row := &measureTable[k]
			if row.media != "" && !strings.Contains(row.media, group.Media) {
				continue
			}
			if wanted == nil {
				out = append(out, column{group.Name + "_" + row.key, row.key, g, k, ""})
				continue
			}
			for _, st := range statisticTable {
				if wanted(row)&st.is != 0 {
					key := row.key + "_" + st.word
					out = append(out, column{group.Name + "_" + key, key, g, k, fmt.Sprintf(st.doc, row.name)})
				}
			}
		}
	}
	return out
}
