package cgi

import (
	"context"
	"time"
)

// session is the result of a login. The zero value is no session.
type session struct {
	id, token string
	web       bool // the family of the endpoint's own pages, which wants browser headers
	began     time.Time
	refreshed time.Time // of the last mailbox reply
	mailbox   bool      // the mailbox answered since the login
}

func (s session) open() bool { return s.id != "" }

// ready makes sure that there is a session, if one is needed, and that the
// endpoint may be asked now.
func (c *Client) ready(ctx context.Context) *Error {
	if err := c.pause.active(c.now()); err != nil {
		return err
	}
	if c.cfg.Login == loginNone || c.session.open() {
		return nil
	}
	s, err := c.logIn(ctx)
	if err != nil {
		c.pauseLogin(err)
		return err
	}
	s.began, s.refreshed = c.now(), c.now()
	c.session = s
	c.pause = pause{losses: c.pause.losses}
	c.forgetPause()
	c.log.Debug("logged in", "endpoint", c.origin, "family", c.family, "model", c.model)
	return nil
}

// shortSession: a session that ended sooner than this after its login did not
// end by the endpoint's timer.
const shortSession = time.Minute

// loseSession forgets a session that the endpoint no longer accepts. After the
// first loss the next login may come at once; when fresh sessions are lost again
// and again, logins are spaced out.
func (c *Client) loseSession() {
	if c.now().Sub(c.session.began) >= shortSession {
		c.pause.losses = 0
	}
	c.session = session{}
	c.pause.losses++
	c.log.Debug("session lost", "endpoint", c.origin, "in a row", c.pause.losses)
	if c.pause.losses == 1 {
		return
	}
	err := &Error{Kind: KindRefused, URL: c.origin, Reason: "session_lost", Hint: hintSessionsShort}
	c.pause.start(err, c.now().Add(backoffs["session_lost"].length(c.pause.losses-1, c.jitter())))
}

// keepAliveAfter is how long a session is left without a mailbox request. The
// vendor wants less than 60 s between two.
const keepAliveAfter = 40 * time.Second

// KeepAlive sends the mailbox request when the session would expire without
// it: call it every few seconds, or before each pause between polls. Without
// a session, or soon after a poll, it does nothing. An error is an *Error.
func (c *Client) KeepAlive(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	if !c.session.open() || c.now().Sub(c.session.refreshed) < keepAliveAfter {
		return nil
	}
	_, err := c.mailbox(ctx)
	switch {
	case err == nil:
		return nil
	case err.unauthorized():
		c.loseSession()
	}
	return err
}

// Close logs out, so that the endpoint's session table has room again, and
// closes the connection. A later Poll logs in anew. An error is an *Error; the
// session is forgotten all the same.
func (c *Client) Close(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	defer c.http.CloseIdleConnections()
	if !c.session.open() {
		return nil
	}
	_, err := c.post(ctx, c.changing, "WEB_LogoutAPI", c.fields(nil))
	c.session = session{}
	if err != nil {
		return err
	}
	return nil
}
