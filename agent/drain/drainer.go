// Package drain brings the store's records to the broker.
//
// Promise: oldest first, in order on each topic, and a record leaves the store only
// on the broker's positive acknowledgement; a timeout, a stop and a lost connection
// all mean "keep".
//
//	buffer   ...│ acknowledged │ in flight, oldest first │ read ahead │ not read yet ...
//	            └─ cursor      └─ at most flow.limit ─▶ next                 ──▶ newer
//
// The newest sample of each device goes beside the queue to its retained state topic.
package drain

import (
	"context"
	"errors"
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
	Endpoints  int
	Retry      <-chan struct{} // ends a pause before the next connection; nil = never
}

// Drainer is the loop from the store to the broker. Proof, Connected, Conn and Stats
// are safe for concurrent use; the rest belongs to Run alone.
type Drainer struct {
	Options
	Broker    Broker         // set before Run
	Heartbeat host.Heartbeat // of Run

	flow        flow
	proofChange chan struct{} // signals a change of the delivery proof
	memory      *memory
	repeats     *host.Repeats

	mu    sync.Mutex
	conn  Conn // the connection of the moment, nil = none
	stats Stats
	proof publish.ProofState // the last that was decided, and announced if it had to be
	aside aside
}

// aside is the record that is being quarantined, or was last. Nothing is held for done
// before it is.
type aside struct {
	pos       uint64
	announced bool      // on its way to the disk, or there
	onDisk    bool      // the announcement is
	done      bool      // it is in the quarantine
	tried     time.Time // when the store failed to quarantine it
}

// New makes a drainer; nothing runs yet. The broker's OnProof must call Proof.
func New(o Options) *Drainer {
	return &Drainer{
		Options:     o,
		flow:        flow{window: o.Window, rate: newRateLimit(o.ReplayRate), steady: steadyFor},
		proofChange: make(chan struct{}, 1),
		memory:      newMemory(o.Endpoints),
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

// Stats is what the broker confirmed since the start of this process.
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
	for ctx.Err() == nil {
		d.Heartbeat.Beat()
		conn, err := d.Broker.Connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.repeats.Failed("connect to broker", err, "hint", health.Hint(err))
			}
			d.pause(ctx)
			continue
		}
		d.repeats.Worked("connect to broker")
		s := &session{Drainer: d, conn: conn, began: time.Now()}
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

// pause waits before the next connection, as long as reconnect_max says.
func (d *Drainer) pause(ctx context.Context) {
	wait := d.Broker.Backoff()
	d.Heartbeat.Wait(wait)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-d.Retry:
	case <-ctx.Done():
	}
}

// session is the draining over one connection.
type session struct {
	*Drainer
	conn   Conn
	began  time.Time
	flight []inflight    // oldest first
	states []sentState   // in flight, oldest first
	ahead  []buffer.Item // read and not sent yet
	next   uint64        // the position sent last
	empty  bool          // the queue had nothing after next
	wake   *time.Timer   // try again to send
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
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	s.wake = time.NewTimer(0)
	defer s.wake.Stop()
	defer s.keepStates()
	s.Heartbeat.Beat()
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
		case <-s.Queue.Changed():
			s.empty = false
		case <-s.Newest.Changed():
			s.sendStates()
		case <-s.proofChange:
			s.sendStates()
		case <-s.oldestState():
			s.sendStates()
		case <-s.wake.C:
			s.sendStates()
		case <-beat.C:
			s.Heartbeat.Beat()
			if time.Since(s.began) > recoveredAfter {
				s.repeats.Worked("connection to broker")
			}
		}
	}
}

