package cgi

import "github.com/valyala/fastjson"

// mailbox is what WEB_GetMailboxDataAPI tells about the call.
type mailbox struct {
	// Call is CallActive when isInConf is 1, or when callstate is 2 and conftype
	// is not 0; CallIdle when all three are 0; else CallUnknown. Public clients
	// disagree about what callstate 2 means, so it proves nothing alone.
	Call CallState
	// Upgrading: the endpoint installs new firmware (upgrade is 1).
	Upgrading bool
	// NotUnderstood lists what was there but could not be read.
	NotUnderstood []Oddity
}

// mailboxKey is one of the keys of the mailbox state that matter.
type mailboxKey int

const (
	mailCallState mailboxKey = iota
	mailConfType
	mailInConf
	mailUpgrade
	mailKeys
)

// mailboxLimits is the highest value that makes sense for each.
var mailboxLimits = [mailKeys]float64{maxCount, maxCount, 1, maxCount}

// parseMailbox reads the reply of WEB_GetMailboxDataAPI. The state is in
// data.state, or in data itself, and may be JSON in strings up to four levels
// deep. data.msgStruct, a queue of messages for the web pages, is not looked at.
// An error is always an *Error: a reply without a state is "no_data", which is
// neither idle nor in a call.
func parseMailbox(raw []byte) (mailbox, error) {
	d := newDecoder()
	defer d.release(len(raw))
	object, level, err := d.open(raw)
	if err != nil {
		return mailbox{}, err
	}
	var r mailboxReader
	if object != nil {
		r.object(d, object, level)
	}
	switch {
	case r.seen == 0 && len(d.odd.list) > 0:
		return mailbox{}, badJSON("data holds no state that can be read", "")
	case r.seen == 0:
		return mailbox{}, noData()
	}
	return mailbox{
		Call:          r.call(),
		Upgrading:     r.value(mailUpgrade) == 1,
		NotUnderstood: d.odd.result(),
	}, nil
}

// mailboxReader collects the keys of the state.
type mailboxReader struct {
	values [mailKeys]Reading
	seen   uint8
}

// value gives a key's value, -1 = not said.
func (r *mailboxReader) value(k mailboxKey) float64 {
	if !r.values[k].Known {
		return -1
	}
	return r.values[k].Value
}

func (r *mailboxReader) call() CallState {
	state, conf, in := r.value(mailCallState), r.value(mailConfType), r.value(mailInConf)
	switch {
	case in == 1, state == 2 && conf > 0:
		return CallActive
	case in == 0 && state == 0 && conf == 0:
		return CallIdle
	}
	return CallUnknown
}

// object reads an object that holds the state, or holds an object state.
func (r *mailboxReader) object(d *decoder, o *fastjson.Object, level int) {
	o.Visit(func(key []byte, v *fastjson.Value) {
		key = bare(key)
		switch {
		case string(key) == "callState": // the REST interface's, with other meanings
		case equalFold(key, "callstate"):
			r.set(d, mailCallState, key, v)
		case equalFold(key, "conftype"):
			r.set(d, mailConfType, key, v)
		case equalFold(key, "isinconf"):
			r.set(d, mailInConf, key, v)
		case equalFold(key, "upgrade"):
			r.set(d, mailUpgrade, key, v)
		case equalFold(key, "state"):
			r.nested(d, key, v, level)
		}
	})
}

// nested opens an object or a string that holds one. Nested states are bounded
// by the nesting that the decoder allows.
func (r *mailboxReader) nested(d *decoder, key []byte, v *fastjson.Value, level int) {
	v, level, err := d.unwrap(v, level)
	if err != nil {
		d.odd.add(string(key), err.Error())
		return
	}
	if v == nil {
		return
	}
	if v.Type() != fastjson.TypeObject {
		d.note(place{index: -1, key: key}, v)
		return
	}
	r.object(d, v.GetObject(), level)
}

// set takes one key. One that comes twice says nothing.
func (r *mailboxReader) set(d *decoder, k mailboxKey, key []byte, v *fastjson.Value) {
	at := place{index: -1, key: key}
	if r.seen&(1<<k) != 0 {
		r.values[k] = Reading{}
		d.odd.add(at.String(), "twice")
		return
	}
	r.seen |= 1 << k
	what := odd
	var n float64
	if text, ok := d.scalar(v); ok {
		n, what = readCount(text, mailboxLimits[k])
	}
	switch what {
	case known:
		r.values[k] = Known(n)
	case odd:
		d.note(at, v)
	}
}
