// Package drain brings the store's records to the broker.
//
// Promise: oldest first, in order on each topic, and a record counts as delivered
// only on the broker's positive acknowledgement; a timeout, a stop and a lost connection
// all mean "keep".
//
//	buffer   ...│ acknowledged │ in flight, oldest first │ read ahead │ not read yet ...
//	            └─ cursor      └─ at most flow.limit ─▶ sent                 ──▶ newer
//
// The newest sample of each device goes beside the queue to its retained state topic.
package drain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/publish"
)

const (
	// peekBytes bounds the payload bytes read from the store at one time.
	peekBytes = 1 << 20
	// beatEvery is the longest time between two heartbeats.
	beatEvery = 10 * time.Second
	// recoveredAfter is how long a connection lives before it counts as recovered.
	recoveredAfter = time.Minute
	// sendRetry is the pause after the connection accepted no more.
	sendRetry = 100 * time.Millisecond
	// readRetry is the pause after the store could not be read, or could not
	// quarantine a record.
	readRetry = 5 * time.Second
	// proofLogEvery is the least time between two lines about the same proof.
	proofLogEvery = 5 * time.Minute
	// statesMax bounds the states in flight beside the records; the connection has
	// room for them behind a full window.
	statesMax = 150
)

// Queue is what the drain needs of the store. Positions rise from record to record.
type Queue interface {
	Peek(after uint64, maxItems, maxBytes int) ([]buffer.Item, error)
	Ack(upto uint64) error
	Quarantine(pos uint64, reason string) error
	Changed() <-chan struct{} // signals that Peek has more
}

// Broker makes connections; Client is the real one.
type Broker interface {
	Connect(ctx context.Context) (Conn, error)
	Backoff() time.Duration // the pause before the next connection
	Topic(suffix string) string
	Status() publish.Status
}

// Conn is one connection, from Connect to its loss or Close; see publish.Conn.
type Conn interface {
	Publish(publish.Message) (Receipt, error)
	Deliverable() bool                       // records may be sent
	WaitProof(context.Context) publish.Proof // until it is decided whether they may
	Lost() <-chan struct{}
	Err() error // why it was lost
	Close(context.Context) error
}

// Receipt is done when the broker has confirmed a message (Err is nil) or never
// will.
type Receipt interface {
	Done() <-chan struct{}
	Err() error
}

// Client is a publish.Client as a Broker.
type Client struct{ *publish.Client }

// Connect is publish.Client.Connect.
func (c Client) Connect(ctx context.Context) (Conn, error) {
	conn, err := c.Client.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return clientConn{conn}, nil
}

type clientConn struct{ *publish.Conn }

func (c clientConn) Publish(m publish.Message) (Receipt, error) {
	receipt, err := c.Conn.Publish(m)
	if err != nil {
		return nil, err
	}
	return receipt, nil
}

// Options are what a drainer works with.
type Options struct {
	Queue      Queue
	Newest     *record.Newest
	Window     int // records in flight at most
	ReplayRate int // records a second at most while catching up, 0 = no limit
	Announce   func(record.Event) bool
	Ended      func(error) // called when a connection has ended, with the reason; nil = nobody asks
	Log        *slog.Logger
	Retry      <-chan struct{} // ends a pause before the next connection; nil = never
}

// Drainer is the loop from the store to the broker. Proof, Connected, Conn and Stats
// are safe for concurrent use; the rest belongs to Run alone.
type Drainer struct {
	Options
	Broker    Broker         // set between New and Run, because it needs Proof
	Heartbeat host.Heartbeat // of Run

	flow        flow
	proofChange chan struct{} // signals a change of the delivery proof
	announced   chan struct{} // signals what became of the announcement of a quarantine
	repeats     *host.Repeats

	mu           sync.Mutex
	conn         Conn // the connection of the moment, nil = none
	stats        Stats
	proofLogged  time.Time          // when the log had a line of it
	proof        publish.ProofState // the last that was decided, and announced if it had to be
	quarantining quarantining
}

// New makes a drainer; nothing runs yet. The broker's OnProof must call Proof.
func New(o Options) *Drainer {
	return &Drainer{
		Options:     o,
		flow:        flow{window: o.Window, rate: newRateLimit(o.ReplayRate), steady: steadyFor},
		proofChange: make(chan struct{}, 1),
		announced:   make(chan struct{}, 1),
		repeats:     host.NewRepeats(o.Log),
		stats:       Stats{AckedByKind: map[string]uint64{}},
	}
}

