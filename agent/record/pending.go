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
	// poll more may come on top of the bytes. In a small store commitShare of it is
	// the bound.
	commitShare = 16
	commitMax   = 500
	commitBytes = 4 << 20
	// suspectsMax polls and events in a row that the store rejects are not to blame
	// each: it rejects whatever it is given.
	suspectsMax = 10
)

// pending is what the store does not hold yet, each list oldest first.
type pending struct {
	polls  []report.Poll // at most pollsMax
	events []Event       // at most eventsMax
	damage []buffer.Damage
	extra  map[string][]byte // states of others

	inPolls, inEvents int // how many of the oldest are in the batch that the store works on
}

// hold keeps a poll until it is committed. It returns the oldest when that had to go.
func (p *pending) hold(poll report.Poll) (lost []report.Poll) {
	p.polls, lost = bounded(append(p.polls, poll), p.inPolls, pollsMax)
	return lost
}

// holdEvent keeps an event until it is committed. It returns the oldest when that had
// to go.
func (p *pending) holdEvent(ev Event) (lost []Event) {
	p.events, lost = bounded(append(p.events, ev), p.inEvents, eventsMax)
	return lost
}

// bounded drops the oldest beyond limit, but for the first busy ones, and returns these.
func bounded[T any](list []T, busy, limit int) (kept, lost []T) {
	to := busy + max(0, len(list)-limit)
	lost = slices.Clone(list[busy:to])
	return slices.Delete(list, busy, to), lost
}

// keep has the next commit keep a state of the recorder itself.
func (p *pending) keep(key string, blob []byte) {
	if p.extra == nil {
		p.extra = map[string][]byte{}
	}
	p.extra[key] = blob
}

func (p *pending) count() int { return len(p.polls) + len(p.events) }

// accepted drops what a committed batch held and returns its events.
func (p *pending) accepted(b *batch, extras bool) []Event {
	done := slices.Clone(p.events[:b.events])
	p.events = slices.Delete(p.events, 0, b.events)
	p.polls = slices.Delete(p.polls, 0, b.polls)
	p.damage = slices.Delete(p.damage, 0, len(b.batch.Damage))
	if extras {
		p.extra = nil
	}
	return done
}

// suspect is the only poll or event of a batch that the store rejected.
type suspect struct {
	poll  *report.Poll
	event *Event
	err   error
}

// takeFirst takes the only poll or event of a batch.
func (p *pending) takeFirst(b *batch, err error) suspect {
	if b.events > 0 {
		ev := p.events[0]
		p.events = slices.Delete(p.events, 0, 1)
		return suspect{event: &ev, err: err}
	}
	poll := p.polls[0]
	p.polls = slices.Delete(p.polls, 0, 1)
	return suspect{poll: &poll, err: err}
}

// putBack undoes takeFirst.
func (p *pending) putBack(list []suspect) {
	for _, s := range slices.Backward(list) {
		if s.event != nil {
			p.events = slices.Insert(p.events, 0, *s.event)
		} else {
			p.polls = slices.Insert(p.polls, 0, *s.poll)
		}
	}
}
