package soak

import (
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

// rooms is a simulated endpoint on loopback whose call the test switches on and off;
// it notes when.
type rooms struct {
	t        testing.TB
	url      string
	endpoint *cgitest.Endpoint
	mu       sync.Mutex
	switches []callSwitch
}

type callSwitch struct {
	at     time.Time
	inCall bool
}

// newRooms starts in a call.
func newRooms(t testing.TB) *rooms {
	t.Helper()
	e, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting"})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	r := &rooms{t: t, url: srv.URL, endpoint: e}
	r.switches = []callSwitch{{time.Now(), true}}
	return r
}

// toggle ends the call, or begins another one.
func (r *rooms) toggle() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	next := callSwitch{time.Now(), !r.switches[len(r.switches)-1].inCall}
	name := "idle"
	if next.inCall {
		name = "quiet-meeting"
	}
	if err := r.endpoint.SetScenario(name); err != nil {
		r.t.Fatal(err)
	}
	r.switches = append(r.switches, callSwitch{time.Now(), next.inCall})
}

// slack is how much earlier than its timestamp a poll's answer may have left the
// endpoint: the poll's timeout and the clock's resolution of a millisecond.
const slack = 2*time.Second + 10*time.Millisecond

// could reports whether a sample of this time may report this state of the call.
func (r *rooms) could(tsMs int64, inCall bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ts := time.UnixMilli(tsMs)
	for i, s := range r.switches {
		last := i+1 == len(r.switches)
		if s.inCall == inCall && s.at.Before(ts.Add(10*time.Millisecond)) && (last || r.switches[i+1].at.After(ts.Add(-slack))) {
			return true
		}
	}
	return false
}
