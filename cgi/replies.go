package cgi

import (
	"errors"
	"slices"

	"github.com/valyala/fastjson"
)

// noData is the error of a reply that reports success and has nothing in it.
func noData() *Error {
	return &Error{Kind: KindError, Reason: "no_data", Err: errors.New("the endpoint reports success and says nothing")}
}

// parseMultiCall reads the reply of WEB_GetMultiCallStatusInfoAPI. An error is
// always an *Error.
//
// Three replies mean that there is no multi-stream media, and stay apart:
// success 0 is an *Error with reason "api_error" and the endpoint's id and code;
// success 1 with data "", null, {}, [] or no data is an *Error with reason
// "no_data"; success 1 with placeholders is a Status whose streams are all
// inactive. Status.Call is CallActive when a stream is active and otherwise
// CallUnknown: media prove a call, their absence proves nothing.
//
// The Status keeps raw. Model is left to the caller.
func parseMultiCall(raw []byte) (Status, error) {
	return readTolerantly(func(fix repair) (Status, []Quirk, error) {
		st := Status{SourceAPI: multiCallAction}
		var join joinTime
		t := multiFields(&st, &join)
		if err := st.read(raw, fix, &join, &t); err != nil {
			return Status{}, nil, err
		}
		return st, st.NotUnderstood, nil
	})
}

// parseSingleCall reads the reply of WEB_GetCallStatusInfoAPI, the action for
// calls that are not multi-stream. It answers as parseMultiCall does, with at most
// one video stream a direction.
func parseSingleCall(raw []byte) (Status, error) {
	st := Status{SourceAPI: singleCallAction, VideoSend: make([]Stream, 1), VideoRecv: make([]Stream, 1)}
	var join joinTime
	var (
		videoSend = singleVideoFields(sendEnding, &st.VideoSend[0])
		videoRecv = singleVideoFields(recvEnding, &st.VideoRecv[0])
		audioSend = singleAudioFields(sendEnding, &st.AudioSend)
		audioRecv = singleAudioFields(recvEnding, &st.AudioRecv)
		auxSend   = singleAuxFields(sendEnding, &st.AuxSend)
		auxRecv   = singleAuxFields(recvEnding, &st.AuxRecv)
		others    = singleOtherFields(&join)
		data      = singleDataFields()
	)
	err := st.read(raw, nil, &join, &videoSend, &videoRecv, &audioSend, &audioRecv, &auxSend, &auxRecv, &others, &data)
	if err != nil {
		return Status{}, err
	}
	if !videoSend.anyRead() {
		st.VideoSend = nil
	}
	if !videoRecv.anyRead() {
		st.VideoRecv = nil
	}
	return st, nil
}

// read reads a call-status reply by tables that point into st and join.
func (st *Status) read(raw []byte, fix repair, join *joinTime, tables ...*table) error {
	d := decoder{repair: fix}
	defer d.release()
	data, err := d.open(raw)
	if err != nil {
		return err
	}
	if data.json == nil {
		return noData()
	}
	data.readObject(value.noteUnread, tables...)
	if !slices.ContainsFunc(tables, (*table).anyRead) {
		err := badJSON("data has none of the known keys", "")
		err.NotUnderstood = d.quirks.result()
		return err
	}
	st.JoinMinutes = join.total()
	if st.hasMedia() {
		st.Call = CallActive
	} else if st.JoinMinutes.Value == 0 {
		st.JoinMinutes = Reading{} // a placeholder
	}
	st.NotUnderstood, st.ErrID, st.ErrCode = d.found(), d.errID, d.errCode
	st.Raw = raw
	return nil
}

// joinTime is the time since the room joined the call, as the endpoint splits it.
type joinTime struct{ days, hours, minutes Reading }

// total is the time in minutes; absent unless all three parts are there.
func (j joinTime) total() Reading {
	if !j.days.Known || !j.hours.Known || !j.minutes.Known {
		return Reading{}
	}
	return Known((j.days.Value*24+j.hours.Value)*60 + j.minutes.Value)
}

