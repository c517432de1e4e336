package report

import (
	"errors"
	"math"
	"time"

	"roomcall/agent/report/payload"
)

// Reasons of what is closed although nobody saw its end.
const (
	deviceRemoved = "device_removed" // the device left the config
	storeReset    = "store_reset"    // a new epoch of the store began
)

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
	t.closeOpen(deviceRemoved)
	if t.d.Minute != nil {
		t.addToViews(t.d.Minute) // the end of the call
		t.closeMinute()
	}
	t.emitEvents()
	return State{d: stateData{Seq: t.d.Seq, LastCallS: t.d.LastCallS, Incidents: t.d.Incidents, Gone: true}}, t.out.Records
}

// closeOpen closes the call and the incidents.
func (t *turn) closeOpen(reason string) {
	if t.d.Call != nil {
		t.endCall(reason)
	}
	for _, in := range t.d.ofEndpoint() {
		if *in != nil {
			t.online(*in, reason)
			*in = nil
		}
	}
}

// ofEndpoint are the places of the incidents that endpoint.online closes.
func (d *stateData) ofEndpoint() []**incident {
	return []**incident{&d.Offline, &d.Refused, &d.Stuck, &d.ClockOff}
}

// Carry is the state of a device when a new epoch of the store begins after another one:
// numbers start again, and what is open keeps its ids until the next poll closes it.
// False = nothing is open, and the new epoch begins with the zero State.
func (r *Reporter) Carry(st State, name string, epoch int64) (State, bool) {
	was := st.clone().d
	next := stateData{Over: true, Call: was.Call}
	open := next.Call != nil
	for i, in := range was.ofEndpoint() {
		*next.ofEndpoint()[i] = *in
		open = open || *in != nil
	}
	if next.Call != nil {
		t := &turn{r: r.WithEpoch(epoch), d: &was, dev: &device{Device: Device{Name: name}}}
		next.Call.ID = t.callID()
		next.Quality, next.Poor = was.Quality, was.Poor
	}
	return State{d: next}, open
}

// renameOpen renames what is open; opened is the time of the poll that opened a call, and
// before all times for an incident, which no record but its events names.
func (d *stateData) renameOpen(rename func(id string, opened int64) string) {
	if d.Call != nil && d.Call.ID != "" {
		d.Call.ID = rename(d.Call.ID, d.Call.OpenMs)
	}
	for _, in := range d.ofEndpoint() {
		if *in != nil {
			(*in).ID = rename((*in).ID, math.MinInt64)
		}
	}
	if d.Poor != nil {
		d.Poor.ID = rename(d.Poor.ID, math.MinInt64)
	}
	for i, m := range d.Quality {
		if m.Open != nil {
			m.Open = copyOf(m.Open)
			m.Open.ID = rename(m.Open.ID, math.MinInt64)
			d.Quality[i] = m
		}
	}
}