// Connected tells whether a broker accepts records now.
func (d *Drainer) Connected() bool { return d.Broker.Status().State == publish.Connected }

// Conn is the connection of the moment, nil = none.
func (d *Drainer) Conn() Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn
}

func (d *Drainer) setConn(c Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = c
}

// Stats is what the broker confirmed since the start of this run (a reload begins another one).
type Stats struct {
	Acked       uint64
	AckedByKind map[string]uint64
}

// Stats is a snapshot.
func (d *Drainer) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Stats{Acked: d.stats.Acked, AckedByKind: maps.Clone(d.stats.AckedByKind)}
}

// Run connects, drains and connects again until ctx ends. grace bounds what is
// done after that: wait for what is in flight, publish "offline", disconnect.
func (d *Drainer) Run(ctx context.Context, grace context.Context) {
	defer d.finishQuarantine() // what was announced while the agent stopped
	for ctx.Err() == nil {
		d.Heartbeat.Beat()
		conn, err := d.Broker.Connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.repeats.Failed("connect to broker", err, "hint", health.English.Hint(err))
			}
			d.pause(ctx)
			continue
		}
		d.repeats.Worked("connect to broker")
		s := &session{d: d, conn: conn, began: time.Now()}
		d.setConn(conn)
		s.drain(ctx, grace)
		d.setConn(nil)
		if ctx.Err() != nil {
			if err := conn.Close(grace); err != nil {
				d.Log.Warn("leave the broker", "err", err)
			}
			s.confirm() // what was acknowledged while leaving
			return
		}
		s.lost()
		if d.Ended != nil {
			d.Ended(conn.Err())
		}
		d.pause(ctx)
	}
}

// pause waits before the next connection, at most as long as reconnect_max says.
func (d *Drainer) pause(ctx context.Context) {
	wait := d.Broker.Backoff()
	d.Heartbeat.Expect(wait)
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-d.announced:
			d.finishQuarantine()
			continue
		case <-t.C:
		case <-d.Retry:
		case <-ctx.Done():
		}
		return
	}
}

// session is the draining over one connection.
type session struct {
	d      *Drainer
	conn   Conn
	began  time.Time
	flight []inflight    // oldest first
	states []sentState   // in flight, oldest first
	ahead  []buffer.Item // read and not sent yet
	sent   uint64        // the position sent last
	empty  bool          // the queue had nothing after sent
	wake   *time.Timer   // try again to send, see again
	wakeAt time.Time     // when it fires; zero = nobody asked
}

// inflight is a record that was sent and is not confirmed yet.
type inflight struct {
	pos     uint64
	topic   string // "<device>/<kind>"
	seq     uint64
	receipt Receipt
}

// sentState is a state that was sent and is not confirmed yet.
type sentState struct {
	sample  record.Sample
	receipt Receipt
}

// drain sends and confirms until the connection is lost or ctx ends; then it waits
// for what is in flight within grace.
func (s *session) drain(ctx, grace context.Context) {
	s.d.finishQuarantine() // before its record is sent again
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	s.wake = time.NewTimer(0)
	defer s.wake.Stop()
	defer s.keepStates()
	s.d.Heartbeat.Beat()
	s.d.Newest.Connected()
	s.sendStates()
	for {
		s.fill()
		select {
		case <-ctx.Done():
			s.finish(grace)
			return
		case <-s.conn.Lost():
			s.confirm()
			return
		case <-s.oldest():
			if !s.confirm() {
				return
			}
		case <-s.d.Queue.Changed():
			s.empty = false
		case <-s.d.Newest.Changed():
			s.sendStates()
		case <-s.d.proofChange:
			s.sendStates()
		case <-s.oldestState():
			s.sendStates()
		case <-s.d.announced:
			s.d.finishQuarantine()
		case <-s.wake.C: // for states; fill tries again each time round, whatever the reason
			s.wakeAt = time.Time{}
			s.sendStates()
		case <-beat.C:
			s.d.Heartbeat.Beat()
			if time.Since(s.began) > recoveredAfter {
				s.d.repeats.Worked("connection to broker")
			}
		}
	}
}

