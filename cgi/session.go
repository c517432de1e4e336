package cgi

import (
	"context"
	"time"
)

// session is what a login gave. The zero value is no session.
type session struct {
	id, token string
	web       bool // the family of the endpoint's own pages, which wants browser headers
	began     time.Time
	refreshed time.Time // of the last mailbox reply
	mailbox   bool      // the mailbox answered since the login
}

func (s session) open() bool { return s.id != "" }

// gate keeps the client away from an endpoint for a while after an answer that
// a new attempt would only make worse.
type gate struct {
	until   time.Time
	err     *Error
	reason  string // of the failures in a row
	times   int
	upgrade bool
	losses  int // sessions in a row that ended early
}

// shut keeps the gate closed until a time; err is what Poll gives meanwhile.
func (g *gate) shut(err *Error, until time.Time) { g.err, g.until = err, until }

// closed gives the remembered error while the gate is closed. It is a copy:
// callers may change what they get.
func (g *gate) closed(now time.Time) *Error {
	if g.err == nil || !now.Before(g.until) {
		return nil
	}
	err := *g.err
	return &err
}

// pause says how long a login is left alone after a failure: first, doubled
// with each further one of the same kind, at most max.
type pause struct{ first, max time.Duration }

// pauses by Error.Reason. Endpoints lock accounts after an unknown number of
// wrong passwords, so those wait longest. A full session table or a person on
// the web page goes away by itself.
var pauses = map[string]pause{
	"auth_failed":   {10 * time.Minute, 2 * time.Hour},
	"session_limit": {30 * time.Second, 10 * time.Minute},
	"web_user":      {30 * time.Second, 10 * time.Minute},
	"disabled":      {time.Minute, 10 * time.Minute},
	"session_lost":  {30 * time.Second, 10 * time.Minute},
	"timeout":       {10 * time.Second, time.Minute},
	"reset":         {10 * time.Second, time.Minute},
}

// otherPause is for every other failure of a login that began. A login that
// fails half-way may leave a session in the endpoint's table.
var otherPause = pause{15 * time.Second, 5 * time.Minute}

// refusesAccount: user and password were sent and not taken. Some firmware
// says so with its general failure.
func (e *Error) refusesAccount() bool {
	sent := e.Action == apiActions.certificate || e.Action == webActions.certificate
	return e.Reason == "auth_failed" || sent && (e.Reason == "api_error" || e.unauthorized())
}

func (e *Error) pause() pause {
	if e.refusesAccount() {
		return pauses["auth_failed"]
	}
	if p, ok := pauses[e.Reason]; ok {
		return p
	}
	return otherPause
}

// ready makes sure that there is a session, if one is needed, and that the
// endpoint may be asked now.
func (c *Client) ready(ctx context.Context) *Error {
	if err := c.gate.closed(c.now()); err != nil {
		return err
	}
	if c.cfg.Login == loginNone || c.session.open() {
		return nil
	}
	s, err := c.logIn(ctx)
	if err != nil {
		c.holdOff(err)
		return err
	}
	s.began, s.refreshed = c.now(), c.now()
	c.session = s
	c.gate = gate{losses: c.gate.losses}
	c.unlock()
	c.log.Debug("logged in", "endpoint", c.origin, "family", c.family, "model", c.model)
	return nil
}

// harmless tells that a failed login left nothing behind in the endpoint: it
// was not reached, or it dropped the connection before the first step was done.
func (e *Error) harmless() bool {
	if e.Kind != KindUnreachable {
		return e.Reason == "canceled"
	}
	first := e.Action == webActions.info || e.Action == webActions.session || e.Action == apiActions.session
	return first && (e.Reason != "timeout" || isDial(e.Err))
}

// holdOff closes the gate after a login that failed, unless it is harmless.
func (c *Client) holdOff(err *Error) {
	if err.harmless() {
		return
	}
	if c.gate.reason != err.Reason {
		c.gate.reason, c.gate.times = err.Reason, 0
	}
	c.gate.times++
	wait := c.grown(err.pause(), c.gate.times)
	until := c.now().Add(wait)
	if err.refusesAccount() {
		err.Hint += leftAlone(until)
		c.lockOut(err, until)
	}
	c.gate.shut(err, until)
	c.log.Debug("login paused", "endpoint", c.origin, "reason", err.Reason, "pause", wait.Round(time.Second))
}

// grown is the n-th pause: doubled each time, at most max, and up to a tenth
// longer at random, so that many agents do not come back at one instant.
func (c *Client) grown(p pause, n int) time.Duration {
	wait := p.max
	if n <= 20 {
		wait = min(p.max, p.first<<(n-1))
	}
	return wait + time.Duration(c.jitter()*float64(wait)/10)
}

// shortSession: a session that ended sooner than this after its login did not
// end by the endpoint's timer.
const shortSession = time.Minute

// loseSession forgets a session that the endpoint no longer takes. The first
// loss is mended at once; when fresh sessions are lost again and again, logins
// are spaced out.
func (c *Client) loseSession() {
	if c.now().Sub(c.session.began) >= shortSession {
		c.gate.losses = 0
	}
	c.session = session{}
	c.gate.losses++
	c.log.Debug("session lost", "endpoint", c.origin, "in a row", c.gate.losses)
	if c.gate.losses == 1 {
		return
	}
	err := &Error{
		Kind: KindRefused, URL: c.origin, Reason: "session_lost",
		Hint: "the endpoint ends each session soon after the login; check that the account may use the API",
	}
	c.gate.shut(err, c.now().Add(c.grown(pauses["session_lost"], c.gate.losses-1)))
}
