package publish

import (
	"fmt"
	"time"
)

// earlyLosses recognises a client id that is used twice: each of the two
// throws the other out when it connects (MQTT 3.1.1, 3.1.4-2), so connections
// succeed and end within seconds, again and again.
type earlyLosses struct {
	row  int // connections in a row that did not live
	idle int // of them, ended with nothing in flight
}

// sameIDAfter is how many such connections in a row make the alarm.
const sameIDAfter = 3

func (l *earlyLosses) count(lived time.Duration, busy bool) {
	if lived >= livedAfter {
		*l = earlyLosses{}
		return
	}
	l.row++
	if !busy {
		l.idle++
	}
}

// judge turns a loss into ClassSameID. A message that the broker does not take
// also ends each connection early, but never one with nothing in flight; so
// without an idle loss it stays a loss with a hint at both.
func (l *earlyLosses) judge(id string, e *Error) {
	if l.row < sameIDAfter || e.Class != ClassLost {
		return
	}
	if l.idle > 0 {
		e.Class = ClassSameID
		e.Hint = fmt.Sprintf("another client probably uses the client id %q (a cloned machine?): give each agent its own [agent] client_id", id)
		e.Err = fmt.Errorf("thrown out within a minute of connecting, %d times in a row: %w", l.row, e.Err)
		return
	}
	e.Hint = fmt.Sprintf("lost within a minute %d times in a row: either the broker does not take a message (size limit?), or another client uses the client id %q", l.row, id)
}
