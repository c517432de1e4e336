package service

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Events of the Windows Event Log that the service itself writes. Their ids, like those
// of an Alarm, are fixed: others' rules name them (docs/windows.md).
const (
	eventStarted     = 1 // information
	eventStopped     = 2 // information
	eventEnded       = 3 // information: by itself
	eventFailed      = 4 // error
	eventStoppedIll  = 5 // warning: stopped with an error
	eventStoppedLate = 6 // warning: not within StopPatience
	eventReload      = 7 // information: asked to read the config again
)

// level is that of an event.
type level int

const (
	levelInfo level = iota
	levelWarning
	levelError
)

// eventLog writes events, with an id from 1 to 1000.
type eventLog interface {
	write(id uint32, l level, text string)
}

// Alarm is something that is wrong now, for the Windows Event Log.
type Alarm struct {
	Key  string // tells it from the others
	Kind uint32 // a multiple of 100, to 900: what it is about; the id of the event that it is over
	Bad  bool   // an error (id Kind+2); else a warning (id Kind+1)
	Text string
}

// Rules of the alarms.
const (
	alarmBeat  = 30 * time.Second
	alarmLooks = 2       // beats that an alarm has to last, or to be gone, before it is written
	alarmsMost = 20      // events of one beat; the others follow with the next
	alarmText  = 2 << 10 // bytes of one event
)

// raised is an alarm that was seen.
type raised struct {
	Alarm
	here, gone int // beats in a row
	written    level
}

// alarms writes an event when something goes wrong and one when it is over. What comes
// and goes within a beat is not written.
type alarms struct {
	log  eventLog
	seen map[string]*raised
}

func (a *alarms) look(now []Alarm) {
	if a.seen == nil {
		a.seen = map[string]*raised{}
	}
	left := alarmsMost
	write := func(id uint32, l level, text string) bool {
		if left--; left < 0 {
			return false
		}
		if len(text) > alarmText {
			text = strings.ToValidUTF8(text[:alarmText], "") + "..."
		}
		a.log.write(id, l, text)
		return true
	}
	present := map[string]bool{}
	for _, one := range now {
		if present[one.Key] {
			continue // there twice: one look is one beat
		}
		present[one.Key] = true
		r := a.seen[one.Key]
		if r == nil {
			r = &raised{}
			a.seen[one.Key] = r
		}
		r.Alarm, r.here, r.gone = one, min(r.here+1, alarmLooks), 0
		id, is := one.Kind+1, levelWarning
		if one.Bad {
			id, is = one.Kind+2, levelError
		}
		if r.here == alarmLooks && r.written != is && write(id, is, one.Text) {
			r.written = is
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(a.seen), cmp.Compare[string]) {
		r := a.seen[key]
		if present[key] {
			continue
		}
		r.here, r.gone = 0, min(r.gone+1, alarmLooks)
		if r.written == levelInfo || r.gone == alarmLooks && write(r.Kind, levelInfo, fmt.Sprintf("Over: %s", r.Text)) {
			delete(a.seen, key)
		}
	}
}