// hasMedia: at least one stream is active.
func (st *Status) hasMedia() bool {
	active := func(s Stream) bool { return s.Active }
	return st.AudioSend.Active || st.AudioRecv.Active || st.AuxSend.Active || st.AuxRecv.Active ||
		slices.ContainsFunc(st.VideoSend, active) || slices.ContainsFunc(st.VideoRecv, active)
}

// mailbox is what WEB_GetMailboxDataAPI says about the call.
type mailbox struct {
	// Call is CallActive when isInConf is 1, or when callstate is 2 and conftype
	// is not 0; CallIdle when all three are 0; otherwise CallUnknown. Public
	// clients disagree about what callstate 2 means, so it proves nothing alone.
	Call CallState
	// Upgrading: the endpoint installs new firmware (upgrade is 1).
	Upgrading bool
	// NotUnderstood, ErrID and ErrCode are as in Status.
	NotUnderstood  []Quirk
	ErrID, ErrCode int64
}

// mailboxState holds the numbers of the state.
type mailboxState struct{ callState, confType, inConf, upgrade Reading }

func (m mailboxState) call() CallState {
	zero := Known(0)
	switch {
	case m.inConf == Known(1), m.callState == Known(2) && m.confType.Value > 0:
		return CallActive
	case m.inConf == zero && m.callState == zero && m.confType == zero:
		return CallIdle
	}
	return CallUnknown
}

// parseMailbox reads the reply of WEB_GetMailboxDataAPI. The state is in
// data.state, or in data itself, and may be JSON in strings up to four levels
// deep. data.msgStruct, a queue of messages for the web pages, is not looked at.
// An error is always an *Error: a reply without a state is "no_data", which is
// neither idle nor in a call.
func parseMailbox(raw []byte) (mailbox, error) {
	return readTolerantly(func(fix repair) (mailbox, []Quirk, error) {
		m, err := readMailbox(raw, fix)
		return m, m.NotUnderstood, err
	})
}

func readMailbox(raw []byte, fix repair) (mailbox, error) {
	d := decoder{repair: fix}
	defer d.release()
	data, failed := d.open(raw)
	if failed != nil {
		return mailbox{}, failed
	}
	var m mailboxState
	rest, fields := restFields(), mailboxFields(&m)
	var nested func(value)
	nested = func(v value) {
		if !sameWord(v.key, "state") {
			return
		}
		v, ok := v.unwrapped()
		switch {
		case !ok:
		case v.json.Type() != fastjson.TypeObject:
			v.noteUnread()
		default:
			v.readObject(nested, &rest, &fields)
		}
	}
	if data.json != nil {
		data.readObject(nested, &rest, &fields)
	}
	switch {
	case fields.anyRead():
		return mailbox{
			Call: m.call(), Upgrading: m.upgrade == Known(1),
			NotUnderstood: d.found(), ErrID: d.errID, ErrCode: d.errCode,
		}, nil
	case len(d.quirks.list) > 0:
		err := badJSON("data holds no state that can be read", "")
		err.NotUnderstood = d.quirks.result()
		return mailbox{}, err
	}
	return mailbox{}, noData()
}

// loginReply is what the login actions and WEB_GetLoginInfo say. Each field
// is its zero value when the endpoint does not say it.
type loginReply struct {
	SessionID    string // acSessionId
	CSRFToken    string // acCSRFToken
	Model        string // szTermType
	AlreadyLogin bool   // a person is logged in on the web pages
}

// parseLogin reads the reply of a login action. Success with nothing in it
// (old TE40 firmware) is an empty loginReply. An error is always an *Error; it
// never holds an id or a token.
func parseLogin(raw []byte) (loginReply, error) {
	var d decoder
	defer d.release()
	data, err := d.open(raw)
	if err != nil {
		return loginReply{}, err
	}
	var r loginReply
	if data.json != nil {
		t := loginFields(&r)
		data.readObject(func(value) {}, &t)
	}
	return r, nil
}
