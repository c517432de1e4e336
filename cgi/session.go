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
	good      bool      // a poll in it had a status
}

func (s session) open() bool { return s.id != "" }

// ready makes sure that there is a session, if one is needed, and that the
// endpoint may be asked now.
func (c *Client) ready(ctx context.Context) *Error {
	if err := c.pause.active(c.now()); err != nil && !c.mayTryAgain() {
		return err
	}
	if c.cfg.Login == loginNone || c.session.open() {
		return nil
	}
	s, err := c.logIn(ctx)
	if err != nil && err.refusesAccount() && c.rereadPassword() {
		s, err = c.logIn(ctx)
	}
	if err != nil {
		c.pauseLogin(err)
		return err
	}
	s.began, s.refreshed = c.now(), c.now()
	c.session = s
	c.pause = pause{losses: c.pause.losses, thrownOut: c.pause.thrownOut, hasty: c.pause.hasty}
	c.forgetPause()
	c.log.Debug("logged in", "endpoint", c.origin, "family", c.family, "model", c.model)
	return nil
}

// worked notes that the session gave a status.
func (c *Client) worked() {
	if c.session.good = c.session.open(); c.session.good && c.now().Sub(c.session.began) >= longSession {
		c.pause.thrownOut = 0
	}
}

// longSession: a session that worked and ended sooner was most likely ended by
// somebody else who logs in with the same account.
const longSession = 5 * time.Minute

// shortSession: a session that ended sooner than this after its login did not
// end by the endpoint's timer.
const shortSession = time.Minute

// loseSession forgets a session that the endpoint no longer accepts. After one that
// worked, and after the first loss, the next login may come at once; when fresh
// sessions are lost again and again without a status, logins are spaced out.
func (c *Client) loseSession() {
	s, lasted := c.session, c.now().Sub(c.session.began)
	c.session = session{}
	if lasted >= shortSession || s.good {
		c.pause.losses = 0
	}
	if s.good {
		c.loseGood(s.began, lasted)
		return
	}
	c.pause.losses++
	c.log.Debug("session lost", "endpoint", c.origin, "in a row", c.pause.losses)
	if c.pause.losses == 1 {
		return
	}
	err := &Error{Kind: KindRefused, URL: c.origin, Reason: "session_lost", Hint: hintSessionsShort}
	c.pause.start(err, c.now().Add(backoffs["session_lost"].length(c.pause.losses-1, c.jitter())))
}

// hasty spaces the logins when sessions that worked end within seconds: else two
// programs with one account would throw each other out as fast as they can.
var hasty = backoff{10 * time.Second, time.Minute}

// loseGood notes that a session which worked has ended. The next login comes at
// once; only when session after session lasts seconds, logins are spaced out.
func (c *Client) loseGood(began time.Time, lasted time.Duration) {
	if lasted >= longSession {
		c.pause.thrownOut = 0
	}
	c.pause.thrownOut++
	c.log.Debug("session ended that worked", "endpoint", c.origin, "after", lasted, "in a row", c.pause.thrownOut)
	if lasted >= hasty.first {
		c.pause.hasty = 0
		return
	}
	if c.pause.hasty++; c.pause.hasty == 1 {
		return
	}
	err := &Error{Kind: KindRefused, URL: c.origin, Reason: "session_lost", Hint: hintOtherLogin}
	c.pause.start(err, began.Add(hasty.length(c.pause.hasty-1, c.jitter())))
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
