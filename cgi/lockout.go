package cgi

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"time"
)

// Lockout is the memory of a refused password. Kept over a restart and handed in
// again, it holds back a login that the endpoint would count as one more wrong
// try. It ends with its time, and with any change of address, user or password.
// The zero value is no lockout.
type Lockout struct {
	Until time.Time `json:"until"`
	Times int       `json:"times"` // refusals in a row
	// Reason, ID, Code and HTTPStatus are those of the refusal's Error: not every
	// firmware says in plain words that the password is wrong.
	Reason     string `json:"reason"`
	ID         int64  `json:"err_id,omitzero"`
	Code       int64  `json:"err_code,omitzero"`
	HTTPStatus int    `json:"http_status,omitzero"`
	// Account tells by a salted, slow digest whether the account is the same.
	Account []byte `json:"account"`
	Salt    []byte `json:"salt"`
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

// lockOut tells the owner of a refused password.
func (c *Client) lockOut(err *Error, until time.Time) {
	if c.cfg.OnLockout == nil {
		return
	}
	salt := []byte(rand.Text())
	c.locked = true
	c.cfg.OnLockout(Lockout{
		Until: until, Times: c.gate.times, Reason: err.Reason, ID: err.ID, Code: err.Code, HTTPStatus: err.HTTPStatus,
		Account: c.digest(salt), Salt: salt,
	})
}

// unlock tells the owner that a login has worked again.
func (c *Client) unlock() {
	if c.locked && c.cfg.OnLockout != nil {
		c.cfg.OnLockout(Lockout{})
	}
	c.locked = false
}

// restore takes over the lockout of an earlier run. A time farther away than any
// pause comes from a clock that was wrong, then or now.
func (c *Client) restore(l Lockout) {
	if len(l.Account) == 0 || c.cfg.Login == loginNone {
		return
	}
	c.locked = true
	if l.Reason == "" || subtle.ConstantTimeCompare(l.Account, c.digest(l.Salt)) != 1 {
		return
	}
	c.gate.reason, c.gate.times = l.Reason, max(l.Times, 1)
	longest := pauses["auth_failed"].max
	if left := l.Until.Sub(c.now()); left <= 0 || left > longest+longest/10 {
		return
	}
	c.gate.shut(&Error{
		Kind: KindRefused, URL: c.origin, Reason: l.Reason, ID: l.ID, Code: l.Code, HTTPStatus: l.HTTPStatus,
		Hint: "check username and password; they were refused before this start" + leftAlone(l.Until),
	}, l.Until)
}

func leftAlone(until time.Time) string {
	return "; endpoints lock accounts, so a running agent leaves the password alone until " + until.Format("15:04:05 MST") + " or a change of its settings"
}
