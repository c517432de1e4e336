package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	// reserve is how many of the caller's messages beside its window may be
	// unconfirmed, such as the newest states.
	reserve = 256
	// ownReserve is room for birth, availability and proof behind a full window:
	// without its proof a connection would never be deliverable.
	ownReserve = 8
)

// Conn is one connection to a broker, from Connect to its loss or Close. All
// methods may be called from any goroutine.
//
//	Publish ─▶ queue ─send─▶ MQTT library ─▶ link ─▶ broker
//	             │                handed               │
//	             └ flight ◀─────── confirm ◀── PUBACK, echo
type Conn struct {
	client *Client
	broker broker
	paho   mqtt.Client
	link   *link
	began  time.Time

	queue  chan *Receipt // to hand to the library
	handed chan *Receipt // handed to it, to be confirmed
	stop   chan struct{} // ends the sending
	sent   chan struct{} // the sending has ended
	lost   chan struct{} // everything has ended
	wg     sync.WaitGroup
	ended  bool // Client.mu guards it

	mu       sync.Mutex // guards everything below
	closing  bool
	closed   bool
	err      error
	accepted uint64     // messages so far
	records  int        // in flight of those that the window counts
	flight   []*Receipt // unconfirmed, oldest first
	newest   *Receipt   // handed over last
	ackedAt  time.Time  // when one beside the proof was acknowledged last
	acked    Extra      // an extra that was acknowledged and is not known to be accepted yet, "" = none
	extraAt  time.Time  // when it was
	last     *Receipt   // to send after stop, beside flight; nil = nothing
	echoes   echoes     // messages that the broker has to hand back
	proof    connProof
	recall   recall

	late     <-chan struct{} // closed when the echo comes that was not waited for; of the proof's goroutine
	memory   *Receipt        // of the retained echo, nil = none; of the proof's goroutine
	leave    []string        // subscriptions that the proof needs no longer; of its goroutine
	recalled atomic.Bool     // OnRecall has returned
	ctx      context.Context // for OnRecall; ends with the connection
	cancel   context.CancelFunc
	will     bool  // the broker has one
	heard    bool  // it acknowledged a message of this package; Client.mu guards it
	trial    bool  // it is closed at once, to be made again with a will
	now      Extra // what is being done, and done before it; Client.mu guards both
	done     Extra
}

