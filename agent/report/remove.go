package report

import (
	"errors"
	"time"

	"roomcall/agent/report/payload"
)

// deviceRemoved is the reason of what is closed because the device left the config.
const deviceRemoved = "device_removed"

// Has reports whether a device is in the settings.
func (r *Reporter) Has(name string) bool { return r.devices[name] != nil }

// Gone reports whether Remove made the state and no poll came since.
func (s State) Gone() bool { return s.d.Gone }

// Remove closes what is open of a device that has left the settings: its call, its
// incidents, its minute. The state that is left has the numbers alone, so that no id
// is used twice when the device comes back. Of its settings nothing is known any more.
func (r *Reporter) Remove(st State, name string, at time.Time) (State, []Record) {
	next := st.clone()
	t := &turn{
		r: r, at: at.UnixMilli(), d: &next.d,
		dev: &device{
			Device: Device{Name: name, PollInterval: minGap, IdleInterval: minGap, Limits: Profiles()[0]},
			place:  payload.Place{ClientID: r.set.ClientID, Site: r.set.Site, Device: name, Epoch: r.set.Epoch},
		},
		p: &Poll{Device: name, At: at, Err: errors.New(deviceRemoved)},
	}
	if t.d.Call != nil {
		t.endCall(deviceRemoved)
	}
	for _, in := range []*incident{t.d.Offline, t.d.Refused} {
		if in != nil {
			t.close(in, payload.Event{Type: "endpoint.online", Reason: deviceRemoved})
		}
	}
	if t.d.Minute != nil {
		t.addToViews(t.d.Minute) // the end of the call
		t.closeMinute()
	}
	t.emitEvents()
	return State{d: stateData{Seq: t.d.Seq, LastCallS: t.d.LastCallS, Incidents: t.d.Incidents, Gone: true}}, t.out.Records
}
