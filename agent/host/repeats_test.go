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

func TestFailuresThatTakeTurnsAreLoggedAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hosttest.Log{}
		r := NewRepeats(log.Logger())
		for n := range 10 * 60 { // 10 minutes
			r.Failed("connection", errors.New([]string{"lost", "thrown out", "silent"}[n%3]))
			time.Sleep(time.Second)
		}
		if n := log.Count("connection failed"); n != 6 {
			t.Errorf("%d lines in 10 minutes, want each kind twice", n)
		}
	})
}

func TestASubjectThatFailsAndWorksInTurnsIsNotLoggedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hosttest.Log{}
		r := NewRepeats(log.Logger())
		for range 20 * 60 { // 20 minutes
			r.Failed("connect", errors.New("refused"))
			r.Worked("connect")
			time.Sleep(time.Second)
		}
		if n := log.Count("connect failed"); n < 4 || n > 12 {
			t.Errorf("%d failures were logged in 20 minutes", n)
		}
		if n, failures := log.Count("works again"), log.Count("connect failed"); n > failures {
			t.Errorf("%d recoveries were logged, and %d failures", n, failures)
		}
		time.Sleep(time.Hour)
		before := log.Count("connect failed")
		r.Failed("connect", errors.New("refused"))
		if log.Count("connect failed") != before+1 {
			t.Error("a failure after an hour is not told at once")
		}
	})
}
