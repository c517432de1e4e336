package host

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/host/hosttest"
)

func TestRepeatedFailureIsLoggedOnceThenEveryFiveMinutesThenItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hosttest.Log{}
		r := NewRepeats(log.Logger())
		bad := errors.New("no route")
		for range 11 * 60 {
			r.Failed("connect", bad, "hint", "look at the cable")
			time.Sleep(time.Second)
		}
		if n := log.Count("connect failed"); n != 3 {
			t.Errorf("%d lines in 11 minutes, want 3", n)
		}
		if log.Count("times=301") != 1 || log.Count("times=601") != 1 {
			t.Errorf("the repeats do not tell how often:\n%s", log.String())
		}
		r.Failed("connect", errors.New("another trouble"))
		if n := log.Count("connect failed"); n != 4 {
			t.Errorf("another trouble gives %d lines, want 4 in all", n)
		}
		r.Failed("read", bad) // another subject
		r.Worked("connect")
		r.Worked("connect")
		r.Worked("never failed")
		if n := log.Count("works again"); n != 1 || log.Count("failures=661") != 1 {
			t.Errorf("%d recovery lines, want 1 with the count:\n%s", n, log.String())
		}
		r.Failed("connect", bad)
		if n := log.Count("connect failed"); n != 5 {
			t.Error("a failure after the recovery is not told at once")
		}
	})
}
