package main

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyTheNewestStateOfADeviceIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLive(2)
		for i := range 3 {
			l.set(liveSample{device: "room-1", payload: fmt.Appendf(nil, "%d", i), at: time.Now(), fresh: 10 * time.Second})
			time.Sleep(time.Second)
		}
		l.set(liveSample{device: "room-2", payload: []byte("x"), at: time.Now(), fresh: 10 * time.Second})
		got := map[string]string{}
		for _, s := range l.take(time.Now()) {
			got[s.device] = string(s.payload)
		}
		if len(got) != 2 || got["room-1"] != "2" || got["room-2"] != "x" {
			t.Errorf("states %v, want the newest of each room", got)
		}
		if again := l.take(time.Now()); len(again) != 0 {
			t.Errorf("%d states are handed out twice", len(again))
		}
	})
}

func TestStaleStateIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLive(1)
		at := time.Now()
		for _, c := range []struct {
			fresh, age time.Duration
			sent       bool
		}{
			{10 * time.Second, 9 * time.Second, true},
			{10 * time.Second, 10*time.Second + time.Millisecond, false},
			{200 * time.Millisecond, 1900 * time.Millisecond, true}, // at least 2 s
			{200 * time.Millisecond, 2001 * time.Millisecond, false},
		} {
			l.set(liveSample{device: "room-1", at: at, fresh: c.fresh})
			if got := len(l.take(at.Add(c.age))) == 1; got != c.sent {
				t.Errorf("fresh for %v, %v old: sent is %v", c.fresh, c.age, got)
			}
		}
	})
}

func TestSamplesInMemoryAreBoundedAndOrdered(t *testing.T) {
	l := newLive(1)
	start := time.Now()
	for i := range 1000 {
		l.set(liveSample{device: "room-1", payload: fmt.Appendf(nil, "%d", i), at: start.Add(time.Duration(i) * time.Second)})
	}
	all := l.samples("", time.Time{})
	if len(all) != livePerDevice || string(all[len(all)-1]) != "999" || string(all[0]) != "880" {
		t.Errorf("%d samples from %s to %s", len(all), all[0], all[len(all)-1])
	}
	if since := l.samples("room-1", start.Add(997*time.Second)); len(since) != 3 {
		t.Errorf("%d samples since the 997th second, want 3", len(since))
	}
	if other := l.samples("room-2", time.Time{}); len(other) != 0 {
		t.Errorf("%d samples of an unknown room", len(other))
	}
	if string(l.newest("room-1")) != "999" || l.newest("room-2") != nil {
		t.Error("newest is wrong")
	}
}

func TestRepeatedFailureIsLoggedOnceThenEveryFiveMinutesThenItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logText{}
		r := newRepeats(log.logger())
		bad := errors.New("no route")
		for range 11 * 60 {
			r.failed("connect", bad, "hint", "look at the cable")
			time.Sleep(time.Second)
		}
		if n := log.count("connect failed"); n != 3 {
			t.Errorf("%d lines in 11 minutes, want 3", n)
		}
		if log.count("times=301") != 1 || log.count("times=601") != 1 {
			t.Errorf("the repeats do not tell how often:\n%s", log.b.String())
		}
		r.failed("connect", errors.New("another trouble"))
		if n := log.count("connect failed"); n != 4 {
			t.Errorf("another trouble gives %d lines, want 4 in all", n)
		}
		r.failed("read", bad) // another subject
		r.worked("connect")
		r.worked("connect")
		r.worked("never failed")
		if n := log.count("works again"); n != 1 || log.count("failures=661") != 1 {
			t.Errorf("%d recovery lines, want 1 with the count:\n%s", n, log.b.String())
		}
		r.failed("connect", bad)
		if n := log.count("connect failed"); n != 5 {
			t.Error("a failure after the recovery is not told at once")
		}
	})
}

func TestPaceSpreadsReplayedRecords(t *testing.T) {
	now := time.Now()
	free := newPace(0)
	for range 1000 {
		if wait := free.take(now); wait != 0 {
			t.Fatalf("replay_rate 0 waits %v", wait)
		}
	}
	p, sent := newPace(50), 0
	for at := now; at.Before(now.Add(10 * time.Second)); {
		wait := p.take(at)
		if wait == 0 {
			sent++
			continue
		}
		at = at.Add(wait)
	}
	if sent != 500 {
		t.Errorf("%d records in 10 s at replay_rate 50, want 500", sent)
	}
}
