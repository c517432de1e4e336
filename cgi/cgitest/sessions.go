package cgitest

import (
	"fmt"
	"time"
)

// session is one entry of the endpoint's session table.
type session struct {
	id, token string
	loggedIn  bool
	seen      time.Time // of the last request that counts as keep-alive
}

// sessions is the endpoint's session table with the account's lock.
type sessions struct {
	byID   map[string]*session
	next   uint64 // for ids and tokens
	failed int    // wrong passwords in a row
	locked time.Time
}

// Account lock of the simulator. The vendor has such settings
// (login_errortimes, lock_user_time) but publishes no numbers.
const (
	lockAfter = 5
	lockTime  = 5 * time.Minute
)

func newSessions() sessions { return sessions{byID: map[string]*session{}} }

// expire forgets the sessions that were silent for too long.
func (s *sessions) expire(now time.Time, after time.Duration) {
	for id, one := range s.byID {
		if now.Sub(one.seen) > after {
			delete(s.byID, id)
		}
	}
}

// open adds a session with a fresh id.
func (s *sessions) open(now time.Time, seed uint64, idLen int) *session {
	one := &session{seen: now}
	s.rename(one, seed, idLen)
	return one
}

// rename returns a session a fresh id; the old one is no longer known.
func (s *sessions) rename(one *session, seed uint64, idLen int) {
	delete(s.byID, one.id)
	one.id = s.fresh(seed, idLen)
	s.byID[one.id] = one
}

// fresh makes an id or token: hexadecimal, as long as asked, never the same
// twice. It is repeatable by seed and so no secret; a simulator has none.
func (s *sessions) fresh(seed uint64, n int) string {
	s.next++
	w := world{seed: seed, second: int64(s.next)}
	out := ""
	for i := 0; len(out) < n; i++ {
		out += fmt.Sprintf("%08x", uint32((w.noise(i, 0)+1)*(1<<31-1)))
	}
	return out[:n]
}
