package record

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

const (
	newestTotal     = 6000 // samples kept in memory over all devices
	newestPerDevice = 120
)

// Sample is a committed sample.
type Sample struct {
	Device  string
	Payload []byte
	At      time.Time
	Fresh   time.Duration // how long it counts as the present
}

// Newest keeps the newest samples: for the retained state topic, which shows the
// present and is never buffered, and for the local HTTP.
type Newest struct {
	mu      sync.Mutex
	keep    int
	recent  map[string][]Sample
	unsent  map[string]Sample
	changed chan struct{}
}

// NewNewest keeps samples of so many devices.
func NewNewest(devices int) *Newest {
	return &Newest{
		keep:    min(newestPerDevice, max(2, newestTotal/max(devices, 1))),
		recent:  map[string][]Sample{},
		unsent:  map[string]Sample{},
		changed: make(chan struct{}, 1),
	}
}

// Set takes the newest sample of a device.
func (l *Newest) Set(s Sample) {
	l.mu.Lock()
	list := append(l.recent[s.Device], s)
	if over := len(list) - l.keep; over > 0 {
		list = slices.Delete(list, 0, over)
	}
	l.recent[s.Device] = list
	l.unsent[s.Device] = s
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Changed signals that Take has something to hand out.
func (l *Newest) Changed() <-chan struct{} { return l.changed }

// Take hands out the newest unsent sample of each device that is still fresh.
func (l *Newest) Take(now time.Time) []Sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Sample
	for device, s := range l.unsent {
		delete(l.unsent, device)
		if now.Sub(s.At) <= max(s.Fresh, 2*time.Second) {
			out = append(out, s)
		}
	}
	return out
}

// Of is the newest sample of a device, nil before the first.
func (l *Newest) Of(device string) json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.recent[device]
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1].Payload
}

// Samples are the samples of device at or after since, oldest first; device "" =
// all devices.
func (l *Newest) Samples(device string, since time.Time) []json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []Sample
	for name, list := range l.recent {
		if device != "" && device != name {
			continue
		}
		for _, s := range list {
			if !s.At.Before(since) {
				found = append(found, s)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Sample) int { return a.At.Compare(b.At) })
	out := make([]json.RawMessage, len(found))
	for i, s := range found {
		out[i] = s.Payload
	}
	return out
}
