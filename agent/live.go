package main

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

const (
	liveTotal     = 6000 // samples kept in memory over all devices
	livePerDevice = 120
)

// liveSample is a committed sample and how long it counts as live.
type liveSample struct {
	device  string
	payload []byte
	at      time.Time
	fresh   time.Duration
}

// live keeps the newest samples: for the retained state topic, which shows the
// present and is never buffered, and for the local HTTP.
type live struct {
	mu      sync.Mutex
	keep    int
	recent  map[string][]liveSample
	unsent  map[string]liveSample
	changed chan struct{}
}

func newLive(devices int) *live {
	return &live{
		keep:    min(livePerDevice, max(2, liveTotal/max(devices, 1))),
		recent:  map[string][]liveSample{},
		unsent:  map[string]liveSample{},
		changed: make(chan struct{}, 1),
	}
}

// set takes the newest sample of a device.
func (l *live) set(s liveSample) {
	l.mu.Lock()
	list := append(l.recent[s.device], s)
	if over := len(list) - l.keep; over > 0 {
		list = slices.Delete(list, 0, over)
	}
	l.recent[s.device] = list
	l.unsent[s.device] = s
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// take hands out the newest unsent sample of each device that is still fresh.
func (l *live) take(now time.Time) []liveSample {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []liveSample
	for device, s := range l.unsent {
		delete(l.unsent, device)
		if now.Sub(s.at) <= max(s.fresh, 2*time.Second) {
			out = append(out, s)
		}
	}
	return out
}

// newest gives the newest sample of a device, nil before the first.
func (l *live) newest(device string) json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.recent[device]
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1].payload
}

// samples gives the samples of device at or after since, oldest first; device "" =
// all devices.
func (l *live) samples(device string, since time.Time) []json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []liveSample
	for name, list := range l.recent {
		if device != "" && device != name {
			continue
		}
		for _, s := range list {
			if !s.at.Before(since) {
				found = append(found, s)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b liveSample) int { return a.at.Compare(b.at) })
	out := make([]json.RawMessage, len(found))
	for i, s := range found {
		out[i] = s.payload
	}
	return out
}
