package publish

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Extra is something that a connection does beside publishing records, and that
// a broker may punish by ending it. What comes before the records is done one
// at a time, so that it is known at which one the broker ended the connection;
// of what is sent among the records it is the one that waits longest for its
// acknowledgement. At the second time in a row that one is left out.
type Extra string

// The extras, in the order in which they are done.
const (
	ExtraWill       Extra = "will"            // the message "lost" that the broker publishes
	ExtraRetain     Extra = "retain"          // retained messages: they are sent without the mark
	ExtraOnline     Extra = "availability"    // without it only the will tells of this agent
	ExtraBirth      Extra = "birth"           // the whole birth: a short one is sent
	ExtraShortBirth Extra = "short_birth"     // the short one too: none is sent
	ExtraEcho       Extra = "subscribe_echo"  // without it delivery is not proven
	ExtraStates     Extra = "subscribe_state" // without it only the echo tells what the broker knows
	ExtraProof      Extra = "publish_echo"    // without it delivery is not proven
	ExtraMemory     Extra = "retain_echo"     // without it only the states tell the next connection how far the agent had come
	ExtraLeave      Extra = "unsubscribe"
	ExtraState      Extra = "publish_state" // the caller's states
)

// ErrLeftOut is in the error of a message that is not sent because the broker ends the
// connection at its like. It may be sent later.
var ErrLeftOut = errors.New("left out: the broker ends the connection at it")

// extraOf is what a message of the caller's is, "" = nothing that is left out alone.
func extraOf(msg Message) Extra {
	if msg.Retain && strings.HasSuffix(msg.Topic, "/"+stateTopic) {
		return ExtraState
	}
	return ""
}

const (
	// blamedOften losses in a row at one extra, and it is left out.
	blamedOften = 2
	// retryFirst is how long it is left out the first time, doubled each time up to
	// retryExtra. A new Client knows nothing of it.
	retryFirst = 10 * time.Minute
	retryExtra = 6 * time.Hour
	// willAfter failed logins in a row, every second one is tried without a will.
	willAfter = 3
)

// Refusal is an extra that is left out at a broker.
type Refusal struct {
	Extra        Extra
	Since, Until time.Time // found out; tried again at the first connection after
}

// extras is what is known about one broker's mind on extras. Client.mu guards it.
type extras struct {
	blame   map[Extra]int
	refused map[Extra]Refusal
	logins  int // failed in a row with a will, the broker being there
}

func (x *extras) refuses(e Extra) bool {
	r, ok := x.refused[e]
	return ok && time.Now().Before(r.Until)
}

// ended notes that a connection ended at e, so many times over. It tells whether
// e is left out from now on.
func (x *extras) ended(e Extra, times int) bool {
	if x.blame == nil {
		x.blame = map[Extra]int{}
	}
	if x.refused == nil {
		x.refused = map[Extra]Refusal{}
	}
	x.blame[e] += times
	if x.blame[e] < blamedOften {
		return false
	}
	x.blame[e] = blamedOften - 1 // after a new try one loss is enough
	wait := retryFirst
	if old, again := x.refused[e]; again {
		wait = min(retryExtra, 2*old.Until.Sub(old.Since))
	}
	now := time.Now()
	x.refused[e] = Refusal{e, now, now.Add(wait)}
	if e == ExtraOnline { // it was the topic, not the mark
		x.passed(ExtraRetain)
	}
	return true
}

// amongRecords tells whether e goes out at any time beside the records: where only one
// connection has ended at it, that may have been chance.
func (e Extra) amongRecords() bool { return e == ExtraState || e == ExtraMemory }

// doubtsWriting tells whether a connection that ended at e, "" = nobody knows at what,
// may have ended because nothing that this agent writes is accepted.
func (e Extra) doubtsWriting(leftOut bool) bool {
	switch e {
	case ExtraEcho: // while it may still be that
		return leftOut
	case ExtraStates, ExtraProof, ExtraMemory, ExtraLeave, ExtraState:
		return false
	}
	return true
}

// passed notes that e was done and the connection is still there.
func (x *extras) passed(e Extra) {
	delete(x.blame, e)
	delete(x.refused, e)
}

func (x *extras) list() (all []Refusal) {
	for e, r := range x.refused {
		if x.refuses(e) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Refusal) int { return a.Since.Compare(b.Since) })
	return all
}

// refuses tells whether e is left out at b.
func (c *Client) refuses(b broker, e Extra) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.delivery.about(b.name).extras.refuses(e)
}

// doing notes what the connection does now, "" = nothing that could be punished.
func (m *Conn) doing(e Extra) {
	c := m.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if e == "" && m.now != "" {
		m.done = m.now
	}
	m.now = e
}

// did notes that the broker answered: it accepts e, as far as is known.
func (m *Conn) did(e Extra) {
	m.doing("")
	m.client.passed(m.broker, e)
}

// passed notes that b accepts e; "" = nothing.
func (c *Client) passed(b broker, e Extra) {
	if e == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery.about(b.name).extras.passed(e)
}

// blame finds the extra at which the connection ended: one that waited longest for
// its acknowledgement among the messages in flight, or one that was being done, or, on
// a connection that did not live, was done last before the proof was decided. It needs
// c.mu.
func (c *Client) blame(m *Conn, why *Error, first Extra, lived bool) (e Extra, leftOut bool) {
	x := &c.delivery.about(m.broker.name).extras
	if why.Class != ClassLost && why.Class != ClassSilent {
		return "", false
	}
	if e = first; e == "" {
		e = m.now
	}
	if e == "" && !lived && !isClosed(m.proof.decided) {
		e = m.done // answered first, ended then
	}
	if e == "" {
		return "", false
	}
	times := 1
	if why.Hint == hintNoAck && (e == ExtraBirth || e == ExtraShortBirth) {
		times = blamedOften // that was no chance: the broker acknowledged what came before it, and answers pings
	}
	return e, x.ended(e, times)
}

// takesWill tells whether the next connection at b has a will. Many brokers say
// nothing when they reject one; so after several failed logins every second one
// goes without.
func (c *Client) takesWill(b broker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &c.delivery.about(b.name).extras
	return !x.refuses(ExtraWill) && (x.logins < willAfter || x.logins%2 == 0)
}

// loggedIn notes a login that succeeded. True = it did so without a will, after
// failures with one, for the first time: that is to be tried once more.
func (x *extras) loggedIn(will bool) (trial bool) {
	switch {
	case will:
		x.passed(ExtraWill)
	case !x.refuses(ExtraWill) && !x.ended(ExtraWill, 1):
		x.logins = willAfter + 1 // the next one has a will, the one behind it has not
		return true
	}
	x.logins = 0
	return false
}
