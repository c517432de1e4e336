package record

import (
	"slices"

	"roomcall/agent/report"
)

// search finds the poll or event that makes the store reject a batch, because its
// records or states are too large. Such a batch can never be accepted. A search lasts
// as long as one Recorder.commit. Its rules:
//
//   - After a rejected batch the polls and events go alone, without what else a commit
//     brings (extras), and half as many, until one that goes alone is rejected too.
//   - That one is a suspect: it is taken out, and the next ones are tried.
//   - Suspects are culprits as soon as the store has accepted a batch in the same
//     commit, before them or after: it is they that it rejects. They are left out.
//   - If it accepts none, or rejects suspectsMax in a row, it is the store that rejects
//     whatever it is given: the suspects go back to their places, and all waits.
//   - After an accepted batch the next may be twice as large, and when batches have
//     their full size again, or all is tried, the extras come back.
type search struct {
	pending *pending

	limit  int  // polls and events of the next batch
	extras bool // whether the next batch has them

	works    bool // the store accepted a batch
	suspects []suspect
}

// suspectsMax bounds the suspects: after so many in a row it is the store.
const suspectsMax = 10

// suspect is a poll or an event that the store rejected alone.
type suspect struct {
	poll  *report.Poll
	event *Event
	err   error
}

// accepted notes that the store accepted a batch.
func (s *search) accepted() {
	s.works = true
	s.limit = min(2*s.limit, commitMax)
	s.extras = s.extras || s.limit == commitMax
}

// rejected notes that the store rejected b. It returns false when there is nothing
// left to try.
func (s *search) rejected(b *batch, err error) bool {
	switch items := b.items(); {
	case items > 1:
		s.limit, s.extras = items/2, false
	case items == 1 && s.extras:
		s.extras = false
	case items == 1:
		s.suspects = append(s.suspects, s.pending.takeFirst(b, err))
		return s.works || len(s.suspects) < suspectsMax
	default:
		return false
	}
	return true
}

// culprits are the suspects that are to blame; they are the caller's from now on.
func (s *search) culprits() (found []suspect) {
	if s.works {
		found, s.suspects = s.suspects, nil
	}
	return found
}

// putBack puts the suspects back to their places and returns why the first was
// rejected; nil = there are none.
func (s *search) putBack() (err error) {
	for _, one := range slices.Backward(s.suspects) {
		err = one.err
		if one.event != nil {
			s.pending.events = slices.Insert(s.pending.events, 0, *one.event)
		} else {
			s.pending.polls = slices.Insert(s.pending.polls, 0, one.poll)
		}
	}
	s.suspects = nil
	return err
}

// takeFirst takes the only poll or event of a batch out.
func (p *pending) takeFirst(b *batch, err error) suspect {
	if b.events > 0 {
		ev := p.events[0]
		p.events = slices.Delete(p.events, 0, 1)
		return suspect{event: &ev, err: err}
	}
	poll := p.polls[0]
	p.polls = slices.Delete(p.polls, 0, 1)
	return suspect{poll: poll, err: err}
}