// again tries again to send after a pause, or sooner when somebody asked for that.
func (s *session) again(pause time.Duration) {
	at := time.Now().Add(pause)
	if s.wakeAt.IsZero() || at.Before(s.wakeAt) {
		s.wakeAt = at
		s.wake.Reset(pause)
	}
}

// fill sends as many records as may be in flight, reading on from the store.
func (s *session) fill() {
	for s.conn.Deliverable() {
		limit, wait := s.d.flow.limit(s.sent, time.Since(s.began))
		if wait > 0 {
			s.again(wait)
			return
		}
		if len(s.flight) >= limit {
			return
		}
		if len(s.ahead) == 0 {
			if s.empty || !s.read(limit) {
				return
			}
		}
		if !s.send(s.ahead[0]) {
			s.ahead = nil
			return
		}
		s.ahead = s.ahead[1:]
	}
}

// read gets the next records from the store, a window at a time. It returns false
// when there are none.
func (s *session) read(limit int) bool {
	items, err := s.d.Queue.Peek(s.sent, limit, peekBytes)
	if err != nil {
		s.d.repeats.Failed("read from store", err)
		s.again(readRetry)
		return false
	}
	s.d.repeats.Worked("read from store")
	s.ahead, s.empty = items, len(items) == 0
	return !s.empty
}

// send publishes one record. It returns false when no more may follow now.
func (s *session) send(it buffer.Item) bool {
	now := time.Now()
	payload := it.Payload
	if now.Sub(it.Time) > it.Fresh {
		if wait := s.d.flow.rate.take(now); wait > 0 {
			s.again(wait)
			return false
		}
		payload = report.MarkReplayed(payload)
	}
	receipt, err := s.conn.Publish(publish.Message{Topic: s.d.Broker.Topic(it.Lane), Payload: payload})
	var failure *publish.Error
	if errors.As(err, &failure) && failure.Class == publish.ClassMessage {
		// It can never be sent. It goes when it is first in line, so that nothing
		// before it is passed over.
		if len(s.flight) == 0 {
			s.d.quarantine(inflight{pos: it.Pos, topic: it.Lane, seq: it.Num}, failure.Error())
			s.again(sendRetry) // until it is out of the queue
		}
		return false
	}
	if err != nil {
		s.again(sendRetry) // a full window, or the connection is gone and Lost fires
		return false
	}
	s.flight = append(s.flight, inflight{it.Pos, it.Lane, it.Num, receipt})
	s.sent = it.Pos
	return true
}

// oldest is closed when the oldest record in flight is confirmed or lost.
func (s *session) oldest() <-chan struct{} {
	if len(s.flight) == 0 {
		return nil
	}
	return s.flight[0].receipt.Done()
}

// confirm removes from the store, in order, what the broker has confirmed. It
// returns false when the oldest was not confirmed: all that follows is kept.
//
// This is the only place where a record counts as delivered. The other ways out of
// the queue are listed in buffer/progress.go.
func (s *session) confirm() bool {
	var upto uint64
	good := true
	for len(s.flight) > 0 && good {
		first := s.flight[0]
		select {
		case <-first.receipt.Done():
			good = first.receipt.Err() == nil
		default:
			s.ack(upto)
			return true
		}
		if good {
			upto = first.pos
			s.d.flow.confirmed()
			s.d.count(first.topic)
			s.flight = s.flight[1:]
		}
	}
	s.ack(upto)
	return good
}

// ack tells the store that everything up to a position is delivered; 0 = nothing
// was. After a failure these records are sent again after a restart; none is lost.
func (s *session) ack(upto uint64) {
	if upto == 0 {
		return
	}
	if err := s.d.Queue.Ack(upto); err != nil {
		s.d.repeats.Failed("acknowledge in store", err)
	} else {
		s.d.repeats.Worked("acknowledge in store")
	}
}

func (d *Drainer) count(topic string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Acked++
	d.stats.AckedByKind[record.Kind(topic)]++
}

// finish waits for what is in flight until grace ends.
func (s *session) finish(grace context.Context) {
	for len(s.flight) > 0 {
		select {
		case <-s.oldest():
			if !s.confirm() {
				return
			}
		case <-s.conn.Lost():
			s.confirm()
			return
		case <-grace.Done():
			return
		}
	}
}

