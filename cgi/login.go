package cgi

import (
	"bytes"
	"context"
	"encoding/json"
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
	var last *Error
	for _, f := range c.familiesToTry() {
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

func (c *Client) familiesToTry() []loginActions {
	want := c.cfg.Login
	if want == loginAuto && c.family != "" {
		want = c.family
	}
	switch want {
	case loginAPI:
		return []loginActions{apiActions}
	case loginWeb:
		return []loginActions{webActions}
	default:
		return []loginActions{apiActions, webActions}
	}
}

// definite tells that the other login family would fare no better, and that
// trying it could do harm.
func (e *Error) definite() bool {
	switch e.Reason {
	case "auth_failed", "session_limit", "web_user", "disabled", "canceled":
		return true
	}
	return e.Kind == KindUnreachable
}

// logInBy goes through the steps of one family: session id, user and password,
// a fresh id. The last step may fail: several working clients skip it.
func (c *Client) logInBy(ctx context.Context, f loginActions) (session, *Error) {
	s := session{web: f.web}
	if err := c.loginInfo(ctx, f); err != nil {
		return session{}, err
	}
	if err := c.requestSession(ctx, f, &s); err != nil {
		return session{}, err
	}
	if err := c.requestCertificate(ctx, f, &s); err != nil {
		return session{}, err
	}
	if err := c.changeSession(ctx, f, &s); err != nil {
		return session{}, err
	}
	return s, nil
}

// loginInfo asks who is there: a person who is logged in on the endpoint's own
// pages is not thrown out. An endpoint that does not know the action says
// nothing about it.
func (c *Client) loginInfo(ctx context.Context, f loginActions) *Error {
	if f.info == "" {
		return nil
	}
	reply, _, err := c.loginStep(ctx, session{web: f.web}, f.info, nil)
	if err != nil {
		if err.unanswered() {
			return err
		}
		return nil
	}
	if reply.Model != "" {
		c.model = reply.Model
	}
	if reply.AlreadyLogin {
		return &Error{
			Kind: KindBusy, Action: f.info, URL: c.origin, Reason: "web_user",
			Hint: hintWebUser,
		}
	}
	return nil
}

// requestSession takes the id from the cookie, or, on old TE40 firmware, from
// data.acSessionId. The device refuses while its session table is full or an
// upgrade is running.
func (c *Client) requestSession(ctx context.Context, f loginActions, s *session) *Error {
	reply, cookie, err := c.loginStep(ctx, *s, f.session, nil)
	if err != nil {
		if err.Reason == "api_error" {
			err.Kind = KindBusy
			err.Hint = hintNoSessionGiven
		}
		return err
	}
	if reply.Model != "" {
		c.model = reply.Model
	}
	if s.id = cookie; s.id == "" {
		s.id = reply.SessionID
	}
	if s.id == "" {
		return &Error{
			Kind: KindRefused, Action: f.session, URL: c.origin, Reason: "no_session", HTTPStatus: 200,
			Hint: hintNoSessionID,
		}
	}
	return nil
}

// requestCertificate sends user and password, in lower case as the working
// clients do.
func (c *Client) requestCertificate(ctx context.Context, f loginActions, s *session) *Error {
	reply, _, err := c.loginStep(ctx, *s, f.certificate, map[string]any{
		"user": c.cfg.Username, "password": c.cfg.Password,
	})
	if err != nil {
		if err.Reason == "api_error" || err.unauthorized() {
			err.Kind = KindRefused
			err.Hint = hintLoginRefused
		}
		return err
	}
	s.token = reply.CSRFToken // old firmware gives none and wants none
	return nil
}

// changeSession swaps the id, as the vendor documents. Only a dead connection
// ends the login; where neither a cookie nor a new id comes, the old one stays.
func (c *Client) changeSession(ctx context.Context, f loginActions, s *session) *Error {
	reply, cookie, err := c.loginStep(ctx, *s, f.change, nil)
	if err != nil {
		if err.unanswered() {
			return err
		}
		return nil
	}
	switch {
	case cookie != "":
		s.id = cookie
	case reply.SessionID != "":
		s.id = reply.SessionID
	}
	if reply.CSRFToken != "" {
		s.token = reply.CSRFToken
	}
	return nil
}

// loginStep sends one action of a login with the session as it is so far, and
// gives the reply and the cookie. It is never retried.
func (c *Client) loginStep(ctx context.Context, s session, action string, fields map[string]any) (loginReply, string, *Error) {
	c.session = s
	defer func() { c.session = session{} }() // there is no session before the last step
	var body []byte
	if fields != nil {
		body = encode(fields)
	}
	out, err := c.post(ctx, c.changing, action, body)
	if err != nil {
		return loginReply{}, "", err
	}
	reply, perr := parseLogin(out.body)
	return reply, out.cookie, c.located(action, perr)
}

// fields gives the body of a request: the token, where there is one, and what
// the action needs.
func (c *Client) fields(extra map[string]any) []byte {
	all := map[string]any{}
	for k, v := range extra {
		all[k] = v
	}
	if c.session.token != "" {
		all["acCSRFToken"] = c.session.token
	}
	return encode(all)
}

// encode gives JSON with every character as it is: a password with < or & is
// not to be escaped, as some firmware does not know \u.
func encode(fields map[string]any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil { // strings and whole numbers alone come here
		return nil
	}
	return bytes.TrimSpace(b.Bytes())
}
