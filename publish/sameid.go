package publish

import (
	"fmt"
	"time"
)

// earlyLosses recognises a client id that is used twice: each of the two
// throws the other out when it connects (MQTT 3.1.1, 3.1.4-2), so connections
// succeed and end within seconds, again and again.
type earlyLosses struct {
	row int // connections in a row that did not live
}

// sameIDAfter is how many such connections in a row make the alarm.
const sameIDAfter = 3

func (l *earlyLosses) count(lived time.Duration) {
	if lived >= livedAfter {
		*l = earlyLosses{}
		return
	}
	l.row++
}

// judge turns a loss into ClassSameID. A message that the broker does not take
// also ends each connection early: with messages in flight, before the delivery
// proof is decided, or after it failed. Such a doubtful loss stays a loss, with
// a hint at both.
func (l *earlyLosses) judge(id string, doubtful bool, e *Error) {
	if l.row < sameIDAfter || e.Class != ClassLost {
		return
	}
	if doubtful {
		e.Hint = fmt.Sprintf("lost within a minute %d times in a row: either the broker does not take a message (access list? size limit?), or another client uses the client id %q", l.row, id)
		return
	}
	e.Class = ClassSameID
	e.Hint = fmt.Sprintf("another client probably uses the client id %q (a cloned machine?): give each agent its own [agent] client_id", id)
	e.Err = fmt.Errorf("thrown out within a minute of connecting, %d times in a row: %w", l.row, e.Err)
}
