package record

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

// removedRig is a recorder that starts again and again over the states of a store.
type removedRig struct {
	store  *fakeStore
	saved  map[string][]byte
	newest *Newest
	r      *Recorder
}

func (g *removedRig) start(t *testing.T, devices ...string) {
	t.Helper()
	g.newest = NewNewest(3)
	var err error
	g.r, err = New(Options{
		Reporter: reporterFor(t, []string{"sample", "event", "call", "minute"}, devices...), Store: g.store,
		Newest: g.newest, Devices: 3, Log: slog.New(slog.DiscardHandler), Saved: maps.Clone(g.saved),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newRemovedRig(t *testing.T, devices ...string) *removedRig {
	g := &removedRig{saved: map[string][]byte{}}
	g.store = &fakeStore{appendHook: func(b buffer.Batch) error {
		for key, blob := range b.State {
			if blob == nil {
				delete(g.saved, key)
			} else {
				g.saved[key] = blob
			}
		}
		return nil
	}}
	g.start(t, devices...)
	return g
}

func (g *removedRig) poll(t *testing.T, device string, st cgi.Status, err error) {
	t.Helper()
	g.r.hold(&report.Poll{Device: device, At: time.Now(), Status: st, Err: err})
	if !g.r.commit(time.Now()) {
		t.Fatal("not accepted")
	}
}

// cleared takes what is to be cleared, and confirms it when the broker is there.
func (g *removedRig) cleared(broker bool) (devices []string) {
	for {
		s, ok := g.newest.Take(time.Now())
		if !ok {
			slices.Sort(devices)
			return devices
		}
		if s.Cleared == nil {
			continue
		}
		devices = append(devices, s.Device)
		if len(s.Payload) > 0 {
			devices = append(devices, "not empty")
		}
		if broker {
			s.Cleared()
		}
	}
}

func TestADeviceThatLeftIsClosedAndItsStateCleared(t *testing.T) {
	g := newRemovedRig(t, "room-1", "room-2", "room-3")
	g.poll(t, "room-1", activeStatus, nil)
	g.poll(t, "room-2", idleStatus, nil)
	g.poll(t, "room-3", activeStatus, nil)

	g.start(t, "room-3", "room-4") // room-1 is removed in a call, room-2 renamed
	g.poll(t, "room-3", activeStatus, nil)
	if n := len(g.store.lane("room-1/call")); n != 1 {
		t.Errorf("%d calls of the device that left", n)
	}
	if got := fmt.Sprint(g.cleared(false)); got != "[room-1 room-2]" { // the broker is away
		t.Errorf("to be cleared: %s", got)
	}
	records := len(g.store.records())
	g.start(t, "room-3", "room-4")
	if !g.r.commit(time.Now()) || len(g.store.lane("room-1/call")) != 1 || len(g.store.records()) != records {
		t.Error("closed again with the next start")
	}
	if got := fmt.Sprint(g.cleared(true)); got != "[room-1 room-2]" {
		t.Errorf("with the next start: %s", got)
	}
	if !g.r.commit(time.Now()) || g.saved[leftKey] != nil {
		t.Errorf("still to be cleared: %s", g.saved[leftKey])
	}
	g.start(t, "room-3", "room-4")
	if got := g.cleared(true); len(got) != 0 {
		t.Errorf("cleared again: %v", got)
	}

	g.start(t, "room-1", "room-3") // it comes back
	g.poll(t, "room-1", activeStatus, nil)
	for _, kind := range []string{"sample", "event", "call"} {
		numbered(t, g.store.lane("room-1/"+kind))
	}
}

func TestADeviceThatComesBackBeforeItIsClearedIsNotCleared(t *testing.T) {
	g := newRemovedRig(t, "room-1", "room-2")
	g.poll(t, "room-1", idleStatus, nil)
	g.start(t, "room-2")
	g.poll(t, "room-2", idleStatus, nil)
	g.start(t, "room-1", "room-2")
	if got := g.cleared(true); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if !g.r.commit(time.Now()) || g.saved[leftKey] != nil {
		t.Errorf("still to be cleared: %s", g.saved[leftKey])
	}
}

func TestManyDevicesThatLeaveAreClosedInPortions(t *testing.T) {
	var names []string
	for i := range unclearedMax + 100 {
		names = append(names, fmt.Sprintf("old-%04d", i))
	}
	g := newRemovedRig(t, names...)
	for _, name := range names {
		g.r.hold(&report.Poll{Device: name, At: time.Now(), Err: &cgi.Error{Kind: cgi.KindRefused, Reason: "x"}})
	}
	if !g.r.commit(time.Now()) {
		t.Fatal("not accepted")
	}
	g.start(t, "room-1")
	fails := true
	keep := g.store.appendHook
	g.store.appendHook = func(b buffer.Batch) error {
		gone := 0
		for key := range b.State {
			if key[0] != '.' && key != report.AgentDevice {
				gone++
			}
		}
		if gone > leaveMax {
			t.Errorf("%d devices in one commit", gone)
		}
		if fails = !fails; !fails {
			return errors.New("disk")
		}
		return keep(b)
	}
	for range 2*len(names)/leaveMax + 4 {
		g.r.commit(time.Now())
	}
	if n := len(g.r.removed.leaving); n != 0 {
		t.Errorf("%d are not closed", n)
	}
	for _, name := range names {
		if got := g.store.lane(name + "/event"); len(got) != 2 || fields(t, got[1].Payload)["reason"] != "device_removed" {
			t.Fatalf("%s: %d events", name, len(got))
		}
	}
	if n := len(g.r.removed.uncleared); n != unclearedMax {
		t.Errorf("%d are remembered, want %d", n, unclearedMax)
	}
}

// TestDevicesThatLeftAreForgottenWithTheirEpoch: their numbers are kept up to a bound, and
// none of their ids is used twice.
func TestDevicesThatLeftAreForgottenWithTheirEpoch(t *testing.T) {
	for name, c := range map[string]struct{ maxBytes, bound int }{
		"default store": {0, goneMax}, "small store": {1 << 20, 1 << 20 / goneShare},
	} {
		t.Run(name, func(t *testing.T) {
			small := func(o *Options) { o.MaxBytes = int64(c.maxBytes) }
			p := open(t, filepath.Join(t.TempDir(), "data"), small)
			p.poll(2, time.Now())
			blob := fmt.Appendf(nil, `{"v":2,"gone":true,"seq":{"sample":1%s}}`, strings.Repeat("0", 15))
			states, bytes := map[string][]byte{}, 0
			for i := 0; bytes <= c.bound; i++ {
				device := fmt.Sprintf("old-%05d", i)
				states[device] = blob
				bytes += len(device) + len(blob)
			}
			last := "old-00000"
			delete(states, last) // for now
			for _, more := range []map[string][]byte{states, {last: blob}} {
				was := p.q.Epoch()
				if err := p.q.Append(buffer.Batch{State: more}); err != nil {
					t.Fatal(err)
				}
				p.close()
				p = open(t, p.dir, small)
				p.poll(1, time.Now())
				begun, over := p.q.Epoch() > was, more[last] != nil
				if n := len(p.q.State()); begun != over || over && n > 10 || !over && n < len(states) {
					t.Fatalf("beyond the bound: %v, a new epoch: %v, %d states", over, begun, n)
				}
			}
			p.close()
		})
	}
}
