package cgi

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"time"
)

// LoginPause is the memory of a refused password. Kept over a restart and handed
// in again, it holds back a login that the endpoint would count as one more wrong
// try. It ends with its time, and with any change of address, user or password.
// The zero value is no pause.
type LoginPause struct {
	Until time.Time `json:"until"`
	Times int       `json:"times"` // refusals in a row
	// Reason, ID, Code and HTTPStatus are those of the refusal's Error: not every
	// firmware says in plain words that the password is wrong.
	Reason     string `json:"reason"`
	ID         int64  `json:"err_id,omitzero"`
	Code       int64  `json:"err_code,omitzero"`
	HTTPStatus int    `json:"http_status,omitzero"`
	// Account is a salted, slow digest by which the same account is recognised.
	Account []byte `json:"account"`
	Salt    []byte `json:"salt"`
}

// pause keeps the client away from an endpoint for a while after an answer that
// a new attempt would only make worse.
type pause struct {
	until   time.Time
	err     *Error // what Poll returns meanwhile
	reason  string // of the failures in a row
	times   int
	upgrade bool
	account bool // user or password were refused

	losses    int // sessions in a row that ended early and never worked
	thrownOut int // sessions in a row that worked and ended early, see longSession
	hasty     int // those of them that lasted seconds
}

func (p *pause) start(err *Error, until time.Time) { p.err, p.until = err, until }

// active returns the remembered error while the pause lasts. It is a copy:
// callers may change what they get.
func (p *pause) active(now time.Time) *Error {
	if p.err == nil || !now.Before(p.until) {
		return nil
	}
	err := *p.err
	return &err
}

// backoff says how long no login is tried after a failure: first, doubled with
// each further one of the same kind, at most max.
type backoff struct{ first, max time.Duration }

// length is that of the n-th pause, up to a tenth longer at random, so that many
// agents do not come back at one instant.
func (b backoff) length(n int, jitter float64) time.Duration {
	wait := b.max
	if n <= 20 {
		wait = min(b.max, b.first<<(n-1))
	}
	return wait + time.Duration(jitter*float64(wait)/10)
}

// backoffs by Error.Reason. Endpoints lock accounts after an unknown number of
// wrong passwords, so those wait longest. A full session table or a person on
// the web page goes away by itself.
var backoffs = map[string]backoff{
	"auth_failed":   {10 * time.Minute, 2 * time.Hour},
	"session_limit": {30 * time.Second, 10 * time.Minute},
	"web_user":      {30 * time.Second, 10 * time.Minute},
	"disabled":      {time.Minute, 10 * time.Minute},
	"session_lost":  {30 * time.Second, 10 * time.Minute},
	"timeout":       {10 * time.Second, time.Minute},
	"reset":         {10 * time.Second, time.Minute},
}

// otherBackoff is for every other failure of a login that began. A login that
// fails half-way may leave a session in the endpoint's table.
var otherBackoff = backoff{15 * time.Second, 5 * time.Minute}

// refusesAccount: user and password were sent and not accepted. Some firmware
// says so with its general failure.
func (e *Error) refusesAccount() bool {
	sent := e.Action == apiActions.certificate || e.Action == webActions.certificate
	return e.Reason == "auth_failed" || sent && (e.Reason == "api_error" || e.unauthorized())
}

func (e *Error) backoff() backoff {
	if e.refusesAccount() {
		return backoffs["auth_failed"]
	}
	if b, ok := backoffs[e.Reason]; ok {
		return b
	}
	return otherBackoff
}

// harmless: a failed login left nothing behind in the endpoint: it
// was not reached, or it dropped the connection before the first step was done.
func (e *Error) harmless() bool {
	if e.Kind != KindUnreachable {
		return e.Reason == "canceled"
	}
	first := e.Action == webActions.info || e.Action == webActions.session || e.Action == apiActions.session
	return first && (e.Reason != "timeout" || isDial(e.Err))
}

