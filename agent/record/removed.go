package record

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"roomcall/agent/report"
)

// leftKey is the key of removed.uncleared among the store's states; no device can have
// this name.
const leftKey = ".left"

const (
	// leaveMax bounds the devices that are closed in one commit.
	leaveMax = 20
	// goneMax bounds, in bytes, what is kept of the numbers of devices that have left,
	// some 300 bytes each; in a small store goneShare of it is the bound. Beyond it a new
	// epoch begins, which needs none of them: so no id is used twice if they come back.
	goneMax   = 1 << 20
	goneShare = 32
	// unclearedMax bounds the devices that are remembered until the broker has their
	// retained state cleared, the newest first.
	unclearedMax = 1000
)

// removed are the devices that have left the config. What is open of them is closed
// with the next commits; their retained states are cleared as soon as there is a
// broker, in this run or a later one.
type removed struct {
	leaving   []string // to be closed
	uncleared []string // as the store has it
	toAdd     []string // to be added to that
	cleared   []string // to be taken from it; guarded by Recorder.mu
}

// findRemoved looks which of the saved states are of devices that have left, and returns
// how many bytes those have of which nothing but the numbers is left.
func (r *Recorder) findRemoved(saved map[string][]byte) (gone int64) {
	for _, device := range slices.Sorted(maps.Keys(r.committed.states)) {
		switch {
		case device == report.AgentDevice, r.reporter.Has(device):
			continue
		case r.committed.states[device].Gone():
			gone += int64(len(device) + len(saved[device]))
			continue
		}
		r.removed.leaving = append(r.removed.leaving, device)
		r.log.Info("device left the config: its call and incidents are closed, its retained state is cleared", "device", device)
	}
	r.removed.toAdd = slices.Clone(r.removed.leaving)
	for _, device := range r.removed.next(nil) {
		if r.reporter.Has(device) { // it came back
			r.removed.cleared = append(r.removed.cleared, device)
		} else {
			r.newest.Clear(device, func() {
				r.mu.Lock()
				r.removed.cleared = append(r.removed.cleared, device)
				r.mu.Unlock()
			})
		}
	}
	return gone
}

// next is the list of uncleared devices without those that are cleared.
func (d *removed) next(cleared []string) []string {
	names := slices.Clone(d.uncleared)
	for _, device := range d.toAdd {
		if !slices.Contains(names, device) {
			names = append(names, device)
		}
	}
	names = slices.DeleteFunc(names, func(device string) bool { return slices.Contains(cleared, device) })
	return names[max(0, len(names)-unclearedMax):]
}

// leave puts into a batch what closes a portion of the devices that have left, and the
// list of those whose retained state is still there.
func (r *Recorder) leave(b *batch, now time.Time) (err error) {
	for _, device := range r.removed.leaving[:min(len(r.removed.leaving), leaveMax)] {
		if b.bytes >= r.commitBytes {
			break
		}
		st, records := r.reporter.Remove(b.state(device), device, now)
		b.set(device, st, records)
	}
	r.mu.Lock()
	names := r.removed.next(r.removed.cleared)
	r.mu.Unlock()
	if slices.Equal(names, r.removed.uncleared) {
		return nil
	}
	b.uncleared, b.unclearedChanged = names, true
	b.out.State[leftKey] = nil // removes it
	if len(names) > 0 {
		b.out.State[leftKey], err = json.Marshal(names)
	}
	return err
}

// left takes note of what a batch committed.
func (r *Recorder) left(b *batch) {
	gone := func(device string) bool { return r.committed.states[device].Gone() }
	r.removed.leaving = slices.DeleteFunc(r.removed.leaving, gone)
	if b.unclearedChanged {
		r.removed.uncleared = b.uncleared
	}
}
