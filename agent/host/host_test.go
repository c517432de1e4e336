package host

import (
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/host/hosttest"
)

func TestAWaitOnPurposeIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Heartbeat
		want := func(what string, d time.Duration) {
			t.Helper()
			if got := h.Silent(); got != d {
				t.Errorf("%s: silent for %v, want %v", what, got, d)
			}
		}
		time.Sleep(time.Hour)
		want("before the first beat", 0)
		h.Beat()
		time.Sleep(time.Minute)
		want("a minute after a beat", time.Minute)
		h.Expect(24 * time.Hour)
		time.Sleep(24 * time.Hour)
		want("at the end of a wait", 0)
		time.Sleep(time.Second)
		want("a second later", time.Second)
		h.Expect(24 * time.Hour)
		h.Beat()
		time.Sleep(time.Minute)
		want("a minute after a wait that ended early", time.Minute)
	})
}

func TestAHeartbeatCountsOnTheMonotonicClock(t *testing.T) {
	for _, by := range []time.Duration{200 * 24 * time.Hour, -200 * 24 * time.Hour} {
		var h Heartbeat
		h.Beat()
		beat := hosttest.Set(h.at.Load().Add(-time.Hour), by) // the wall clock was set since
		h.at.Store(&beat)
		if s := h.Silent(); s < time.Hour || s > time.Hour+hosttest.Patience {
			t.Errorf("silent for %v after a step, want an hour", s)
		}
	}
}

func TestTheLocaleIsTheFirstOfThreeVariables(t *testing.T) {
	for _, c := range []struct{ all, messages, lang, want string }{
		{"zh_CN.UTF-8", "de_DE.UTF-8", "C", "zh_CN.UTF-8"}, {"", "zh_TW", "C", "zh_TW"}, {"", "", "en_US.UTF-8", "en_US.UTF-8"},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", c.messages)
		t.Setenv("LANG", c.lang)
		if got := Locale(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
