package record

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/report"
)

// Why a poll, or an event of the agent, was never accepted.
const (
	missedBusy     = "store_busy"     // the store did not return, and the way to it was full
	missedFailing  = "store_failing"  // the store accepted nothing for longer than memory holds
	missedRejected = "store_rejected" // the store can never accept it
	missedStopped  = "stopped"        // the agent stopped while the store accepted nothing
)

// Missed counts the polls of a device that were thrown away before they had a number,
// for one reason, since the start of this process. Device "agent" stands for the
// agent's own events.
type Missed struct {
	Device, Reason string
	Count          uint64
	Last           time.Time // when the newest of them was made
}

type missedKey struct{ device, reason string }

// missed is one growing entry a device and reason.
type missed struct {
	total  uint64
	last   time.Time
	unsaid uint64    // not announced yet
	since  time.Time // of the first one not announced
	said   time.Time // when it was announced last
}

// Unsaid is what a recorder has missed and, in part, could not announce before it ended.
type Unsaid struct{ missed map[missedKey]*missed }

// Unsaid is for the next recorder of this process, when Run has ended.
func (r *Recorder) Unsaid() Unsaid { return Unsaid{r.missed} }

// miss notes that a poll of a device, or an event of the agent, is never accepted.
func (r *Recorder) miss(device, reason string, at time.Time) {
	r.mu.Lock()
	k := missedKey{device, reason}
	m := r.missed[k]
	if m == nil {
		m = &missed{}
		r.missed[k] = m
	}
	if m.unsaid == 0 {
		m.since = at
	}
	m.total, m.unsaid, m.last = m.total+1, m.unsaid+1, at
	r.mu.Unlock()
	r.repeats.Failed("record polls", errors.New(health.English.Why(reason)), "device", device)
}

// missedList has what was missed, by device and reason. Under mu.
func (r *Recorder) missedList() []Missed {
	out := make([]Missed, 0, len(r.missed))
	for _, k := range r.missedKeys() {
		m := r.missed[k]
		out = append(out, Missed{k.device, k.reason, m.total, m.last})
	}
	return out
}

func (r *Recorder) missedKeys() []missedKey {
	return slices.SortedFunc(maps.Keys(r.missed), func(a, b missedKey) int {
		return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.reason, b.reason))
	})
}

// missedNote is an announcement of what was missed.
type missedNote struct {
	missedKey
	count uint64
	since time.Time
}

// unsaidMissed is what has to be announced, at most announceMax of it.
func (r *Recorder) unsaidMissed(now time.Time) (notes []missedNote) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.missedKeys() {
		m := r.missed[k]
		if m.unsaid > 0 && (m.said.IsZero() || now.Sub(m.said) >= announceEvery) && len(notes) < announceMax {
			notes = append(notes, missedNote{k, m.unsaid, m.since})
		}
	}
	return notes
}

// saidMissed notes that announcements are on disk.
func (r *Recorder) saidMissed(notes []missedNote, now time.Time) {
	if len(notes) == 0 {
		return
	}
	r.mu.Lock()
	left := false
	for _, n := range notes {
		m := r.missed[n.missedKey]
		m.unsaid -= n.count
		m.said, m.since = now, now
	}
	for _, m := range r.missed {
		left = left || m.unsaid > 0
	}
	r.mu.Unlock()
	if !left {
		r.repeats.Worked("record polls")
	}
}

// namesMax bounds the devices that a line of the log names.
const namesMax = 20

// logUnsaid names in the log what a stop leaves unannounced, a line a reason.
func (r *Recorder) logUnsaid() {
	r.mu.Lock()
	defer r.mu.Unlock()
	type loss struct {
		count   uint64
		since   time.Time
		devices []string
	}
	by := map[string]*loss{}
	for _, k := range r.missedKeys() {
		m := r.missed[k]
		if m.unsaid == 0 {
			continue
		}
		l := by[k.reason]
		if l == nil {
			l = &loss{since: m.since}
			by[k.reason] = l
		}
		l.count += m.unsaid
		l.devices = append(l.devices, k.device)
		if m.since.Before(l.since) {
			l.since = m.since
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		l := by[reason]
		r.log.Error("polls and events in memory are lost and could not be announced", "count", l.count, "reason", reason,
			"since", l.since.UTC().Format(time.RFC3339), "devices", len(l.devices),
			"names", strings.Join(l.devices[:min(len(l.devices), namesMax)], ","))
	}
}

// missedEvent announces polls of a device that were never accepted.
func missedEvent(at time.Time, n missedNote) Event {
	return Event{AgentEvent: report.AgentEvent{
		Type: "agent.missed", Device: n.device, Count: n.count, Since: n.since, Reason: n.reason,
	}, At: at}
}