// lost logs why the connection ended, and quarantines the record that is to blame
// for it, if one is.
func (s *session) lost() {
	var why *publish.Error
	if !errors.As(s.conn.Err(), &why) || why.Class == publish.ClassProbe {
		return
	}
	s.d.repeats.Failed("connection to broker", why, "hint", health.English.Hint(why))
	if why.Class != publish.ClassLost && why.Class != publish.ClassDropped || why.AtExtra() || len(s.flight) == 0 {
		return // nothing was in flight, or something else ended it; or silence, which is the network's or the broker's fault
	}
	first, last := s.flight[0], s.flight[len(s.flight)-1]
	if s.d.flow.lost(first.pos, last.pos) {
		s.d.quarantine(first, fmt.Sprintf("connection lost %d times in a row while this record was first in line", s.d.flow.losses))
	}
}

// sendStates publishes the newest sample of each device to its retained topic, as
// many as may be in flight; the next follow when the broker confirms. A state is
// never kept for later: the next sample replaces it.
func (s *session) sendStates() {
	s.confirmStates()
	if !s.conn.Deliverable() {
		return // with confirm echo it would be waited for in vain, before all records
	}
	for len(s.states) < statesMax {
		sample, ok := s.d.Newest.Take(time.Now())
		if !ok {
			return
		}
		topic := s.d.Broker.Topic(sample.Device + "/state")
		receipt, err := s.conn.Publish(publish.Message{Topic: topic, Payload: sample.Payload, Retain: true})
		var failure *publish.Error
		switch {
		case err == nil:
			s.states = append(s.states, sentState{sample, receipt})
		case errors.Is(err, publish.ErrLeftOut): // shown by the status; a later one goes when that is over
			s.d.Newest.PutBack(sample)
			return
		case errors.As(err, &failure) && failure.Class == publish.ClassMessage:
			s.d.repeats.Failed("publish state of "+sample.Device, err) // it can never be sent
		default:
			s.d.Newest.PutBack(sample)
			s.again(sendRetry) // a full window, or the connection is gone and Lost fires
			return
		}
	}
}

// oldestState is closed when the oldest state in flight is confirmed or lost.
func (s *session) oldestState() <-chan struct{} {
	if len(s.states) == 0 {
		return nil
	}
	return s.states[0].receipt.Done()
}

// confirmStates forgets the states that the broker has confirmed and makes those that
// it has not unsent again.
func (s *session) confirmStates() {
	for len(s.states) > 0 {
		first := s.states[0]
		select {
		case <-first.receipt.Done():
			switch {
			case first.receipt.Err() != nil:
				s.d.Newest.PutBack(first.sample)
			case first.sample.Cleared != nil:
				first.sample.Cleared()
			}
			s.states = s.states[1:]
		default:
			return
		}
	}
}

// keepStates makes what is not confirmed when the connection ends unsent again.
func (s *session) keepStates() {
	s.confirmStates()
	for _, left := range s.states {
		s.d.Newest.PutBack(left.sample)
	}
	s.states = nil
}

// Proof logs the result of a delivery proof, the same one every five minutes at most and
// a lasting doubt as a warning only at its start, and announces a failed one once for as
// long as it lasts. "Pending", between two connections, decides nothing.
func (d *Drainer) Proof(p publish.Proof) {
	defer func() {
		select {
		case d.proofChange <- struct{}{}:
		default:
		}
	}()
	if p.State == publish.ProofPending {
		return
	}
	d.mu.Lock()
	changed := d.proof != p.State
	log := d.Log
	if !changed && time.Since(d.proofLogged) < proofLogEvery { // connections follow each other quickly
		log = slog.New(slog.DiscardHandler)
	} else {
		d.proofLogged = time.Now()
	}
	d.mu.Unlock()
	announced := true
	switch {
	case p.State == publish.ProofFailed:
		log.Error("delivery proof failed, records are kept", "detail", p.Detail, "hint", health.English.HintFor(p.Advice()))
		if changed {
			announced = d.Announce(record.Event{AgentEvent: report.AgentEvent{
				Type: "agent.undelivered", Reason: string(p.State), Detail: p.Detail, Since: p.Since,
			}, At: time.Now()})
		}
	case p.State == publish.ProofUnproven && changed:
		log.Warn("delivery unproven", "detail", p.Detail, "hint", health.English.HintFor(p.Advice()))
	default:
		log.Info("delivery "+string(p.State), "detail", p.Detail)
	}
	if announced { // else the next proof announces it
		d.mu.Lock()
		d.proof = p.State
		d.mu.Unlock()
	}
}
