package cgi

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// Error ids and codes seen from endpoints. There is no public table; these are
// the ones that change what the agent does.
const (
	codeSessionLimit = 16781313  // "user limit exceeded"
	codeAuthFailed   = 16781315  // wrong user or password
	idAuthFailed     = 100666780 // the same as an id
	idDisabled       = 4         // exception: the HTTP interface is switched off
)

// envelope is the outer object of every reply.
type envelope struct {
	success   string // "0", "1", "" = not said
	data      *fastjson.Value
	failure   failure // error
	exception failure // the same in the words of the web family
	code      failure // "code" beside the others, as TE20 sends it
	msg       string
}

// failure is what the endpoint says about a failure.
type failure struct {
	said     bool
	id, code int64 // 0 = not said
	more     quirks
}

// envelopeFields are the keys of every reply.
func envelopeFields(e *envelope) table {
	return table{noEnding, nil, [maxFields]field{
		row("success", boolean, &e.success),
		row("data", unread, &e.data),
		row("error", failed, &e.failure),
		row("exception", failed, &e.exception),
		row("code", failedCode, &e.code),
		row("msg", message, &e.msg),
	}}
}

// open reads the outer object and returns the object in data. There is none
// (json is nil) when the endpoint reports success and says nothing: data is "",
// null, missing, {} or []. Everything else is an error.
func (d *decoder) open(raw []byte) (value, *Error) {
	if len(raw) > maxReply {
		return value{}, &Error{Kind: KindError, Reason: "too_large", Err: errLarge}
	}
	outer, err := d.outer(raw)
	if err != nil {
		return value{}, err
	}
	var e envelope
	fields := envelopeFields(&e)
	outer.readObject(func(value) {}, &fields)
	if err := e.verdict(fields); err != nil {
		return value{}, err
	}
	d.quirks = quirks{}
	if said := e.refusal(); said.ID != 0 || said.Code != 0 { // beside a success
		d.errID, d.errCode, d.quirks.list = said.ID, said.Code, said.NotUnderstood
	}
	v, level, failed := d.unwrap(e.data, 0)
	switch {
	case failed != nil:
		return value{}, badJSON("data: "+failed.Error(), hintNoJSON)
	case v == nil, v.Type() == fastjson.TypeArray && len(v.GetArray()) == 0:
		v = nil
	case v.Type() != fastjson.TypeObject:
		return value{}, badJSON("data is no JSON object", hintNoJSON)
	case v.GetObject().Len() == 0:
		v = nil
	}
	return value{decoder: d, json: v, level: level, index: -1}, nil
}

// outer parses the reply itself.
func (d *decoder) outer(raw []byte) (value, *Error) {
	v, err := d.parse(raw, 0)
	if errors.Is(err, errNotJSON) && len(raw) <= maxRepaired {
		if repaired := brokenError.ReplaceAll(raw, []byte("${1}{${2}")); len(repaired) > len(raw) {
			v, err = d.parse(repaired, 0)
		}
	}
	switch {
	case err != nil:
		hint := hintNoJSON
		if bytes.HasPrefix(trim(raw), []byte("<")) {
			hint = hintWebPage
		}
		return value{}, badJSON(err.Error(), hint)
	case v == nil:
		return value{}, &Error{Kind: KindError, Reason: "no_data", Err: errEmpty, Hint: hintNoJSON}
	case v.Type() != fastjson.TypeObject:
		return value{}, badJSON(errNoObject.Error(), hintNoJSON)
	}
	return value{decoder: d, json: v, index: -1}, nil
}

// brokenError is the error example as several of the vendor's pages print it,
// with a brace missing: {"success":0,"error":"id":100666995,...}}.
var brokenError = regexp.MustCompile(`("(?i:error|exception)"\s*:)(\s*"(?i:id|code)"\s*:)`)

// maxRepaired bounds the replies that get a second try with the brace in its
// place, in bytes: errors are short.
const maxRepaired = 4096

func badJSON(text string, hint Hint) *Error {
	return &Error{Kind: KindError, Reason: "bad_json", Hint: hint, Err: errors.New(text)}
}

// boolean is the reader of a flag's text, in which 1, "1" and true are the same.
func boolean(v value, to any) verdict {
	s := to.(*string)
	switch v.json.Type() {
	case fastjson.TypeTrue:
		*s = "1"
	case fastjson.TypeFalse:
		*s = "0"
	default:
		text, _ := v.scalar(v.json)
		*s = string(text[:min(len(text), 8)])
	}
	return known
}

