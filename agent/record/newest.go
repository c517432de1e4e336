package record

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"roomcall/agent/health"
)

const (
	newestTotal     = 256 // samples kept in memory over all devices, but two of each
	newestPerDevice = 120
)

// freshIntervals is for how many poll intervals a sample counts as the present.
const freshIntervals = 2

// Sample is what the retained state topic of a device is to show: its newest sample, or
// nothing, when the device has left the config. A sample is committed, or, while the
// store accepts nothing, marked as not recorded.
type Sample struct {
	Device  string
	Payload []byte // empty = nothing is to be shown
	Shows   string // what is sent at once when it changes, see report.Output; "" = nothing
	// Standing is how the device is over its last polls, for the local HTTP.
	Standing health.Standing
	At       time.Time
	Fresh    time.Duration // how long it counts as the present
	// Cleared is called when the broker has confirmed that nothing is shown any more;
	// nil for a sample.
	Cleared func()
}

// Newest keeps the newest samples: for the retained state topic, which shows the
// present and is never buffered, and for the local HTTP.
type Newest struct {
	// StateInterval is the least time between two states of a device that show the
	// same; 0 = each one is handed out. It is set before the first use.
	StateInterval time.Duration

	mu      sync.Mutex
	keep    int
	recent  map[string][]past    // by device, oldest first, at most keep each
	newest  map[string]Sample    // by device: the last one of recent
	dropped map[string]time.Time // by device: the newest sample that is not kept any more
	unsent  map[string]Sample    // by device: what the broker does not have yet
	sent    map[string]sent      // by device: what was handed out last
	changed chan struct{}
}

// past is what is kept of a sample when a newer one is there.
type past struct {
	at      time.Time
	payload []byte
}

// sent is what a state showed, and when it was handed out.
type sent struct {
	shows string
	at    time.Time
}

// NewNewest keeps samples of so many devices.
func NewNewest(devices int) *Newest {
	return &Newest{
		keep:    min(newestPerDevice, max(2, newestTotal/max(devices, 1))),
		recent:  map[string][]past{},
		newest:  map[string]Sample{},
		dropped: map[string]time.Time{},
		unsent:  map[string]Sample{},
		sent:    map[string]sent{},
		changed: make(chan struct{}, 1),
	}
}

// Set takes the newest sample of a device. One of the same time replaces the one that
// is there, an older one is left out, which it reports with false: the store took it
// late.
func (l *Newest) Set(s Sample) bool {
	l.mu.Lock()
	list := l.recent[s.Device]
	if n := len(list); n > 0 {
		switch age := s.At.Compare(list[n-1].at); {
		case age < 0:
			l.mu.Unlock()
			return false
		case age == 0:
			list = list[:n-1]
		}
	}
	list = append(list, past{s.At, s.Payload})
	if over := len(list) - l.keep; over > 0 {
		l.dropped[s.Device] = list[over-1].at
		list = slices.Delete(list, 0, over)
	}
	l.recent[s.Device], l.newest[s.Device] = list, s
	l.unsent[s.Device] = s
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return true
}

// Clear has the retained state of a device that has left cleared: Take hands out a
// Sample with nothing to show, again after each PutBack.
func (l *Newest) Clear(device string, cleared func()) {
	l.mu.Lock()
	l.unsent[device] = Sample{Device: device, Cleared: cleared}
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Connected makes the next state of each device go out at once: the broker may have
// lost what it kept.
func (l *Newest) Connected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.sent)
}

// Changed signals that Take has something to hand out.
func (l *Newest) Changed() <-chan struct{} { return l.changed }

// Take hands out the newest sample of a device that was not sent, is still fresh and
// due; false = there is none. One that is not due is replaced by the next poll's. What
// is not sent after all goes back with PutBack.
func (l *Newest) Take(now time.Time) (Sample, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for device, s := range l.unsent {
		last, was := l.sent[device]
		if was && s.Shows == last.shows && now.Sub(last.at) < l.StateInterval {
			continue
		}
		delete(l.unsent, device)
		if s.Cleared == nil && now.Sub(s.At) > max(s.Fresh, 2*time.Second) {
			continue
		}
		if l.StateInterval > 0 {
			l.sent[device] = sent{s.Shows, now}
		}
		return s, true
	}
	return Sample{}, false
}

// PutBack makes a sample unsent again, unless the device has a newer one.
func (l *Newest) PutBack(s Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sent, s.Device)
	if s.Cleared != nil {
		l.unsent[s.Device] = s
		return
	}
	if last, ok := l.newest[s.Device]; ok && last.At.Equal(s.At) {
		l.unsent[s.Device] = last
	}
}

// Of is the newest sample of a device, nil before the first.
func (l *Newest) Of(device string) json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest[device].Payload
}

// Standing is how a device is over its last polls, the zero value before the first.
func (l *Newest) Standing(device string) health.Standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest[device].Standing
}

// Samples are the newest samples of device at or after since, oldest first, at most max;
// device "" = all devices. cut: there were more, older ones.
func (l *Newest) Samples(device string, since time.Time, max int) (list []json.RawMessage, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []past
	for name, list := range l.recent {
		if device != "" && device != name {
			continue
		}
		if last, ok := l.dropped[name]; ok && !last.Before(since) {
			cut = true
		}
		for _, s := range list {
			if !s.at.Before(since) {
				found = append(found, s)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b past) int { return a.at.Compare(b.at) })
	if over := len(found) - max; over > 0 {
		found, cut = found[over:], true
	}
	for _, s := range found {
		list = append(list, s.payload)
	}
	return list, cut
}
