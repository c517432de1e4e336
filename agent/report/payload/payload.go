// Package payload holds the Go structs of the published records and turns them
// into flat JSON, back, and into JSON Schema.
//
// Promise: the struct is the only description. The bytes that are sent, the
// schema that is published and the reader that converts exported records are
// made from the same fields, in the same order. A measurement that is not there
// is an absent key, never 0 and never null.
//
// A field is described by its tags: key is the JSON key (in a media group: its
// ending), opt:"1" leaves an empty text out, type is "int" or "flag" for numbers
// that are no fractions, enum lists the allowed words, min and max bound a
// number, for names the media that have the key, doc is the description.
package payload

import (
	"strconv"
	"strings"
	"time"

	"roomcall/cgi"
)

// Version is the major version of the payloads; SchemaVersion the version of
// their schemas.
const (
	Version       = 1
	SchemaVersion = "1.0"
)

// Head is what every payload begins with.
type Head struct {
	V        int64       `key:"v" min:"1" doc:"Major version of the payload."`
	Schema   string      `key:"schema" doc:"Name and version of this payload's schema."`
	ID       string      `key:"id" doc:"Unique name of the record: client_id.epoch.device.kind.seq. A record that is sent again keeps it."`
	Epoch    int64       `key:"epoch" doc:"Unix second at which the agent's store was created; seq starts again with a new epoch."`
	Seq      uint64      `key:"seq" min:"1" doc:"Number of the record within device and kind, rising by exactly one."`
	TsMs     int64       `key:"ts_ms" doc:"Time of the record, Unix milliseconds, UTC."`
	Ts       string      `key:"ts" doc:"The same time, RFC 3339 with milliseconds, UTC."`
	ClientID string      `key:"client_id" doc:"The agent."`
	Site     string      `key:"site" doc:"The site, as configured; may be empty."`
	Room     string      `key:"room" doc:"The room's human name, as configured; may be empty."`
	Device   string      `key:"device" doc:"The device, as configured, or \"agent\" for the agent's own events."`
	Replayed cgi.Reading `key:"replayed" type:"flag" doc:"1 when the record is sent late (more than 2 poll intervals and 2 s after ts_ms); else absent."`
}

// ViewHead is the head of a view; the keys of the other system's reply follow it.
type ViewHead struct{ Head }

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

// New gives an empty payload of a flat kind, nil for any other word.
func New(kind string) any {
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
