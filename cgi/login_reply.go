package cgi

import "github.com/valyala/fastjson"

// Bounds of what a login reply may hold. Session ids of 31 letters and digits
// (TE) and 64 hex digits (IdeaHub, Box) were seen, tokens of 32.
const (
	minSessionID = 3 // "" and " " stand for "see the cookie"
	maxToken     = 256
	maxModel     = 64
)

// loginReply is what the login actions and WEB_GetLoginInfo tell. Each field
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
	d := newDecoder()
	defer d.release(len(raw))
	object, _, err := d.open(raw)
	if err != nil {
		return loginReply{}, err
	}
	var r loginReply
	if object == nil {
		return r, nil
	}
	object.Visit(func(key []byte, v *fastjson.Value) {
		key = bare(key)
		switch {
		case equalFold(key, "acsessionid"):
			r.SessionID = d.token(v, minSessionID)
		case equalFold(key, "accsrftoken"):
			r.CSRFToken = d.token(v, 1)
		case equalFold(key, "sztermtype"):
			if text, ok := d.scalar(v); ok {
				r.Model, _ = d.text(text, maxModel, v)
			}
		case equalFold(key, "alreadylogin"):
			r.AlreadyLogin = successText(d, v) == "1"
		}
	})
	return r, nil
}

// token gives an id or a token. It goes into a header of later requests, so
// anything but visible ASCII without the signs that end a cookie is none.
func (d *decoder) token(v *fastjson.Value, minimum int) string {
	text, ok := d.scalar(v)
	if !ok || len(text) < minimum || len(text) > maxToken {
		return ""
	}
	for _, c := range text {
		if c <= ' ' || c > '~' || c == ';' || c == ',' || c == '"' || c == '\\' {
			return ""
		}
	}
	return string(text)
}
