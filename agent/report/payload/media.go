package payload

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"roomcall/cgi"
)

// The measures of a media stream, in the order of the payloads' keys.
const (
	Bitrate = iota
	Loss
	LossPackets
	Jitter
	Delay
	Codec // the only text, see Media.Codec
	MOS
	FPS
	Width
	Height
	WidthAssumed
	Streams
	FPSMin
	Measures // their number
)

// How the streams of a group become one value.
type rule int

const (
	first   rule = iota // that of stream 0
	sum                 // bit rates add up
	highest             // the worst stream; of lost packets too, because their windows may differ
	lowest
	derived // not said by a stream: counted or estimated over the group
)

// measure describes one measure. Everything that reads, combines, sums up,
// publishes, describes or converts a measure works from its row here.
type measure struct {
	key   string // in a stream record; after "<media>_<direction>_" elsewhere
	short string // in the state, which is written with every poll
	media string // the media whose samples and summaries have it, "" = all
	of    func(*cgi.Stream) cgi.Reading
	rule  rule
	typ   string // JSON Schema type; a flag is 0 or 1
	min   float64
	max   float64 // 0 = no limit
	doc   string  // as the description of a single stream
	name  string  // as in "mean <name>", where a summary has it

	call, minute statistic // the statistics that a call and a minute have of it
}

// measureTable has a row for each measure. To publish another field of the
// endpoint's reply, add its measure above and its row here; docs/develop.md has all
// steps.
var measureTable = [Measures]measure{
	Bitrate: {
		key: "bitrate_kbps", short: "b", of: func(s *cgi.Stream) cgi.Reading { return s.BitrateKbps }, rule: sum, typ: "number",
		doc: "Bit rate, kbit/s", name: "bit rate, kbit/s",
		call: mean, minute: mean | last,
	},
	Loss: {
		key: "loss_pct", short: "l", of: func(s *cgi.Stream) cgi.Reading { return s.LossPct }, rule: highest, typ: "number", max: 100,
		doc: "Packet loss, percent, a window of about 6 s", name: "packet loss, percent",
		call: mean | most | p95, minute: mean | most,
	},
	LossPackets: {
		key: "loss_packets", of: func(s *cgi.Stream) cgi.Reading { return s.LossPackets }, rule: highest, typ: "integer",
		doc: "Lost packets as the endpoint counts them (window or total is not documented)",
	},
	Jitter: {
		key: "jitter_ms", short: "j", of: func(s *cgi.Stream) cgi.Reading { return s.JitterMs }, rule: highest, typ: "number",
		doc: "Jitter, milliseconds", name: "jitter, milliseconds",
		call: mean | most | p95, minute: mean | most | last,
	},
	Delay: {
		key: "delay_ms", short: "d", of: func(s *cgi.Stream) cgi.Reading { return s.DelayMs }, rule: highest, typ: "number",
		doc: "Network delay, milliseconds (one way or round trip is not documented)", name: "delay, milliseconds",
		call: mean | most | p95, minute: mean | most | last,
	},
	Codec: {key: "codec", typ: "string", doc: "Codec, the vendor's text"},
	MOS: {
		key: "mos_est", short: "m", media: "audio", rule: derived, typ: "number", min: 1, max: 4.5,
		doc: "Estimated network MOS (G.107, narrow band)", name: "estimated network MOS",
		call: mean | least, minute: mean,
	},
	FPS: {
		key: "fps", short: "f", media: "video aux", of: func(s *cgi.Stream) cgi.Reading { return s.FPS }, typ: "number",
		doc: "Frames a second", name: "frame rate of stream 0",
		call: least, minute: last,
	},
	Width: {
		key: "width", short: "w", media: "video aux", of: func(s *cgi.Stream) cgi.Reading { return cgi.Known(float64(s.Width)) }, typ: "integer", min: 1,
		doc: "Picture width, pixels", name: "picture width, pixels",
		minute: last,
	},
	Height: {
		key: "height", short: "h", media: "video aux", of: func(s *cgi.Stream) cgi.Reading { return cgi.Known(float64(s.Height)) }, typ: "integer", min: 1,
		doc: "Picture height, pixels", name: "picture height, pixels",
		minute: last,
	},
	WidthAssumed: {
		key: "width_assumed", media: "video aux", of: func(s *cgi.Stream) cgi.Reading { return cgi.Reading{Value: 1, Known: s.WidthAssumed && s.Width > 0} }, typ: "flag",
		doc: "1 when the endpoint gave the height alone and 16:9 is assumed, else absent",
	},
	Streams: {
		key: "streams", media: "video", rule: derived, typ: "integer", min: 1,
		doc: "Number of active streams",
	},
	FPSMin: {
		key: "fps_min", media: "video", of: func(s *cgi.Stream) cgi.Reading { return s.FPS }, rule: lowest, typ: "number",
		doc: "Lowest frame rate over the active streams",
	},
}

