package cgi

import (
	"errors"

	"github.com/valyala/fastjson"
)

// The actions whose replies hold a call's media values.
const (
	multiCallAction  = "WEB_GetMultiCallStatusInfoAPI"
	singleCallAction = "WEB_GetCallStatusInfoAPI"
)

// errNothing is the cause of reason "no_data".
var errNothing = errors.New("the endpoint reports success and says nothing")

func noData() *Error { return &Error{Kind: KindError, Reason: "no_data", Err: errNothing} }

// noMedia tells that a reply to one of the call-status actions means "no media
// to speak of" and not a broken endpoint. The vendor documents the action's
// values inside a multi-stream conference only and not what comes outside one;
// it may be a refusal ("api_error", with the endpoint's id and code), success
// with nothing in it ("no_data"), or a status whose streams are all inactive
// (no error at all, see Status.hasMedia). Whether the room is in a call is then
// for the mailbox to say.
func (e *Error) noMedia() bool { return e.Reason == "no_data" || e.Reason == "api_error" }

// hasMedia tells whether any stream is active.
func (s *Status) hasMedia() bool {
	if s.AudioSend.Active || s.AudioRecv.Active || s.AuxSend.Active || s.AuxRecv.Active {
		return true
	}
	return anyActive(s.VideoSend) || anyActive(s.VideoRecv)
}

func anyActive(list []Stream) bool {
	for i := range list {
		if list[i].Active {
			return true
		}
	}
	return false
}

// parseMultiCall reads the reply of WEB_GetMultiCallStatusInfoAPI. An error is
// always an *Error.
//
// Three replies mean that there is no multi-stream media, and stay apart:
// success 0 is an *Error with reason "api_error" and the endpoint's id and code;
// success 1 with data "", null, {}, [] or no data is an *Error with reason
// "no_data"; success 1 with placeholders is a Status whose streams are all
// inactive. Status.Call is CallActive when a stream is active and else
// CallUnknown: media prove a call, their absence proves nothing.
//
// The Status keeps raw. Model is left to the caller.
func parseMultiCall(raw []byte) (Status, error) {
	d := newDecoder()
	defer d.release(len(raw))
	object, level, err := d.open(raw)
	if err != nil {
		return Status{}, err
	}
	if object == nil {
		return Status{}, noData()
	}
	m := multiReader{d: d, level: level}
	object.Visit(func(key []byte, v *fastjson.Value) { m.key(bare(key), v) })
	if m.seen == 0 {
		return Status{}, badJSON("data has none of the known keys", "")
	}
	m.st.SourceAPI = multiCallAction
	return m.join.finish(d, m.st, raw), nil
}

// multiReader reads the object in data.
type multiReader struct {
	d     *decoder
	level int
	st    Status
	join  joinTime
	seen  multiKey
	next  int
}

// multiKey is a key of the vendor's table 2.
type multiKey uint16

const (
	keyAudioSend multiKey = 1 << iota
	keyAudioRecv
	keyAuxSend
	keyAuxRecv
	keyVideoSend
	keyVideoRecv
	keyJoinDay
	keyJoinHour
	keyJoinMin
)

var multiKeys = keys[multiKey]{
	{"stAudioParamSend", keyAudioSend},
	{"stAudioParamRecv", keyAudioRecv},
	{"stAuxParamSend", keyAuxSend},
	{"stAuxParamRecv", keyAuxRecv},
	{"stVideoParamSend", keyVideoSend},
	{"stVideoParamRecv", keyVideoRecv},
	{"joinDay", keyJoinDay},
	{"joinHour", keyJoinHour},
	{"joinMin", keyJoinMin},
}

// key takes one key of data.
func (m *multiReader) key(key []byte, v *fastjson.Value) {
	at := place{index: -1, key: key}
	k, ok := multiKeys.find(key, &m.next)
	if !ok {
		m.d.note(at, v)
		return
	}
	again := m.seen&k != 0
	m.seen |= k
	if again {
		m.d.odd.add(at.String(), "twice")
		m.forget(k)
		return
	}
	switch k {
	case keyAudioSend:
		m.st.AudioSend = m.stream(key, v, audioFields)
	case keyAudioRecv:
		m.st.AudioRecv = m.stream(key, v, audioFields)
	case keyAuxSend:
		m.st.AuxSend = m.stream(key, v, videoFields)
	case keyAuxRecv:
		m.st.AuxRecv = m.stream(key, v, videoFields)
	case keyVideoSend:
		m.st.VideoSend = m.streams(key, v)
	case keyVideoRecv:
		m.st.VideoRecv = m.streams(key, v)
	default:
		m.join.set(m.d, k, at, v)
	}
}

// forget makes absent what a repeated key said.
func (m *multiReader) forget(k multiKey) {
	switch k {
	case keyAudioSend:
		m.st.AudioSend = Stream{}
	case keyAudioRecv:
		m.st.AudioRecv = Stream{}
	case keyAuxSend:
		m.st.AuxSend = Stream{}
	case keyAuxRecv:
		m.st.AuxRecv = Stream{}
	case keyVideoSend:
		m.st.VideoSend = nil
	case keyVideoRecv:
		m.st.VideoRecv = nil
	default:
		m.join.bad = true
	}
}

// stream reads one stream: an object, or a string that holds one. A list of
// one is the same.
func (m *multiReader) stream(key []byte, v *fastjson.Value, fields keys[field]) Stream {
	v, level, err := m.d.unwrap(v, m.level)
	if err != nil {
		m.d.odd.add(place{index: -1, key: key}.String(), err.Error())
		return Stream{}
	}
	if v == nil {
		return Stream{}
	}
	if list := v.GetArray(); len(list) == 1 {
		v = list[0]
	} else if v.Type() == fastjson.TypeArray && len(list) == 0 {
		return Stream{}
	}
	return m.object(place{parent: key, index: -1}, v, level, fields)
}

// streams reads a list of video streams. The vendor's table calls it an object
// and the example shows a list, so both are taken, and null or nothing.
func (m *multiReader) streams(key []byte, v *fastjson.Value) []Stream {
	v, level, err := m.d.unwrap(v, m.level)
	if err != nil {
		m.d.odd.add(place{index: -1, key: key}.String(), err.Error())
		return nil
	}
	if v == nil {
		return nil
	}
	if v.Type() != fastjson.TypeArray {
		return []Stream{m.object(place{parent: key, index: -1}, v, level, videoFields)}
	}
	list := v.GetArray()
	if len(list) == 0 {
		return nil
	}
	if len(list) > maxStreams {
		m.d.odd.add(place{parent: key, index: maxStreams}.String(), "too many streams")
		list = list[:maxStreams]
	}
	out := make([]Stream, len(list))
	for i, v := range list {
		out[i] = m.object(place{parent: key, index: i}, v, level, videoFields)
	}
	return out
}

// object reads the keys of one stream.
func (m *multiReader) object(at place, v *fastjson.Value, level int, fields keys[field]) Stream {
	v, _, err := m.d.unwrap(v, level)
	if err != nil {
		m.d.odd.add(at.String(), err.Error())
		return Stream{}
	}
	if v == nil {
		return Stream{}
	}
	if v.Type() != fastjson.TypeObject {
		m.d.note(at, v)
		return Stream{}
	}
	var b streamBuilder
	next := 0
	v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
		key = bare(key)
		at.key = key
		if f, ok := fields.find(key, &next); ok {
			b.set(m.d, f, &at, v)
			return
		}
		m.d.note(at, v)
	})
	return b.finish()
}