func newConn(c *Client, b broker, l *link) *Conn {
	limit := c.cfg.MaxInflight + reserve + ownReserve
	m := &Conn{
		client: c, broker: b, link: l, began: time.Now(),
		queue:  make(chan *Receipt, limit),
		handed: make(chan *Receipt, limit),
		stop:   make(chan struct{}),
		sent:   make(chan struct{}),
		lost:   make(chan struct{}),
		echoes: echoes{},
	}
	m.proof.decided = make(chan struct{})
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// run starts the goroutines of an established connection.
func (m *Conn) run() {
	for _, f := range []func(){m.send, m.confirm, m.watch, m.prove} {
		m.wg.Go(f)
	}
}

// Publish queues msg, QoS 1, and returns at once. The error is an *Error:
// ClassMessage when msg can never be sent, ClassWindow when more than
// MaxInflight + 256 messages are unconfirmed, or, while the broker is slow, more
// that are not retained than the window of the moment, ErrLeftOut is in it for a state
// while the broker does not accept those, ClassUnproven with Confirm "echo"
// while nothing would be handed back, and for a retained message that would replace what
// is still to be read back, else the connection is gone.
func (m *Conn) Publish(msg Message) (*Receipt, error) {
	if err := msg.check(); err != nil {
		return nil, err
	}
	if m.client.cfg.Confirm == ConfirmEcho && !m.Deliverable() {
		return nil, m.fault(ClassUnproven, errors.New("the echo is not proven"), "")
	}
	if msg.Retain && !m.readBack() {
		return nil, m.fault(ClassUnproven, errors.New("what the broker retained before is not read yet"), "")
	}
	extra := extraOf(msg)
	if m.client.refuses(m.broker, extra) {
		return nil, &Error{Class: ClassMessage, Op: "publish to", Broker: m.broker.name, Err: ErrLeftOut, Hint: hintLostAt, Facts: lostAt(extra)}
	}
	return m.publish(msg, false, extra)
}

// publish queues msg; own = a message of this package, which has the reserve to
// itself and is not confirmed by echo; extra = what the broker is blamed for when it
// ends the connection at it, "" = nothing.
func (m *Conn) publish(msg Message, own bool, extra Extra) (*Receipt, error) {
	record := !own && !msg.Retain
	if msg.Retain && m.client.refuses(m.broker, ExtraRetain) {
		msg.Retain = false
	}
	r := &Receipt{msg: msg, own: own, record: record, extra: extra, done: make(chan struct{})}
	room := cap(m.queue)
	if !own {
		room -= ownReserve
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil, m.fault(ClassLost, errors.New("the connection is lost"), "")
	case m.closing:
		return nil, m.fault(ClassClosed, errors.New("connection is closing"), "")
	case len(m.flight) >= room, r.record && m.records >= m.window():
		return nil, m.fault(ClassWindow, fmt.Errorf("%d messages are unacknowledged", len(m.flight)), "")
	}
	if r.record {
		m.records++
	}
	if m.client.cfg.Confirm == ConfirmEcho && !own {
		r.echoed = make(chan struct{})
		m.echoes.expect(r)
	}
	m.accepted++
	r.number = m.accepted
	m.flight = append(m.flight, r)
	m.queue <- r // never blocks: flight holds all that is in it
	m.client.countPublished(r)
	return r, nil
}

// window is how many records may be in flight: while the broker is slow fewer
// than MaxInflight, which is the caller's business otherwise.
func (m *Conn) window() int {
	_, window := m.client.patience(m.broker)
	if window >= m.client.cfg.MaxInflight {
		return cap(m.queue)
	}
	return window
}

func (m *Conn) fault(class Class, err error, hint Hint) *Error {
	return &Error{Class: class, Op: "publish to", Broker: m.broker.name, Err: err, Hint: hint}
}

// send hands the queue to the MQTT library in order, no faster than the link
// writes, and after stop the last message. What is in the queue together is a
// burst.
func (m *Conn) send() {
	defer close(m.sent)
	for m.link.waitRoom() {
		select {
		case r := <-m.queue:
			if isClosed(m.stop) {
				continue // it stays with the caller
			}
			m.link.expect(r.number + uint64(len(m.queue)))
			if !m.handOver(r) {
				return
			}
			m.handed <- r // never blocks: flight holds all that is in it
		case <-m.stop:
			m.link.expect(0)
			if m.last != nil {
				m.handOver(m.last)
			}
			return
		case <-m.lost:
			return
		}
	}
}

func (m *Conn) handOver(r *Receipt) bool {
	token := m.paho.Publish(r.msg.Topic, 1, r.msg.Retain, r.msg.Payload)
	m.mu.Lock()
	r.token, r.sent, m.newest = token, time.Now(), r
	m.mu.Unlock()
	if isClosed(token.Done()) && token.Error() != nil {
		m.fail(lostError(m, token.Error())) // or the next message would overtake this one
		return false
	}
	return true
}

// confirm waits for the confirmations in order of publishing. Brokers send them
// in this order [MQTT-4.6.0-2]; one that comes early waits for its turn.
func (m *Conn) confirm() {
	for {
		var r *Receipt
		select {
		case <-m.lost:
			return
		case r = <-m.handed:
		}
		select {
		case <-m.lost:
			return
		case <-r.token.Done():
		}
		if err := r.token.Error(); err != nil {
			m.fail(lostError(m, err))
			return
		}
		if r.echoed != nil {
			select {
			case <-m.lost:
				return
			case <-r.echoed:
			}
		}
		m.confirmed(r)
	}
}

// confirmed completes the oldest message. Under the lock: at Lost all receipts
// are complete.
func (m *Conn) confirmed(r *Receipt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed { // fail completes it
		return
	}
	m.flight = m.flight[1:]
	if r.record {
		m.records--
	}
	m.answered(r)
	m.noteAcked(r)
	m.client.countAcked(r)
	r.complete(nil)
}

// noteAcked notes that a message beside the proof was acknowledged. An extra is known to
// be accepted when the connection has gone on for a moment after that. It needs m.mu.
func (m *Conn) noteAcked(r *Receipt) {
	if r.own && r.extra == "" {
		return
	}
	now := time.Now()
	m.ackedAt = now
	if m.acked != "" && now.Sub(m.extraAt) >= settle {
		m.client.passed(m.broker, m.acked)
		m.acked = ""
	}
	if r.extra != "" && r.extra != m.acked {
		m.acked, m.extraAt = r.extra, now
	}
}

// atTheEnd tells what the first message in flight is that was not acknowledged, and
// whether one was acknowledged just before, which may have been a false yes, and which
// extra was.
func (m *Conn) atTheEnd(flight []*Receipt) (first, acked Extra, justAcked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range flight {
		if !r.isAcked() {
			first = r.extra
			break
		}
	}
	if time.Since(m.extraAt) < settle {
		acked = m.acked
	}
	return first, acked, time.Since(m.ackedAt) < settle
}

// received is called with every message that the broker sends. It must not
// block.
func (m *Conn) received(msg mqtt.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case msg.Retained():
		m.keep(msg)
	case msg.Topic() == m.client.Topic(echoTopic):
		m.proof.returned(string(msg.Payload()))
	case msg.Topic() == m.client.Topic(availability):
		m.proof.returned(availability)
	default:
		m.echoes.returned(msg.Topic(), msg.Payload())
	}
}

