package record

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

const (
	// pollsMax bounds the polls held in memory while the disk accepts nothing,
	// eventsMax the events.
	pollsMax  = 2000
	eventsMax = 1000
	// commitMax and commitBytes bound the polls and events of one commit; one
	// poll more may come on top of the bytes. In a small store commitShare of it is
	// the bound.
	commitShare = 16
	commitMax   = 500
	commitBytes = 4 << 20
)

// Event is an event of the agent itself and when it happened.
type Event struct {
	report.AgentEvent
	At time.Time
	// Done is called once: when the event is on disk, or, with false, when it never
	// will be. It must not wait. nil = nobody asks.
	Done func(onDisk bool)
}

func (ev *Event) done(onDisk bool) {
	if ev.Done != nil {
		ev.Done(onDisk)
	}
}

// pending is what the store does not hold yet, each list oldest first.
type pending struct {
	polls  []*report.Poll // at most pollsMax
	events []Event        // at most eventsMax
	since  time.Time      // when the first of them came
	damage []buffer.Damage
	states map[string][]byte // beside the devices': the recorder's own and its owner's; nil removes one

	inPolls, inEvents int // how many of the oldest are in the batch that the store works on
}

// hold keeps a poll until it is committed. It returns the oldest when that had to go.
func (p *pending) hold(poll *report.Poll) (gone []*report.Poll) {
	p.began()
	p.polls, gone = bounded(append(p.polls, poll), p.inPolls, pollsMax)
	return gone
}

// holdEvent keeps an event until it is committed. It returns the oldest when that had
// to go.
func (p *pending) holdEvent(ev Event) (gone []Event) {
	p.began()
	p.events, gone = bounded(append(p.events, ev), p.inEvents, eventsMax)
	return gone
}

func (p *pending) began() {
	if p.count() == 0 {
		p.since = time.Now()
	}
}

// bounded drops the oldest beyond limit, but for the first busy ones, and returns these.
func bounded[T any](list []T, busy, limit int) (kept, gone []T) {
	to := busy + max(0, len(list)-limit)
	gone = slices.Clone(list[busy:to])
	return slices.Delete(list, busy, to), gone
}

// keep has the next commit keep a state that is no device's.
func (p *pending) keep(key string, blob []byte) {
	if p.states == nil {
		p.states = map[string][]byte{}
	}
	p.states[key] = blob
}

func (p *pending) count() int { return len(p.polls) + len(p.events) }

// accepted drops what a committed batch held and returns its events.
func (p *pending) accepted(b *batch, extras bool) []Event {
	done := slices.Clone(p.events[:b.events])
	p.events = slices.Delete(p.events, 0, b.events)
	p.polls = slices.Delete(p.polls, 0, b.polls)
	p.damage = slices.Delete(p.damage, 0, len(b.out.Damage))
	if extras {
		p.kept(b.out.State)
	}
	return done
}

// kept drops the states that a commit has kept, but none that changed meanwhile.
func (p *pending) kept(states map[string][]byte) {
	maps.DeleteFunc(p.states, func(key string, blob []byte) bool {
		saved, there := states[key]
		return there && bytes.Equal(saved, blob)
	})
}
