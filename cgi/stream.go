package cgi

import (
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// Bounds of the texts of a stream. The vendor's are 192 for names and 20 for
// the codec; a longer one is not cut but left out, for a part of it would be
// something else.
const (
	maxName    = 768 // 192 characters of up to 4 bytes
	maxCodec   = 64
	maxStreams = 64 // of one direction
)

// field is one fact of a stream.
type field uint16

const (
	fieldName field = 1 << iota
	fieldCodec
	fieldSize
	fieldRate
	fieldFPS
	fieldJitter
	fieldDelay
	fieldLossPct
	fieldLossPackets
)

// audioFields and videoFields are the keys of the vendor's tables 3 and 4 for
// WEB_GetMultiCallStatusInfoAPI, in the vendor's order. "auxAudioRate" is the
// audio rate: in the sister action it and the video rate add up to the total.
var (
	audioFields = keys[field]{
		{"audioProtocol", fieldCodec},
		{"valueAudioJitter", fieldJitter},
		{"valueNetDelayAudio", fieldDelay},
		{"audioLossPer", fieldLossPct},
		{"audioLossNum", fieldLossPackets},
		{"auxAudioRate", fieldRate},
	}
	videoFields = keys[field]{
		{"szName", fieldName},
		{"videoProtocolPrefix", fieldCodec},
		{"videoProtocolPostfix", fieldSize},
		{"videoRate", fieldRate},
		{"videoFrame", fieldFPS},
		{"valueVideoJitter", fieldJitter},
		{"valueNetDelayVideo", fieldDelay},
		{"videoLossPer", fieldLossPct},
		{"videoLossNum", fieldLossPackets},
	}
)

// place names a key in a reply: parent[index].key.
type place struct {
	parent []byte
	index  int // -1 = parent is no list
	key    []byte
}

func (p place) String() string {
	var b strings.Builder
	b.Write(p.parent)
	if p.index >= 0 {
		b.WriteString("[" + strconv.Itoa(p.index) + "]")
	}
	if b.Len() > 0 && len(p.key) > 0 {
		b.WriteByte('.')
	}
	b.Write(p.key)
	return b.String()
}

// note adds an oddity. The text of a name is personal data and stays hidden.
func (d *decoder) note(p place, v *fastjson.Value) {
	text := oddityHidden
	if !strings.Contains(strings.ToLower(string(p.key)), "name") {
		text = d.describe(v)
	}
	d.odd.add(p.String(), text)
}

// streamBuilder collects the facts of one stream.
type streamBuilder struct {
	s        Stream
	seen     field // keys that came
	twice    field // keys that came more than once: what they say is unknown
	rateSaid bool  // a rate is there that is no placeholder
}

// set takes one fact.
func (b *streamBuilder) set(d *decoder, f field, p *place, v *fastjson.Value) {
	if b.seen&f != 0 {
		b.twice |= f
		d.odd.add(p.String(), "twice")
		return
	}
	b.seen |= f
	text, ok := d.scalar(v)
	what := odd
	if ok {
		what = b.read(d, f, text, v)
	}
	if f == fieldRate && what != absent {
		b.rateSaid = true
	}
	if what == odd {
		d.note(*p, v)
	}
}

// read puts the text of a fact into the stream.
func (b *streamBuilder) read(d *decoder, f field, text []byte, v *fastjson.Value) (what verdict) {
	s := &b.s
	switch f {
	case fieldRate:
		s.BitrateKbps.Value, what = readRate(text)
		s.BitrateKbps.Known = what == known
	case fieldFPS:
		s.FPS.Value, what = readFPS(text)
		s.FPS.Known = what == known
	case fieldJitter:
		s.JitterMs.Value, what = readMillis(text)
		s.JitterMs.Known = what == known
	case fieldDelay:
		s.DelayMs.Value, what = readMillis(text)
		s.DelayMs.Known = what == known
	case fieldLossPct:
		s.LossPct.Value, what = readPercent(text)
		s.LossPct.Known = what == known
	case fieldLossPackets:
		s.LossPackets.Value, what = readCount(text, maxCount)
		s.LossPackets.Known = what == known
	case fieldName:
		s.Name, what = d.text(text, maxName, v)
	case fieldCodec:
		if !isPlaceholder(text) {
			s.Codec, what = d.text(text, maxCodec, v)
		}
	case fieldSize:
		if isNumberZero(text, v) {
			return absent
		}
		var z size
		z, what = readSize(text)
		s.Width, s.Height, s.WidthAssumed = z.width, z.height, z.assumed
	}
	return what
}

// isNumberZero tells whether a value that should be a text is the number 0,
// which stands for none.
func isNumberZero(text []byte, v *fastjson.Value) bool {
	return len(text) == 1 && text[0] == '0' && v.Type() == fastjson.TypeNumber
}

// text keeps a text as it came, made valid UTF-8.
func (d *decoder) text(text []byte, limit int, v *fastjson.Value) (string, verdict) {
	if len(text) == 0 || isNumberZero(text, v) {
		return "", absent
	}
	if len(text) > limit {
		return "", odd
	}
	s := d.intern(text)
	if len(s) > limit {
		return "", odd
	}
	return s, known
}

// intern gives text as a clean string. Names and codecs are the same from poll
// to poll, so the last few are kept and given again.
func (d *decoder) intern(text []byte) string {
	for i := range d.recent {
		if d.recent[i].raw == string(text) {
			return d.recent[i].clean
		}
	}
	raw := string(text)
	t := internedText{raw: raw, clean: clean(raw)}
	d.recent[d.oldest%len(d.recent)] = t
	d.oldest++
	return t.clean
}

// finish gives the stream. It is active when a rate above zero is said. With a
// rate of zero, or one that could not be read, something else has to show that
// there is a stream. Without a rate only a reading above zero does, and then
// zeros are placeholders: the vendor gives 0 frames, 0 lost and "0ms" for a
// stream that is not there.
func (b *streamBuilder) finish() Stream {
	b.drop(b.twice)
	s := &b.s
	moving := s.LossPct.Value > 0 || s.LossPackets.Value > 0 || s.JitterMs.Value > 0 ||
		s.DelayMs.Value > 0 || s.FPS.Value > 0
	switch {
	case s.BitrateKbps.Value > 0:
		s.Active = true
	case b.rateSaid:
		s.Active = moving || s.Codec != "" || s.Height > 0
	default:
		s.Active = moving
		dropZeros(&s.LossPct, &s.LossPackets, &s.JitterMs, &s.DelayMs, &s.FPS)
	}
	if !s.Active {
		return Stream{}
	}
	return *s
}

func dropZeros(rs ...*Reading) {
	for _, r := range rs {
		if r.Value == 0 {
			*r = Reading{}
		}
	}
}

// drop makes facts absent.
func (b *streamBuilder) drop(f field) {
	if f == 0 {
		return
	}
	s := &b.s
	for _, x := range []struct {
		f field
		r *Reading
	}{{fieldRate, &s.BitrateKbps}, {fieldFPS, &s.FPS}, {fieldJitter, &s.JitterMs},
		{fieldDelay, &s.DelayMs}, {fieldLossPct, &s.LossPct}, {fieldLossPackets, &s.LossPackets}} {
		if f&x.f != 0 {
			*x.r = Reading{}
		}
	}
	if f&fieldName != 0 {
		s.Name = ""
	}
	if f&fieldCodec != 0 {
		s.Codec = ""
	}
	if f&fieldSize != 0 {
		s.Width, s.Height, s.WidthAssumed = 0, 0, false
	}
}
