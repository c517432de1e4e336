// Package cgi talks to the local CGI of a Huawei video endpoint (IdeaHub,
// CloudLink, TE) and reports what the endpoint says about its call.
//
// Promise: a Status holds what the endpoint said and nothing else. A
// measurement that the endpoint did not send, or sent as a placeholder, is
// absent; it is never 0. Whatever bytes come back, the result is a Status or an
// *Error, never a panic.
//
// A reply is decoded by tables of the vendor's keys (tables.go), each line with
// its reader (fields.go, units.go) and the place where the value goes.
package cgi

import "strconv"

// Reading is a measurement that may be absent. The zero value is absent.
type Reading struct {
	Value float64
	Known bool
}

// Known makes a reading that is there.
func Known(v float64) Reading { return Reading{Value: v, Known: true} }

// CallState says whether the endpoint is in a call.
type CallState int

// The three answers. CallUnknown means that the endpoint's statements
// contradict each other or have no known meaning; it is neither idle nor in a
// call.
const (
	CallUnknown CallState = iota
	CallIdle
	CallActive
)

// Status is what one poll of an endpoint told. All strings are valid UTF-8.
type Status struct {
	// SourceAPI is the CGI action that the media values come from, for example
	// "WEB_GetMultiCallStatusInfoAPI".
	SourceAPI string
	// Model is the endpoint's own name of its type (szTermType), "" = not said.
	Model string
	// Call is the verdict over mailbox state and media, see CallState.
	Call CallState
	// JoinMinutes is the time since the room joined the call, in whole minutes
	// (joinDay, joinHour, joinMin). The vendor sends no seconds.
	JoinMinutes Reading

	AudioSend, AudioRecv Stream
	// AuxSend and AuxRecv are the content share ("presentation").
	AuxSend, AuxRecv Stream
	// VideoSend and VideoRecv keep the endpoint's order and its inactive
	// entries, so that an index names the same stream from poll to poll.
	VideoSend, VideoRecv []Stream

	// ErrID and ErrCode are the numbers with which the endpoint refused a request of
	// this poll, 0 = none: a poll has a status also when one of its requests is
	// refused.
	ErrID, ErrCode int64
	// ThrownOut counts the sessions in a row that had worked and that ended soon
	// all the same, see hintOtherLogin.
	ThrownOut int

	// ClockAhead is how far the endpoint's clock is ahead of this machine's, in seconds,
	// by the header Date of its last reply (RFC 9110, 6.6.1: whole seconds); not known
	// where it has none.
	ClockAhead Reading

	// NotUnderstood lists what was there but could not be read, and keys that are
	// not known. At most 32 entries; the last then has the key "(more)" and the
	// number of those left out. The text of a name is "(hidden)".
	NotUnderstood []Quirk
	// Raw is the reply that the media values come from, byte for byte.
	Raw []byte
}

// Stream is one media stream in one direction. "Send" is from the room to the
// server. The zero value is an inactive stream; an inactive stream has no
// readings.
type Stream struct {
	// Active: the endpoint sent a rate above zero; or a rate of zero, or one that
	// could not be read, beside a codec, a size or a reading above zero; or no
	// rate and a reading above zero. "0ms", 0 frames and 0 lost packets without a
	// rate are the vendor's placeholders.
	Active bool
	// Name is szName: the remote site's name on received video. Personal data.
	Name string
	// Codec is the vendor's text, unchanged, "" = not said.
	Codec string

	BitrateKbps Reading // kbit/s, 1 k = 1000 bit/s
	LossPct     Reading // percent, 0 to 100
	LossPackets Reading // packets; whether per window or cumulative is not documented
	JitterMs    Reading // milliseconds
	DelayMs     Reading // milliseconds; one-way or round trip is not documented
	FPS         Reading // frames a second; no upper clip, the vendor's own example has 41

	// Width and Height in pixels, 0 = not said. WidthAssumed: the endpoint sent
	// the height alone ("720p") and 16:9 is assumed.
	Width, Height int
	WidthAssumed  bool
}

// thrownOutOften is the number of sessions in a row from which a warning is due: one
// may have ended for any reason.
const thrownOutOften = 2

// Warning is what an operator should know although there is a status, nil =
// nothing: requests that the endpoint refused, or an account that somebody else
// uses. Outside a call the refusal of the call's values is as it should be.
func (st *Status) Warning() *Error {
	switch {
	case (st.ErrID != 0 || st.ErrCode != 0) && st.Call != CallIdle:
		return st.refusedWarning()
	case st.ThrownOut >= thrownOutOften:
		return warning(hintOtherLogin, map[string]string{"times": strconv.Itoa(st.ThrownOut)})
	}
	return nil
}

func (st *Status) refusedWarning() *Error {
	w := warning(hintCallRefused, map[string]string{
		"err_id": strconv.FormatInt(st.ErrID, 10), "err_code": strconv.FormatInt(st.ErrCode, 10),
		"said": said(st.NotUnderstood),
	})
	w.ID, w.Code = st.ErrID, st.ErrCode
	return w
}

// readings are all measurements of the stream.
func (s *Stream) readings() []*Reading {
	return []*Reading{&s.BitrateKbps, &s.LossPct, &s.LossPackets, &s.JitterMs, &s.DelayMs, &s.FPS}
}

// Quirk is a value that was there but could not be read, or has an unknown key.
type Quirk struct {
	Key  string // the vendor's key, with a path for nested ones
	Text string // the value as it came, shortened to 64 bytes
}
