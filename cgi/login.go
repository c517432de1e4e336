package cgi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
)

// loginActions are the actions of one login family. The mixed case is the
// vendor's.
type loginActions struct {
	name                         string
	info                         string // "" = not asked
	session, certificate, change string
	web                          bool
}

var (
	apiActions = loginActions{
		name: loginAPI, session: "WEB_RequestSessionIDAPI",
		certificate: "WEB_RequestCertificateAPI", change: "WEB_ChangeSessionIDAPI",
	}
	webActions = loginActions{
		name: loginWeb, info: "WEB_GetLoginInfo", session: "Web_RequestSessionID",
		certificate: "Web_RequestCertificate", change: "WEB_ChangeSessionID", web: true,
	}
)

// logIn makes a session with the family that is set, is remembered, or, with
// "auto", works first.
func (c *Client) logIn(ctx context.Context) (session, *Error) {
	families := []loginActions{apiActions, webActions}
	want := c.cfg.Login
	if want == loginAuto {
		want = c.family
	}
	switch want {
	case loginAPI:
		families = families[:1]
	case loginWeb:
		families = families[1:]
	}
	var last *Error
	for _, f := range families {
		s, err := c.logInBy(ctx, f)
		if err == nil {
			c.family = f.name
			return s, nil
		}
		last = err
		if err.definite() {
			break
		}
		c.family = ""
	}
	return session{}, last
}

// definite: the other login family would fare no better, and that
// trying it could do harm.
func (e *Error) definite() bool {
	switch e.Reason {
	case "auth_failed", "session_limit", "web_user", "disabled":
		return true
	}
	return e.unanswered()
}

// logInBy goes through the steps of one family: who is there, a session id, user
// and password, a fresh id.
func (c *Client) logInBy(ctx context.Context, f loginActions) (session, *Error) {
	s := session{web: f.web}

	// A person who is logged in on the endpoint's own pages is not thrown out. An
	// endpoint that does not know the action says nothing about it.
	if f.info != "" {
		reply, err := c.loginStep(ctx, s, f.info, nil)
		switch {
		case err != nil && err.unanswered():
			return session{}, err
		case reply.AlreadyLogin:
			return session{}, &Error{Kind: KindBusy, Action: f.info, URL: c.origin, Reason: "web_user", Hint: hintWebUser}
		}
	}

	// The device refuses while its session table is full or an upgrade is running.
	reply, err := c.loginStep(ctx, s, f.session, nil)
	switch {
	case err != nil && err.Reason == "api_error":
		err.Kind, err.Hint = KindBusy, hintNoSessionGiven
		return session{}, err
	case err != nil:
		return session{}, err
	case reply.SessionID == "":
		return session{}, &Error{
			Kind: KindRefused, Action: f.session, URL: c.origin, Reason: "no_session", HTTPStatus: 200, Hint: hintNoSessionID,
		}
	}
	s.id = reply.SessionID

	// The keys are in lower case, as the working clients send them.
	reply, err = c.loginStep(ctx, s, f.certificate, encode(map[string]any{"user": c.cfg.Username, "password": c.cfg.Password}))
	switch {
	case err != nil && (err.Reason == "api_error" || err.unauthorized()):
		err.Kind, err.Hint = KindRefused, hintLoginRefused
		return session{}, err
	case err != nil:
		return session{}, err
	}
	s.token = reply.CSRFToken // old firmware sends none and wants none

	// The vendor documents this step; several working clients skip it. Only a dead
	// connection ends the login, and where nothing new comes, the old id stays.
	reply, err = c.loginStep(ctx, s, f.change, nil)
	if err != nil && err.unanswered() {
		return session{}, err
	}
	s.id, s.token = cmp.Or(reply.SessionID, s.id), cmp.Or(reply.CSRFToken, s.token)
	return s, nil
}

// loginStep sends one action of a login with the session as it is so far. It is
// never retried. The session id of the reply is that of the cookie, or, on old
// TE40 firmware, the one in data.
func (c *Client) loginStep(ctx context.Context, s session, action string, body []byte) (loginReply, *Error) {
	c.session = s
	defer func() { c.session = session{} }() // there is no session before the last step
	out, err := c.post(ctx, c.changing, action, body)
	if err != nil {
		return loginReply{}, err
	}
	reply, perr := parseLogin(out.body)
	if perr != nil {
		return loginReply{}, c.located(action, perr)
	}
	reply.SessionID = cmp.Or(out.cookie, reply.SessionID)
	c.model = cmp.Or(reply.Model, c.model)
	return reply, nil
}

// fields is the body of a request in a session: the token, where there is one, and
// what the action needs.
func (c *Client) fields(extra map[string]any) []byte {
	all := map[string]any{}
	maps.Copy(all, extra)
	if c.session.token != "" {
		all["acCSRFToken"] = c.session.token
	}
	return encode(all)
}

// encode makes JSON with every character as it is: a password with < or & is
// not escaped, because some firmware does not know \u.
func encode(fields map[string]any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil { // strings and whole numbers alone come here
		return nil
	}
	return bytes.TrimSpace(b.Bytes())
}