// MeasureKey is the key of a measure in a stream record, for example "loss_pct".
func MeasureKey(measure int) string { return measureTable[measure].key }

// Bounds of what a payload holds.
const (
	MaxStreams = 64   // streams read from one list
	maxText    = 256  // bytes of a text
	maxNumber  = 1e12 // of a measure without a limit of its own
)

// Media is what one stream, or all active streams of a group together, said.
type Media struct {
	Active bool   // without an active stream there are no values
	Name   string // the remote site of a single stream; personal, see Stream.Peer
	Codec  string
	Values [Measures]cgi.Reading
}

// StreamMedia reads one stream. A reading outside the measure's range is not
// a measurement and is absent.
func StreamMedia(s *cgi.Stream) Media {
	m := Media{Active: s.Active, Name: s.Name, Codec: Clip(s.Codec)}
	for i := range measureTable {
		if row := &measureTable[i]; row.of != nil {
			m.Values[i] = row.sane(row.of(s))
		}
	}
	return m
}

func (row *measure) sane(x cgi.Reading) cgi.Reading {
	most := row.max
	if most == 0 {
		most = maxNumber
	}
	if !x.Known || !(x.Value >= row.min && x.Value <= most) {
		return cgi.Reading{}
	}
	return cgi.Known(x.Value + 0) // no "-0"
}

// Combine makes one value of each measure from the active streams of a group, by
// the measure's rule.
func Combine(list []Media) Media {
	var m Media
	active := 0
	decimals := 0
	for i := range list {
		s := &list[i]
		if !s.Active {
			continue
		}
		active++
		for k := range measureTable {
			x, to := s.Values[k], &m.Values[k]
			if !x.Known {
				continue
			}
			switch measureTable[k].rule {
			case first:
				if i == 0 {
					*to = x
				}
			case sum:
				*to = cgi.Known(to.Value + x.Value)
				decimals = max(decimals, decimalsOf(x.Value))
			case highest:
				if !to.Known || x.Value > to.Value {
					*to = x
				}
			case lowest:
				if !to.Known || x.Value < to.Value {
					*to = x
				}
			}
		}
	}
	if active == 0 {
		return Media{}
	}
	m.Active = true
	m.Values[Streams] = cgi.Known(float64(active))
	if active > 1 { // 0.1 + 0.2 is 0.3
		m.Values[Bitrate].Value = Round(m.Values[Bitrate].Value, decimals)
	}
	if list[0].Active {
		m.Codec = list[0].Codec
	}
	return m
}

// decimalsOf counts the decimals of a number, 6 at most.
func decimalsOf(x float64) int {
	_, after, _ := strings.Cut(strconv.FormatFloat(x, 'f', -1, 64), ".")
	return min(len(after), 6)
}

// Round keeps n decimals.
func Round(x float64, n int) float64 {
	p := math.Pow10(n)
	if r := math.Round(x*p) / p; !math.IsInf(r, 0) {
		return r
	}
	return x
}

// Clip bounds a text to 256 bytes without cutting a character.
func Clip(s string) string { return ClipTo(s, maxText) }

// ClipTo bounds a text to n bytes without cutting a character.
func ClipTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// value is a measure by its number: a float64, a string, or nil when absent.
func (m *Media) value(k int) any {
	switch {
	case k == Codec && m.Codec != "":
		return m.Codec
	case m.Values[k].Known:
		return m.Values[k].Value
	default:
		return nil
	}
}

func (m *Media) setValue(k int, x any) error {
	m.Active = true
	switch x := x.(type) {
	case string:
		if k == Codec {
			m.Codec = x
			return nil
		}
	case float64:
		if k != Codec {
			m.Values[k] = cgi.Known(x)
			return nil
		}
	}
	return fmt.Errorf("%v is not of type %s", x, measureTable[k].typ)
}
