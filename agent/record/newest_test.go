package record

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyTheNewestStateOfADeviceIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewNewest(2)
		for i := range 3 {
			l.Set(Sample{Device: "room-1", Payload: fmt.Appendf(nil, "%d", i), At: time.Now(), Fresh: 10 * time.Second})
			time.Sleep(time.Second)
		}
		l.Set(Sample{Device: "room-2", Payload: []byte("x"), At: time.Now(), Fresh: 10 * time.Second})
		got := map[string]string{}
		for _, s := range l.Take(time.Now()) {
			got[s.Device] = string(s.Payload)
		}
		if len(got) != 2 || got["room-1"] != "2" || got["room-2"] != "x" {
			t.Errorf("states %v, want the newest of each room", got)
		}
		if again := l.Take(time.Now()); len(again) != 0 {
			t.Errorf("%d states are handed out twice", len(again))
		}
	})
}

func TestStaleStateIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewNewest(1)
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
			l.Set(Sample{Device: "room-1", At: at, Fresh: c.fresh})
			if got := len(l.Take(at.Add(c.age))) == 1; got != c.sent {
				t.Errorf("fresh for %v, %v old: sent is %v", c.fresh, c.age, got)
			}
		}
	})
}

func TestSamplesInMemoryAreBoundedAndOrdered(t *testing.T) {
	l := NewNewest(1)
	start := time.Now()
	for i := range 1000 {
		l.Set(Sample{Device: "room-1", Payload: fmt.Appendf(nil, "%d", i), At: start.Add(time.Duration(i) * time.Second)})
	}
	all := l.Samples("", time.Time{})
	if len(all) != newestPerDevice || string(all[len(all)-1]) != "999" || string(all[0]) != "880" {
		t.Errorf("%d samples from %s to %s", len(all), all[0], all[len(all)-1])
	}
	if since := l.Samples("room-1", start.Add(997*time.Second)); len(since) != 3 {
		t.Errorf("%d samples since the 997th second, want 3", len(since))
	}
	if other := l.Samples("room-2", time.Time{}); len(other) != 0 {
		t.Errorf("%d samples of an unknown room", len(other))
	}
	if string(l.Of("room-1")) != "999" || l.Of("room-2") != nil {
		t.Error("newest is wrong")
	}
}