// message is the reader of a text for people, which may be cut.
func message(v value, to any) verdict {
	text, _ := v.scalar(v.json)
	*to.(*string) = shorten(string(text[:min(len(text), 4*maxQuirkText)]), maxQuirkText)
	return known
}

// unread is the reader of a value that is left as it is.
func unread(v value, to any) verdict {
	*to.(**fastjson.Value) = v.json
	return known
}

// integer is the reader of a whole number in the vendor's 32 bits (signed or
// unsigned).
func integer(v value, to any) verdict {
	to64 := to.(*int64)
	*to64 = 0
	text, ok := v.scalar(v.json)
	if !ok || len(text) > 11 {
		return unreadable
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < -1<<31 || n > 1<<32-1 {
		return unreadable
	}
	*to64 = n
	return known
}

// failed is the reader of error or exception: an object, a list of one, the same as a
// string, the bare id, or a text for people.
func failed(v value, to any) verdict {
	f := to.(*failure)
	*f = failure{}
	raw := v
	v, ok := v.unwrapped()
	if ok && v.json.Type() == fastjson.TypeArray && len(v.json.GetArray()) == 1 {
		v.json = v.json.GetArray()[0]
	}
	switch {
	case ok && v.json.Type() == fastjson.TypeNumber:
		f.said = true
		return integer(v, &f.id)
	case !ok || v.json.Type() != fastjson.TypeObject:
		if text := raw.flat(); text != "" {
			f.said = true
			f.more.add(raw.place(), text)
			return known
		}
		f.said = ok
		return absent
	}
	f.said = true
	parent := v.key
	v.json.GetObject().Visit(func(key []byte, one *fastjson.Value) {
		in := v
		in.parent, in.key, in.json = parent, key, one
		switch {
		case sameWord(key, "id") && integer(in, &f.id) == known:
		case sameWord(key, "code") && integer(in, &f.code) == known:
		default: // param or params, and numbers that are none
			if text := in.flat(); text != "" {
				f.more.add(in.place(), text)
			}
		}
	})
	return known
}

// flat is any value as a text, "" = there is nothing in it. What has a name in it
// is personal data and stays hidden.
func (v value) flat() string {
	plain := ""
	if b, ok := v.scalar(v.json); ok {
		plain = string(b[:min(len(b), 4*maxQuirkText)])
	}
	v, ok := v.unwrapped()
	switch {
	case !ok && strings.Contains(strings.ToLower(plain), "name"):
		return hidden
	case !ok: // a text that is no JSON
		return plain
	case v.json.Type() == fastjson.TypeArray && len(v.json.GetArray()) == 0,
		v.json.Type() == fastjson.TypeObject && v.json.GetObject().Len() == 0:
		return ""
	}
	text := string(v.json.MarshalTo(nil))
	if strings.Contains(strings.ToLower(text), "name") {
		return hidden
	}
	return text
}

func failedCode(v value, to any) verdict {
	f := to.(*failure)
	f.said = true
	return integer(v, &f.code)
}

// verdict is nil when the endpoint reports success.
func (e *envelope) verdict(fields table) *Error {
	for _, f := range fields.fields {
		if f.again {
			return badJSON("the key "+f.key+" comes twice", "")
		}
	}
	said := e.failure.said || e.exception.said || e.code.said
	switch {
	case e.success == "1":
		return nil
	case e.success == "0", e.success == "" && said:
		return e.refusal()
	case e.success == "":
		return badJSON("the key success is missing", "")
	}
	return badJSON("success is neither 0 nor 1", "")
}

// refusal is the error of a reply that reports failure.
func (e *envelope) refusal() *Error {
	err := &Error{
		Kind: KindError, Reason: "api_error", ID: cmp.Or(e.failure.id, e.exception.id),
		Code: cmp.Or(e.failure.code, e.exception.code, e.code.code),
	}
	err.NotUnderstood = append(e.failure.more.result(), e.exception.more.result()...)
	if e.msg != "" {
		err.Err = errors.New(e.msg)
		err.NotUnderstood = append(err.NotUnderstood, Quirk{Key: "msg", Text: e.msg})
	}
	switch {
	case err.Code == codeSessionLimit:
		err.Kind, err.Reason, err.Hint = KindBusy, "session_limit", hintSessionLimit
	case err.Code == codeAuthFailed, err.ID == idAuthFailed:
		err.Kind, err.Reason, err.Hint = KindRefused, "auth_failed", hintAuthFailed
	case err.ID == idDisabled && e.exception.said:
		err.Kind, err.Reason, err.Hint = KindRefused, "disabled", hintDisabled
	}
	return err
}
