package drain

import (
	"context"
	"errors"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/publish"
)

// inflight is a record on its way.
type inflight struct {
	pos     uint64
	lane    string
	num     uint64
	receipt *publish.Receipt
}

// session is the draining over one connection.
type session struct {
	*Drainer
	conn   *publish.Conn
	flight []inflight    // oldest first
	ahead  []buffer.Item // read and not sent yet
	next   uint64        // the position sent last
	empty  bool          // the queue had nothing after next
	wake   *time.Timer
	began  time.Time
}

// run drains until the connection is lost or ctx ends; then it settles what is
// in flight within grace.
func (s *session) run(ctx, grace context.Context) {
	sign := time.NewTicker(signEvery)
	defer sign.Stop()
	s.began = time.Now()
	s.wake = time.NewTimer(0)
	s.Heartbeat.Beat()
	s.sendStates()
	defer s.wake.Stop()
	for {
		s.fill()
		select {
		case <-ctx.Done():
			s.settleAll(grace)
			return
		case <-s.conn.Lost():
			s.settle()
			return
		case <-s.head():
			if !s.settle() {
				return
			}
		case <-s.Queue.Changed():
			s.empty = false
		case <-s.Newest.Changed():
			s.sendStates()
		case <-s.proof:
			s.sendStates()
		case <-s.wake.C:
		case <-sign.C:
			s.Heartbeat.Beat()
			if time.Since(s.began) > steadyAfter {
				s.repeats.Worked("connection to broker")
			}
		}
	}
}

// head is closed when the oldest record in flight is settled.
func (s *session) head() <-chan struct{} {
	if len(s.flight) == 0 {
		return nil
	}
	return s.flight[0].receipt.Done()
}

// limit is the window: narrower while it is being found out which record makes the
// broker cut the connection.
func (s *session) limit() int { return s.suspect.limit(s.next, s.Window) }

// fill sends as many records as the window takes: one for each that was settled,
// so that the broker always has something to answer.
func (s *session) fill() {
	if !s.conn.Deliverable() || s.doubtful() {
		return
	}
	for len(s.flight) < s.limit() {
		if len(s.ahead) == 0 && !s.read() {
			return
		}
		if !s.send(s.ahead[0]) {
			s.ahead = nil
			return
		}
		s.ahead = s.ahead[1:]
	}
}

// doubtful waits with a record under suspicion until the connection has proved
// that it lives without it.
func (s *session) doubtful() bool {
	if s.suspect.count < suspectAfter {
		return false
	}
	rest := s.steady - time.Since(s.began)
	if rest <= 0 {
		return false
	}
	s.wake.Reset(rest)
	return true
}

// read gets the next records from the store, a window at a time.
func (s *session) read() bool {
	if s.empty {
		return false
	}
	items, err := s.Queue.Peek(s.next, s.limit(), peekBytes)
	if err != nil {
		s.repeats.Failed("read from store", err)
		s.wake.Reset(readRetry)
		return false
	}
	s.repeats.Worked("read from store")
	s.ahead, s.empty = items, len(items) == 0
	s.memory.read(len(items) == s.Window, s.empty)
	return !s.empty
}

// send publishes one record. It returns false when no more may follow now.
func (s *session) send(it buffer.Item) bool {
	now := time.Now()
	payload := it.Payload
	if now.Sub(it.Time) > it.Fresh {
		if wait := s.pace.take(now); wait > 0 {
			s.wake.Reset(wait)
			return false
		}
		payload = report.MarkReplayed(payload)
	}
	receipt, err := s.conn.Publish(publish.Message{Topic: s.Client.Topic(it.Lane), Payload: payload})
	var failure *publish.Error
	if errors.As(err, &failure) && failure.Class == publish.ClassMessage {
		s.setAside(it, failure)
		return false
	}
	if err != nil {
		s.wake.Reset(sendRetry) // a full window, or the connection is gone and Lost fires
		return false
	}
	s.flight = append(s.flight, inflight{it.Pos, it.Lane, it.Num, receipt})
	s.next = it.Pos
	return true
}

// setAside takes a record out of the queue that can never be sent. It waits
// until it stands first in line, so that nothing before it is passed over.
func (s *session) setAside(it buffer.Item, why error) {
	if len(s.flight) > 0 {
		return
	}
	s.quarantine(inflight{pos: it.Pos, lane: it.Lane, num: it.Num}, why.Error())
}

// settle acknowledges, in order, what the broker has confirmed. It returns
// false when the oldest was not confirmed: all that follows is kept.
func (s *session) settle() bool {
	var upto uint64
	for len(s.flight) > 0 {
		head := s.flight[0]
		select {
		case <-head.receipt.Done():
		default:
			return s.ack(upto)
		}
		if head.receipt.Err() != nil {
			s.ack(upto)
			return false
		}
		upto = head.pos
		s.suspect.settled()
		s.stats.delivered(head.lane)
		s.flight = s.flight[1:]
	}
	return s.ack(upto)
}

// ack tells the store that everything up to a position is delivered; 0 =
// nothing was.
func (s *session) ack(upto uint64) bool {
	if upto == 0 {
		return true
	}
	if err := s.Queue.Ack(upto); err != nil {
		s.repeats.Failed("acknowledge in store", err)
		return true // the records are sent again after a restart, none is lost
	}
	s.repeats.Worked("acknowledge in store")
	return true
}

// settleAll waits for what is in flight until grace ends.
func (s *session) settleAll(grace context.Context) {
	for len(s.flight) > 0 {
		select {
		case <-s.flight[0].receipt.Done():
			if !s.settle() {
				return
			}
		case <-s.conn.Lost():
			s.settle()
			return
		case <-grace.Done():
			return
		}
	}
}

// sendStates publishes the newest sample of each device to its retained topic.
// A state is never kept for later: the next sample replaces it.
func (s *session) sendStates() {
	if !s.conn.Deliverable() {
		return // with confirm echo it would be waited for in vain, before all records
	}
	for _, sample := range s.Newest.Take(time.Now()) {
		topic := s.Client.Topic(sample.Device + "/state")
		if _, err := s.conn.Publish(publish.Message{Topic: topic, Payload: sample.Payload, Retain: true}); err != nil {
			return
		}
	}
}

// pace spreads replayed records over time.
type pace struct {
	every time.Duration // between two records, 0 = no limit
	next  time.Time
}

// newPace allows perSecond records a second, 0 = no limit.
func newPace(perSecond int) pace {
	if perSecond <= 0 {
		return pace{}
	}
	return pace{every: time.Second / time.Duration(perSecond)}
}

// take allows one record and returns 0, or tells how long to wait.
func (p *pace) take(now time.Time) time.Duration {
	if p.every == 0 {
		return 0
	}
	if wait := p.next.Sub(now); wait > 0 {
		return wait
	}
	p.next = now.Add(p.every)
	return 0
}