// pauseLogin starts a pause after a login that failed, unless it is harmless.
func (c *Client) pauseLogin(err *Error) {
	if err.harmless() {
		return
	}
	if c.pause.reason != err.Reason {
		c.pause.reason, c.pause.times = err.Reason, 0
	}
	c.pause.times++
	wait := err.backoff().length(c.pause.times, c.jitter())
	until := c.now().Add(wait)
	if err.refusesAccount() {
		err.Facts = pausedUntil(until)
		c.rememberPause(err, until)
	}
	c.pause.account = err.refusesAccount()
	c.pause.start(err, until)
	c.log.Debug("login paused", "endpoint", c.origin, "reason", err.Reason, "pause", wait.Round(time.Second))
}

// mayTryAgain ends the pause after a refused account when there is a reason to
// believe that a login works now.
func (c *Client) mayTryAgain() bool {
	if !c.pause.account || !c.rereadPassword() && (c.cfg.LoginWorks == nil || !c.cfg.LoginWorks()) {
		return false
	}
	c.pause.err = nil
	return true
}

// rereadPassword takes over a password that was changed where it is kept.
func (c *Client) rereadPassword() bool {
	if c.cfg.Reread == nil {
		return false
	}
	password := c.cfg.Reread()
	if password == "" || password == c.cfg.Password {
		return false
	}
	c.cfg.Password = password
	c.log.Info("the password was changed where it is kept; it is tried at once", "endpoint", c.origin)
	return true
}

// pausedUntil is the time as people on this machine read clocks, with UTC beside it.
func pausedUntil(t time.Time) map[string]string {
	text := t.UTC().Format("15:04:05 UTC")
	if _, offset := t.Local().Zone(); offset != 0 {
		text = t.Local().Format("15:04:05") + " (" + text + ")"
	}
	return map[string]string{"until": text}
}

// digestRounds makes a digest that somebody copies slow to guess from; it is
// made once for a refusal and once for a start after one.
const digestRounds = 20_000

// digest is nil when the account cannot be digested; nothing equals it.
func (c *Client) digest(salt []byte) []byte {
	account := c.origin + "\x00" + c.cfg.Username + "\x00" + c.cfg.Password
	d, err := pbkdf2.Key(sha256.New, account, salt, digestRounds, sha256.Size)
	if err != nil {
		return nil
	}
	return d
}

// SameAccount reports whether a pause is about this client's address, user and
// password.
func (c *Client) SameAccount(p LoginPause) bool {
	return len(p.Account) > 0 && subtle.ConstantTimeCompare(p.Account, c.digest(p.Salt)) == 1
}

// rememberPause hands a refused password out to be remembered.
func (c *Client) rememberPause(err *Error, until time.Time) {
	if c.cfg.OnLoginPause == nil {
		return
	}
	salt := []byte(rand.Text())
	c.remembered = true
	c.cfg.OnLoginPause(LoginPause{
		Until: until, Times: c.pause.times, Reason: err.Reason, ID: err.ID, Code: err.Code, HTTPStatus: err.HTTPStatus,
		Account: c.digest(salt), Salt: salt,
	})
}

// forgetPause says that a login has worked again.
func (c *Client) forgetPause() {
	if c.remembered && c.cfg.OnLoginPause != nil {
		c.cfg.OnLoginPause(LoginPause{})
	}
	c.remembered = false
}

// resumePause goes on with the pause of an earlier run. A time farther away than
// any pause comes from a clock that was wrong, then or now.
func (c *Client) resumePause(p LoginPause) {
	if len(p.Account) == 0 || c.cfg.Login == loginNone {
		return
	}
	c.remembered = true
	if p.Reason == "" || !c.SameAccount(p) {
		return
	}
	c.pause.reason, c.pause.times = p.Reason, max(p.Times, 1)
	longest := backoffs["auth_failed"].max
	if left := p.Until.Sub(c.now()); left <= 0 || left > longest+longest/10 {
		return
	}
	c.pause.account = true
	c.pause.start(&Error{
		Kind: KindRefused, URL: c.origin, Reason: p.Reason, ID: p.ID, Code: p.Code, HTTPStatus: p.HTTPStatus,
		Hint: hintRefusedBefore, Facts: pausedUntil(p.Until),
	}, p.Until)
}
