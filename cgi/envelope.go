package cgi

import (
	"errors"
	"regexp"
	"strconv"

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
	success         string // "0", "1", "" = not said
	data            *fastjson.Value
	failure         bool // error or exception is there
	exception       bool // the web family's word for error
	id, code        int64
	msg             string
	seen            uint8
	duplicate       string // a key that came twice
	hasTopLevelCode bool
}

// The keys of the envelope as bits of envelope.seen.
const (
	seenSuccess = 1 << iota
	seenData
	seenError
	seenCode
)

// open reads the outer object and returns the object in data. There is none
// (json is nil) when the endpoint reports success and says nothing: data is "",
// null, missing, {} or []. Everything else is an error.
func (d *decoder) open(raw []byte) (value, *Error) {
	if len(raw) > maxReply {
		return value{}, &Error{Kind: KindError, Reason: "too_large", Err: errLarge}
	}
	outer, failed := d.outer(raw)
	if failed != nil {
		return value{}, failed
	}
	var e envelope
	outer.Visit(func(key []byte, v *fastjson.Value) { e.field(d, key, v) })
	if failed := e.verdict(); failed != nil {
		return value{}, failed
	}
	v, level, err := d.unwrap(e.data, 0)
	switch {
	case err != nil:
		return value{}, badJSON("data: "+err.Error(), "")
	case v == nil, v.Type() == fastjson.TypeArray && len(v.GetArray()) == 0:
		v = nil
	case v.Type() != fastjson.TypeObject:
		return value{}, badJSON("data is no JSON object", "")
	case v.GetObject().Len() == 0:
		v = nil
	}
	return value{decoder: d, json: v, level: level, index: -1}, nil
}

// outer parses the reply itself.
func (d *decoder) outer(raw []byte) (*fastjson.Object, *Error) {
	v, err := d.parse(raw, 0)
	if errors.Is(err, errNotJSON) {
		if mended, ok := mend(raw); ok {
			v, err = d.parse(mended, 0)
		}
	}
	switch {
	case err != nil:
		return nil, badJSON(err.Error(), htmlHint(raw))
	case v == nil:
		return nil, &Error{Kind: KindError, Reason: "no_data", Err: errEmpty}
	case v.Type() != fastjson.TypeObject:
		return nil, badJSON(errNoObject.Error(), "")
	}
	return v.GetObject(), nil
}

// brokenError is the error example as several of the vendor's pages print it,
// with a brace missing: {"success":0,"error":"id":100666995,...}}.
var brokenError = regexp.MustCompile(`("(?i:error|exception)"\s*:)(\s*"(?i:id|code)"\s*:)`)

// maxMended bounds the replies that get a second try, in bytes: errors are short.
const maxMended = 4096

// mend puts the missing brace in.
func mend(raw []byte) ([]byte, bool) {
	if len(raw) > maxMended || !brokenError.Match(raw) {
		return nil, false
	}
	return brokenError.ReplaceAll(raw, []byte("${1}{${2}")), true
}

func badJSON(text, hint string) *Error {
	return &Error{Kind: KindError, Reason: "bad_json", Hint: hint, Err: errors.New(text)}
}

// htmlHint helps when a web page came back.
func htmlHint(raw []byte) string {
	if b := trim(raw); len(b) > 0 && b[0] == '<' {
		return hintWebPage
	}
	return ""
}

// field takes one key of the outer object.
func (e *envelope) field(d *decoder, key []byte, v *fastjson.Value) {
	switch {
	case sameWord(key, "success"):
		e.once(seenSuccess, "success")
		e.success = d.flag(v)
	case sameWord(key, "data"):
		e.once(seenData, "data")
		e.data = v
	case sameWord(key, "error"), sameWord(key, "exception"):
		e.once(seenError, "error")
		e.exception = e.exception || len(key) == len("exception")
		e.readFailure(d, v)
	case sameWord(key, "code"):
		e.once(seenCode, "code")
		e.hasTopLevelCode = true
		if n := d.integer(v); e.code == 0 {
			e.code = n
		}
	case sameWord(key, "msg"):
		if text, ok := d.scalar(v); ok {
			e.msg = shorten(string(text[:min(len(text), 4*maxQuirkText)]), maxQuirkText)
		}
	}
}

func (e *envelope) once(bit uint8, name string) {
	if e.seen&bit != 0 {
		e.duplicate = name
	}
	e.seen |= bit
}

// flag is the text of a flag, in which 1, "1" and true are the same.
func (d *decoder) flag(v *fastjson.Value) string {
	switch v.Type() {
	case fastjson.TypeTrue:
		return "1"
	case fastjson.TypeFalse:
		return "0"
	}
	text, _ := d.scalar(v)
	return string(text[:min(len(text), 8)])
}

// readFailure reads error or exception: an object, the same as a string, or a
// bare number. param and params carry nothing that is used.
func (e *envelope) readFailure(d *decoder, v *fastjson.Value) {
	v, _, err := d.unwrap(v, 0)
	if err != nil || v == nil {
		return
	}
	e.failure = true
	if v.Type() == fastjson.TypeNumber {
		e.id = d.integer(v)
		return
	}
	v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
		switch {
		case sameWord(key, "id"):
			e.id = d.integer(v)
		case sameWord(key, "code"):
			e.code = d.integer(v)
		}
	})
}

// integer reads a whole number in the vendor's 32 bits (signed or unsigned),
// 0 when it is none.
func (d *decoder) integer(v *fastjson.Value) int64 {
	text, ok := d.scalar(v)
	if !ok || len(text) > 11 {
		return 0
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < -1<<31 || n > 1<<32-1 {
		return 0
	}
	return n
}

// verdict is nil when the endpoint reports success.
func (e *envelope) verdict() *Error {
	switch {
	case e.duplicate != "":
		return badJSON("the key "+e.duplicate+" comes twice", "")
	case e.success == "1":
		return nil
	case e.success == "0", e.success == "" && (e.failure || e.hasTopLevelCode):
		return e.refusal()
	case e.success == "":
		return badJSON("the key success is missing", "")
	}
	return badJSON("success is neither 0 nor 1", "")
}

// refusal is the error of a reply that reports failure.
func (e *envelope) refusal() *Error {
	err := &Error{Kind: KindError, Reason: "api_error", ID: e.id, Code: e.code}
	if e.msg != "" {
		err.Err = errors.New(e.msg)
	}
	switch {
	case e.code == codeSessionLimit:
		err.Kind, err.Reason = KindBusy, "session_limit"
		err.Hint = hintSessionLimit
	case e.code == codeAuthFailed, e.id == idAuthFailed:
		err.Kind, err.Reason = KindRefused, "auth_failed"
		err.Hint = hintAuthFailed
	case e.id == idDisabled && e.exception:
		err.Kind, err.Reason = KindRefused, "disabled"
		err.Hint = hintDisabled
	}
	return err
}
