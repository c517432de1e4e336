package cgi

import "github.com/valyala/fastjson"

// The streams of the single-stream reply.
const (
	singleAudioSend = iota
	singleAudioRecv
	singleVideoSend
	singleVideoRecv
	singleAuxSend
	singleAuxRecv
	singleStreams
)

// singleKey is what a key of the single-stream reply says.
type singleKey struct {
	stream int
	field  field
	join   multiKey // joinDay, joinHour, joinMin
	check  bool     // a total rate: read to see that it makes sense, not kept
	skip   bool     // known and of no use here
}

// singleKeys is the vendor's table of WEB_GetCallStatusInfoAPI in lower case.
// Without regard to case "AuxVideoLossPerSend" and "auxVideoLossNumSend" are
// regular. The receiving side ends in "Rev"; "Recv" is taken as well.
// auxAudioRate is the audio rate: sendRate 65.64k is videoRateSend 2.08k plus
// auxAudioRateSend 63.56k in the vendor's example. There is no delay, jitter
// or codec.
var singleKeys = makeSingleKeys()

func makeSingleKeys() keys[singleKey] {
	table := keys[singleKey]{
		{"sendrate", singleKey{check: true}}, {"revrate", singleKey{check: true}}, {"recvrate", singleKey{check: true}},
	}
	both := func(name string, first int, k singleKey) {
		for i, suffix := range []string{"send", "rev", "recv"} {
			k.stream = first + min(i, 1)
			table = append(table, entry[singleKey]{name + suffix, k})
		}
	}
	both("videorate", singleVideoSend, singleKey{field: fieldRate})
	both("videoframe", singleVideoSend, singleKey{field: fieldFPS})
	both("mainformat", singleVideoSend, singleKey{field: fieldSize})
	both("videolossper", singleVideoSend, singleKey{field: fieldLossPct})
	both("videolossnum", singleVideoSend, singleKey{field: fieldLossPackets})
	both("auxvideorate", singleAuxSend, singleKey{field: fieldRate})
	both("auxvideoframe", singleAuxSend, singleKey{field: fieldFPS})
	both("auxformat", singleAuxSend, singleKey{field: fieldSize})
	both("auxvideolossper", singleAuxSend, singleKey{field: fieldLossPct})
	both("auxvideolossnum", singleAuxSend, singleKey{field: fieldLossPackets})
	both("auxaudiorate", singleAudioSend, singleKey{field: fieldRate})
	both("audiolossper", singleAudioSend, singleKey{field: fieldLossPct})
	both("audiolossnum", singleAudioSend, singleKey{field: fieldLossPackets})
	for _, data := range []string{"lsdspeed", "hsdspeed", "mlpspeed", "hmlpspeed"} {
		both(data, 0, singleKey{skip: true}) // H.224 data channels, no media
	}
	return append(table, keys[singleKey]{
		{"joinday", singleKey{join: keyJoinDay}}, {"joinhour", singleKey{join: keyJoinHour}},
		{"joinmin", singleKey{join: keyJoinMin}},
		{"auxtokentxtid", singleKey{skip: true}}, {"sitehandle", singleKey{skip: true}},
	}...)
}

// parseSingleCall reads the reply of WEB_GetCallStatusInfoAPI, the action for
// calls that are not multi-stream. It answers as parseMultiCall does. It has
// one video stream a direction and no delay, jitter or codec.
func parseSingleCall(raw []byte) (Status, error) {
	d := newDecoder()
	defer d.release(len(raw))
	object, _, err := d.open(raw)
	if err != nil {
		return Status{}, err
	}
	if object == nil {
		return Status{}, noData()
	}
	var r singleReader
	object.Visit(func(key []byte, v *fastjson.Value) { r.key(d, bare(key), v) })
	if !r.any {
		return Status{}, badJSON("data has none of the known keys", "")
	}
	return r.join.finish(d, r.status(), raw), nil
}

// singleReader reads the flat object in data.
type singleReader struct {
	streams [singleStreams]streamBuilder
	join    joinTime
	joins   multiKey
	any     bool
	next    int
}

// key takes one key of data.
func (r *singleReader) key(d *decoder, key []byte, v *fastjson.Value) {
	at := place{index: -1, key: key}
	k, ok := singleKeys.find(key, &r.next)
	if !ok {
		d.note(at, v)
		return
	}
	r.any = true
	switch {
	case k.skip:
	case k.check:
		if text, ok := d.scalar(v); ok {
			if _, what := readRate(text); what != odd {
				return
			}
		}
		d.note(at, v)
	case k.join != 0:
		if r.joins&k.join != 0 {
			r.join.bad = true
			d.odd.add(at.String(), "twice")
			return
		}
		r.joins |= k.join
		r.join.set(d, k.join, at, v)
	default:
		r.streams[k.stream].set(d, k.field, &at, v)
	}
}

func (r *singleReader) status() Status {
	st := Status{
		SourceAPI: singleCallAction,
		AudioSend: r.streams[singleAudioSend].finish(),
		AudioRecv: r.streams[singleAudioRecv].finish(),
		AuxSend:   r.streams[singleAuxSend].finish(),
		AuxRecv:   r.streams[singleAuxRecv].finish(),
	}
	if b := &r.streams[singleVideoSend]; b.seen != 0 {
		st.VideoSend = []Stream{b.finish()}
	}
	if b := &r.streams[singleVideoRecv]; b.seen != 0 {
		st.VideoRecv = []Stream{b.finish()}
	}
	return st
}