// fill sends as many records as may be in flight, reading on from the store.
func (s *session) fill() {
	for s.conn.Deliverable() {
		limit, wait := s.flow.limit(s.next, time.Since(s.began))
		if wait > 0 {
			s.wake.Reset(wait)
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
	items, err := s.Queue.Peek(s.next, limit, peekBytes)
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
		if wait := s.flow.rate.take(now); wait > 0 {
			s.wake.Reset(wait)
			return false
		}
		payload = report.MarkReplayed(payload)
	}
	receipt, err := s.conn.Publish(publish.Message{Topic: s.Broker.Topic(it.Lane), Payload: payload})
	var failure *publish.Error
	if errors.As(err, &failure) && failure.Class == publish.ClassMessage {
		// It can never be sent. It goes when it is first in line, so that nothing
		// before it is passed over.
		if len(s.flight) == 0 {
			s.quarantine(inflight{pos: it.Pos, topic: it.Lane, seq: it.Num}, failure.Error())
			s.wake.Reset(sendRetry) // until it is out of the queue
		}
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
// This is the only place where a record becomes removable.
func (s *session) confirm() bool {
	var upto uint64
	good := true
	for len(s.flight) > 0 && good {
		first := s.flight[0]
		select {
		case <-first.receipt.Done():
			good = first.receipt.Err() == nil
		default:
			return s.ack(upto)
		}
		if good {
			upto = first.pos
			s.flow.confirmed()
			s.count(first.topic)
			s.flight = s.flight[1:]
		}
	}
	return s.ack(upto) && good
}

// ack tells the store that everything up to a position is delivered; 0 = nothing
// was. After a failure these records are sent again after a restart; none is lost.
func (s *session) ack(upto uint64) bool {
	if upto == 0 {
		return true
	}
	if err := s.Queue.Ack(upto); err != nil {
		s.repeats.Failed("acknowledge in store", err)
	} else {
		s.repeats.Worked("acknowledge in store")
	}
	return true
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
	s.repeats.Failed("connection to broker", why, "hint", health.Hint(why))
	if why.Class != publish.ClassLost && why.Class != publish.ClassDropped || len(s.flight) == 0 {
		return // nothing was in flight; or silence, which is the network's or the broker's fault, not a record's
	}
	first, last := s.flight[0], s.flight[len(s.flight)-1]
	if s.flow.lost(first.pos, last.pos) {
		s.quarantine(first, "connection lost 3 times in a row while this record was first in line")
	}
}

// quarantine takes a record out of the queue so that the queue goes on. An event of
// the agent is not announced: the announcement would be the next such event, and the
// broker that rejects the one rejects the other. Any other record is announced first: the record leaves the queue when the announcement is on disk, so
// that no kill can take one without the other. What fails is tried again when it is
// asked for again, the announcement too when it was lost, the store every readRetry.
func (d *Drainer) quarantine(r inflight, reason string) {
	d.mu.Lock()
	if d.aside.pos != r.pos {
		d.aside = aside{pos: r.pos}
	}
	a := d.aside
	d.aside.announced = true
	d.mu.Unlock()
	switch {
	case a.done:
	case a.onDisk, r.topic == record.OwnEvents:
		if time.Since(a.tried) >= readRetry {
			d.setAside(r.pos, reason)
		}
	case !a.announced:
		d.announceQuarantine(r, reason)
	}
}

func (d *Drainer) announceQuarantine(r inflight, reason string) {
	settled := func(onDisk bool) {
		d.mu.Lock()
		if d.aside.pos == r.pos {
			d.aside.announced, d.aside.onDisk = onDisk, onDisk
		}
		d.mu.Unlock()
		if onDisk {
			d.setAside(r.pos, reason)
		}
	}
	if !d.Announce(record.Event{
		At: time.Now(),
		AgentEvent: report.AgentEvent{
			Type: "agent.quarantined", Device: record.Device(r.topic), Kind: record.Kind(r.topic),
			FirstSeq: r.seq, LastSeq: r.seq, Count: 1, Reason: reason,
		},
		Done: settled,
	}) {
		settled(false)
		return
	}
	d.Log.Error("the broker does not accept a record: it goes to the quarantine", "topic", r.topic, "seq", r.seq, "reason", reason)
}

// setAside puts an announced record into the quarantine.
func (d *Drainer) setAside(pos uint64, reason string) {
	err := d.Queue.Quarantine(pos, reason)
	failed := err != nil && !errors.Is(err, buffer.ErrNotFound)
	d.mu.Lock()
	if d.aside.pos == pos {
		d.aside.done, d.aside.tried = !failed, time.Now()
	}
	d.mu.Unlock()
	if failed {
		d.repeats.Failed("quarantine record", err)
		return
	}
	d.repeats.Worked("quarantine record")
	d.Log.Error("record quarantined", "position", pos, "reason", reason, "hint", health.HintFor("store_quarantined", nil))
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
		sample, ok := s.Newest.Take(time.Now())
		if !ok {
			return
		}
		topic := s.Broker.Topic(sample.Device + "/state")
		receipt, err := s.conn.Publish(publish.Message{Topic: topic, Payload: sample.Payload, Retain: true})
		var failure *publish.Error
		switch {
		case err == nil:
			s.states = append(s.states, sentState{sample, receipt})
		case errors.As(err, &failure) && failure.Class == publish.ClassMessage:
			s.repeats.Failed("publish state of "+sample.Device, err) // it can never be sent
		default:
			s.Newest.PutBack(sample)
			s.wake.Reset(sendRetry) // a full window, or the connection is gone and Lost fires
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
				s.Newest.PutBack(first.sample)
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
		s.Newest.PutBack(left.sample)
	}
	s.states = nil
}

// Proof logs the result of a delivery proof, a lasting doubt as a warning only at
// its start, and announces a failed one once for as long as it lasts. "Pending",
// between two connections, decides nothing.
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
	d.mu.Unlock()
	announced := true
	switch {
	case p.State == publish.ProofFailed:
		d.Log.Error("delivery proof failed, records are kept", "detail", p.Detail, "hint", health.HintFor(p.Advice()))
		if changed {
			announced = d.Announce(record.Event{AgentEvent: report.AgentEvent{
				Type: "agent.undelivered", Reason: string(p.State), Text: p.Detail, Since: p.Since,
			}, At: time.Now()})
		}
	case p.State == publish.ProofUnproven && changed:
		d.Log.Warn("delivery unproven", "detail", p.Detail, "hint", health.HintFor(p.Advice()))
	default:
		d.Log.Info("delivery "+string(p.State), "detail", p.Detail)
	}
	if announced { // else the next proof announces it
		d.mu.Lock()
		d.proof = p.State
		d.mu.Unlock()
	}
}