// watch gives the connection up when a message is in flight and nothing moves,
// or when the broker is silent and does not answer a ping. With the defaults a
// half-open link is noticed within 21 s with a message in flight, within 26 s
// without.
func (m *Conn) watch() {
	cfg := m.client.cfg
	tick := time.NewTicker(max(10*time.Millisecond, min(time.Second, cfg.AckTimeout/4, cfg.PingTimeout/4, cfg.KeepAlive/4)))
	defer tick.Stop()
	var waiting *Receipt // the oldest message, all of it on the wire
	var since time.Time  // it was seen first
	var sinceClock int64 // the same as clock()
	var pinged int64     // clock() of the unanswered ping, 0 = none
	for {
		select {
		case <-m.lost:
			return
		case <-tick.C:
		}
		// A message that is still being written is the write deadline's business.
		written, idle := m.link.progress()
		oldest, n := m.oldest()
		switch {
		case oldest == nil || oldest.number > written:
			waiting = nil
		case oldest != waiting:
			waiting, since, sinceClock = oldest, time.Now(), m.link.clock()
		case time.Since(since) >= m.ackTimeout():
			alive := m.link.lastRead.Load() >= sinceClock
			e := m.noAck(n, alive)
			if alive {
				m.client.waitedInVain(m.broker)
			}
			m.fail(e)
			return
		}
		now, read := m.link.clock(), m.link.lastRead.Load()
		switch {
		case pinged > 0 && read >= pinged:
			pinged = 0
		case pinged > 0 && now-pinged >= int64(m.client.pingTimeout(m.broker)):
			e := m.fault(ClassSilent, fmt.Errorf("no answer to a ping for %v", time.Duration(now-pinged).Round(time.Second)), hintHalfOpen)
			m.client.pingedInVain(m.broker)
			m.fail(e)
			return
		case pinged == 0 && idle && now-read >= int64(cfg.KeepAlive/2):
			pinged = now
			m.link.ping()
		}
	}
}

// oldest returns the message that waits longest, and how many are in flight.
func (m *Conn) oldest() (*Receipt, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.flight) == 0 {
		return nil, 0
	}
	return m.flight[0], len(m.flight)
}

func (m *Conn) noAck(inFlight int, alive bool) *Error {
	m.mu.Lock()
	defer m.mu.Unlock()
	patience := m.ackTimeout()
	if len(m.flight) > 0 && m.flight[0].onlyEchoMissing() {
		return m.fault(ClassDropped, fmt.Errorf("acknowledged, but not handed back within %v", patience), hintNoEcho)
	}
	hint := hintHalfOpen
	if alive { // something was read meanwhile
		hint = hintNoAck
	}
	return m.fault(ClassSilent, fmt.Errorf("no acknowledgement for %v with %d messages in flight", patience, inFlight), hint)
}

// Lost is closed when the connection has ended, whatever the reason. All its
// receipts are complete by then.
func (m *Conn) Lost() <-chan struct{} { return m.lost }

// Err tells why the connection ended, nil while it is up. It is an *Error:
// ClassLost, ClassSilent, ClassDropped or ClassSameID after a loss, ClassProbe
// when it was closed to ask the broker by MQTT 5, ClassClosed after Close.
func (m *Conn) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// InFlight is the number of messages that are not confirmed, queued ones
// included.
func (m *Conn) InFlight() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.flight)
}

// Broker is the broker's URL without user information.
func (m *Conn) Broker() string { return m.broker.name }
