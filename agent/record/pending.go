package record

import (
	"slices"

	"roomcall/agent/report"
	"roomcall/buffer"
)

const (
	// pollsMax bounds the polls held in memory while the disk accepts nothing,
	// eventsMax the events.
	pollsMax  = 2000
	eventsMax = 1000
	// commitMax and commitBytes bound the polls and events of one commit; one
	// poll more may come on top of the bytes.
	commitMax   = 500
	commitBytes = 4 << 20
)

// pending is what the store does not hold yet, each list oldest first.
type pending struct {
	polls  []report.Poll // at most pollsMax
	events []Event       // at most eventsMax
	damage []buffer.Damage
	extra  map[string][]byte // states of others
}

// hold keeps a poll until it is committed. It returns how many of the oldest had
// to go.
func (p *pending) hold(poll report.Poll) (lost int) {
	p.polls, lost = bounded(append(p.polls, poll), pollsMax)
	return lost
}

// holdEvent keeps an event until it is committed. It returns how many of the
// oldest had to go.
func (p *pending) holdEvent(ev Event) (lost int) {
	p.events, lost = bounded(append(p.events, ev), eventsMax)
	return lost
}

// bounded drops the oldest beyond limit and returns how many these were.
func bounded[T any](list []T, limit int) ([]T, int) {
	over := max(0, len(list)-limit)
	return slices.Delete(list, 0, over), over
}

func (p *pending) count() int { return len(p.polls) + len(p.events) }

// accepted drops what a committed batch held and returns its events.
func (p *pending) accepted(b *batch) []Event {
	done := slices.Clone(p.events[:b.events])
	p.events = slices.Delete(p.events, 0, b.events)
	p.polls = slices.Delete(p.polls, 0, b.polls)
	p.damage = slices.Delete(p.damage, 0, len(b.batch.Damage))
	p.extra = nil
	return done
}

// dropFirst drops the only event or poll of a batch, and says what it was.
func (p *pending) dropFirst(b *batch) (what string) {
	if b.events > 0 {
		what = "event " + p.events[0].Type
		p.events = slices.Delete(p.events, 0, 1)
		return what
	}
	what = "poll of " + p.polls[0].Device
	p.polls = slices.Delete(p.polls, 0, 1)
	return what
}
