// Package report says what the polls of an endpoint mean: samples, grades,
// events, calls, minutes, and the same facts in the shapes of other systems.
//
// Promise: it is pure. A poll and the device's state go in; records and a new
// state come out. There is no clock, no goroutine and no I/O in here, and a state
// that was handed in is never changed. So records and state can be committed
// together, and a kill at any instant neither doubles a record nor loses one.
// What the endpoint did not say is absent from every payload.
package report

import (
	"fmt"
	"slices"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// AgentDevice is the reserved device name of the agent's own events.
const AgentDevice = "agent"

// Settings are what a Reporter has to know; see Device for one endpoint.
type Settings struct {
	ClientID, Site, Version string
	// Epoch is the store's: it says which row of numbers seq counts in.
	Epoch int64
	// Kinds are the kinds to record ("sample", "stream", "event", "call",
	// "minute"), Views the other systems' shapes ("zoom", "agora", "volc",
	// "trtc"). The agent's own events are recorded always.
	Kinds, Views []string
	// ViewZone is where the days of the volc view begin; nil = UTC.
	ViewZone *time.Location
	// PeerKey keys the hash of peer names.
	PeerKey []byte
	Devices []Device
	// Lang is the language of the events' texts; "" = English.
	Lang health.Lang
}

// Device is one endpoint.
type Device struct {
	Name, Room string
	// PollInterval is the time between polls in a call, IdleInterval outside.
	PollInterval, IdleInterval time.Duration
	// PeerNames is "off", "hash" or "plain"; "" is "off".
	PeerNames string
	// Limits grade the device's calls; the zero value means the profile "huawei".
	Limits Profile
}

// Reporter turns polls into records. It has no state of its own and is safe for
// concurrent use.
type Reporter struct {
	set     Settings
	kinds   map[string]bool
	views   []string
	devices map[string]*device
}

// device is a Device with what does not change between polls.
type device struct {
	Device
	place payload.Place
}

// New checks the settings and makes a Reporter.
func New(s Settings) (*Reporter, error) {
	r := &Reporter{set: s, kinds: map[string]bool{}, devices: map[string]*device{}}
	for _, k := range s.Kinds {
		if !slices.Contains(payload.Kinds(), k) {
			return nil, fmt.Errorf("set up reporter: unknown kind %q, allowed are %v", k, payload.Kinds())
		}
		r.kinds[k] = true
	}
	for _, v := range s.Views {
		if !slices.Contains(Views(), v) {
			return nil, fmt.Errorf("set up reporter: unknown view %q, allowed are %v", v, Views())
		}
		if !slices.Contains(r.views, v) {
			r.views = append(r.views, v)
		}
	}
	for _, d := range s.Devices {
		if err := r.addDevice(d); err != nil {
			return nil, fmt.Errorf("set up reporter: device %q: %w", d.Name, err)
		}
	}
	r.devices[AgentDevice] = &device{
		Device: Device{Name: AgentDevice},
		place:  payload.Place{ClientID: s.ClientID, Site: s.Site, Device: AgentDevice, Epoch: s.Epoch},
	}
	return r, nil
}

func (r *Reporter) addDevice(d Device) error {
	switch {
	case d.Name == "" || d.Name == AgentDevice:
		return fmt.Errorf("the name is empty or reserved")
	case r.devices[d.Name] != nil:
		return fmt.Errorf("the name appears twice")
	case d.PollInterval <= 0 || d.IdleInterval <= 0:
		return fmt.Errorf("poll interval %v and idle interval %v must be above 0", d.PollInterval, d.IdleInterval)
	}
	switch d.PeerNames {
	case "", "off", "plain":
	case "hash":
		if len(r.set.PeerKey) == 0 {
			return fmt.Errorf("hashed peer names need a key")
		}
	default:
		return fmt.Errorf("peer names %q: allowed are off, hash, plain", d.PeerNames)
	}
	if d.Limits.Name == "" {
		d.Limits = Profiles()[0]
	}
	r.devices[d.Name] = &device{Device: d, place: payload.Place{
		ClientID: r.set.ClientID, Site: r.set.Site, Room: d.Room, Device: d.Name, Epoch: r.set.Epoch,
	}}
	return nil
}

// Poll is the outcome of one poll.
type Poll struct {
	Device string
	At     time.Time     // when the poll ended
	Boot   host.Boot     // the boot clock at that moment; the zero value = not known
	Took   time.Duration // how long it took
	Status cgi.Status    // what the endpoint said, when Err is nil
	Err    error         // a *cgi.Error as a rule
}

// Output is what became of a poll.
type Output struct {
	Records []Record
	// Sample is the payload for the retained state topic.
	Sample []byte
	// Shows is what the sample says that no [publish] state_interval may hold back:
	// endpoint state, call and grade. Two samples that say the same have the same.
	Shows string
	// Standing is how the device is over its last polls.
	Standing health.Standing
	// Interval is the device's current time between polls: PollInterval while a
	// call is open, otherwise IdleInterval.
	Interval time.Duration
}

// Record is one payload for the topic <device>/<kind>.
type Record struct {
	Device, Kind string
	Seq          uint64 // per device and kind, from 1, without holes
	TimeMs       int64  // Unix milliseconds, the payload's ts_ms
	// Fresh: sent later than this after TimeMs, the record is replayed.
	Fresh   time.Duration
	Payload []byte
}

// fresh is how long a record counts as live: 2 poll intervals, at least 2 s.
func fresh(interval time.Duration) time.Duration {
	return max(2*interval, 2*time.Second)
}

// MarkReplayed adds "replayed":1 to a payload as its last key. It uses p up.
func MarkReplayed(p []byte) []byte { return payload.MarkReplayed(p) }

// MarkUnrecorded makes a sample's payload one that no record has: with "recorded":0,
// without id and seq, but with the id of the newest one that committed, the state of its
// device in the store, knows: a store that was put back is noticed by it.
func MarkUnrecorded(p []byte, committed State) []byte {
	id, _ := ReadIdentity(p)
	return payload.MarkUnrecorded(p, committed.Last(id.Kind))
}

// Filter chooses records by device and time. The zero value chooses all.
type Filter struct {
	Device string    // "" = all devices
	Since  time.Time // records of this time or later; zero = no bound
	Until  time.Time // records before this time; zero = no bound
}

// Match reports whether a record of a device and time is chosen.
func (f Filter) Match(device string, at time.Time) bool {
	return (f.Device == "" || f.Device == device) &&
		(f.Since.IsZero() || !at.Before(f.Since)) &&
		(f.Until.IsZero() || at.Before(f.Until))
}
