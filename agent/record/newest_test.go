package record

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// taken takes all that is to be sent.
func taken(l *Newest, now time.Time) (out []Sample) {
	for {
		s, ok := l.Take(now)
		if !ok {
			return out
		}
		out = append(out, s)
	}
}

func TestOnlyTheNewestStateOfADeviceIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewNewest(2)
		for i := range 3 {
			l.Set(Sample{Device: "room-1", Payload: fmt.Appendf(nil, "%d", i), At: time.Now(), Fresh: 10 * time.Second})
			time.Sleep(time.Second)
		}
		l.Set(Sample{Device: "room-2", Payload: []byte("x"), At: time.Now(), Fresh: 10 * time.Second})
		got := map[string]string{}
		for _, s := range taken(l, time.Now()) {
			got[s.Device] = string(s.Payload)
		}
		if len(got) != 2 || got["room-1"] != "2" || got["room-2"] != "x" {
			t.Errorf("states %v, want the newest of each room", got)
		}
		if again := taken(l, time.Now()); len(again) != 0 {
			t.Errorf("%d states are handed out twice", len(again))
		}
	})
}

func TestStaleStateIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
			l := NewNewest(1)
			l.Set(Sample{Device: "room-1", At: at, Fresh: c.fresh})
			if got := len(taken(l, at.Add(c.age))) == 1; got != c.sent {
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
	all, cut := l.Samples("", time.Time{}, 1000)
	if !cut || len(all) != newestPerDevice || string(all[len(all)-1]) != "999" || string(all[0]) != "880" {
		t.Errorf("%d samples from %s to %s", len(all), all[0], all[len(all)-1])
	}
	if since, cut := l.Samples("room-1", start.Add(997*time.Second), 1000); cut || len(since) != 3 {
		t.Errorf("%d samples since the 997th second, want 3; cut %v", len(since), cut)
	}
	if some, cut := l.Samples("room-1", start.Add(880*time.Second), 10); !cut || len(some) != 10 || string(some[9]) != "999" {
		t.Errorf("of the 10 newest came %d, cut %v", len(some), cut)
	}
	if _, cut := l.Samples("room-1", start.Add(879*time.Second), 1000); !cut {
		t.Error("a sample is not kept any more, and nobody says so")
	}
	if other, cut := l.Samples("room-2", time.Time{}, 1000); cut || len(other) != 0 {
		t.Errorf("%d samples of an unknown room", len(other))
	}
	if string(l.Of("room-1")) != "999" || l.Of("room-2") != nil {
		t.Error("newest is wrong")
	}
}

func TestAStateThatWasNotSentGoesBackUnlessANewerOneIsThere(t *testing.T) {
	l := NewNewest(1)
	at := time.Now()
	set := func(n int) {
		l.Set(Sample{Device: "room-1", Payload: fmt.Appendf(nil, "%d", n), At: at.Add(time.Duration(n)), Fresh: time.Hour})
	}
	set(1)
	one, _ := l.Take(at)
	l.PutBack(one)
	if got := taken(l, at); len(got) != 1 || string(got[0].Payload) != "1" {
		t.Errorf("after it was put back: %v", got)
	}
	set(2)
	l.PutBack(one)
	if got := taken(l, at); len(got) != 1 || string(got[0].Payload) != "2" {
		t.Errorf("the newer one is gone: %v", got)
	}
	l.PutBack(one) // the newer one was sent already
	if got := taken(l, at); len(got) != 0 {
		t.Errorf("an old state over a newer one: %v", got)
	}
	set(2) // recorded after all
	if both, _ := l.Samples("room-1", at, 1000); len(both) != 2 || len(taken(l, at)) != 1 {
		t.Errorf("%d samples of two polls", len(both))
	}
	newer := l.Set(Sample{Device: "room-1", At: at, Payload: []byte("old"), Fresh: time.Hour})
	if got := taken(l, at); newer || len(got) != 0 || string(l.Of("room-1")) != "2" {
		t.Errorf("an old sample became the newest: %v", got)
	}
}

func TestStatesThatShowTheSameAreSentOnlyAnIntervalApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewNewest(2)
		l.StateInterval = time.Minute
		poll := func(shows string) int {
			time.Sleep(5 * time.Second)
			l.Set(Sample{Device: "room-1", Shows: shows, At: time.Now(), Fresh: 10 * time.Second})
			return len(taken(l, time.Now()))
		}
		sent := poll("idle")
		for range 11 {
			sent += poll("idle")
		}
		if sent != 1 {
			t.Errorf("%d states within a minute", sent)
		}
		if poll("idle") != 1 {
			t.Error("after a minute no state is sent")
		}
		for _, shows := range []string{"in_call a good", "in_call a poor", "in_call b poor", "idle"} {
			if poll(shows) != 1 || poll(shows) != 0 {
				t.Errorf("%s: a change does not go out at once, and once", shows)
			}
		}
		l.Connected() // to a broker that may have nothing
		if got := len(taken(l, time.Now())); got != 1 {
			t.Errorf("%d states after a connect", got)
		}
		l.Set(Sample{Device: "room-1", Shows: "in_call", At: time.Now(), Fresh: 10 * time.Second})
		lost, _ := l.Take(time.Now())
		l.PutBack(lost) // the connection was lost before the broker confirmed it
		if got := len(taken(l, time.Now())); got != 1 {
			t.Errorf("a state that was not confirmed is sent %d times", got)
		}
		poll("in_call")
		time.Sleep(11 * time.Second) // no poll ended: what is held back is no longer the present
		if got := taken(l, time.Now().Add(time.Minute)); len(got) != 0 {
			t.Errorf("stale states are sent: %v", got)
		}
		l.Clear("room-1", func() {})
		if got := taken(l, time.Now()); len(got) != 1 || got[0].Cleared == nil {
			t.Errorf("clearing a state that is not due: %v", got)
		}
	})
}

// The bound is driven to: each of many devices has more samples than are kept.
func TestSamplesOfManyDevicesStayWithinOneBound(t *testing.T) {
	for _, devices := range []int{8, 50, 500, 1000} {
		l, start := NewNewest(devices), time.Now()
		for i := range newestPerDevice + 1 {
			for d := range devices {
				l.Set(Sample{Device: fmt.Sprintf("room-%d", d), Payload: []byte("x"), At: start.Add(time.Duration(i) * time.Second)})
			}
		}
		all, cut := l.Samples("", time.Time{}, 10*newestTotal)
		if most := max(newestTotal, 2*devices); len(all) > most || len(all) < most*9/10 || !cut {
			t.Errorf("%d devices: %d samples are kept, cut %v", devices, len(all), cut)
		}
	}
}
