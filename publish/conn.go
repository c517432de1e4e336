package publish

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	// reserve is how many of the caller's messages beside its window may be
	// unsettled, such as the newest states.
	reserve = 256
	// ownReserve is room for birth, availability and proof behind a full window:
	// without its proof a connection would never be deliverable.
	ownReserve = 8
	// ahead is how many messages the MQTT library holds that are not written
	// yet. With more, its Publish would block in a write that hangs.
	ahead = 2
)

// Conn is one connection to a broker, from Connect to its loss or Close. All
// methods may be called from any goroutine.
type Conn struct {
	client *Client
	broker broker
	paho   mqtt.Client
	link   *link
	began  time.Time

	queue chan *Receipt // to send
	slots chan *Receipt // handed to the library, not written yet
	held  []*Receipt    // in link.held; under its lock
	pend  chan *Receipt // to settle
	// stop ends the sending, lost ends everything.
	stop, lost chan struct{}
	sent       chan struct{} // the sender has ended
	wg         sync.WaitGroup

	mu      sync.Mutex
	closing bool
	closed  bool
	err     error
	flight  []*Receipt // unsettled, oldest first

	lastAck atomic.Int64 // clock()
	echoes  echoes
	proof   connProof
}

func newConn(c *Client, b broker, l *link) *Conn {
	limit := c.cfg.MaxInflight + reserve + ownReserve
	m := &Conn{
		client: c, broker: b, link: l, began: time.Now(),
		queue: make(chan *Receipt, limit),
		slots: make(chan *Receipt, ahead),
		pend:  make(chan *Receipt, limit),
		stop:  make(chan struct{}),
		lost:  make(chan struct{}),
		sent:  make(chan struct{}),
	}
	m.proof.init()
	l.another, l.written = m.another, m.written
	return m
}

// Publish queues msg, QoS 1, and returns at once. The error is an *Error:
// ClassMessage when msg can never be sent, ClassWindow when more than
// MaxInflight + 256 messages are unsettled, ClassUnproven with Confirm "echo"
// while nothing would be handed back, else the connection is gone.
func (m *Conn) Publish(msg Message) (*Receipt, error) {
	if err := msg.check(); err != nil {
		return nil, err
	}
	if m.client.cfg.Confirm == ConfirmEcho && !m.Deliverable() {
		return nil, m.fault(ClassUnproven, errors.New("the echo is not proven"), "")
	}
	return m.publish(msg, false)
}

func (m *Conn) publish(msg Message, own bool) (*Receipt, error) {
	r := &Receipt{msg: msg, own: own, done: make(chan struct{})}
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
	case len(m.flight) >= room:
		return nil, m.fault(ClassWindow, fmt.Errorf("%d messages are unacknowledged", len(m.flight)), "")
	}
	if m.client.cfg.Confirm == ConfirmEcho && !own {
		r.echoed = make(chan struct{})
		m.echoes.expect(r)
	}
	m.flight = append(m.flight, r)
	m.queue <- r // never blocks: flight holds all that is in it
	m.client.count.sent(r)
	return r, nil
}

func (m *Conn) fault(class Class, err error, hint string) *Error {
	return &Error{Class: class, Op: "publish to", Broker: m.broker.name, Err: err, Hint: hint}
}

// run starts the goroutines of an established connection.
func (m *Conn) run() {
	m.lastAck.Store(m.link.clock())
	for _, f := range []func(){m.send, m.settle, m.watch, m.prove} {
		m.wg.Go(f)
	}
}

// send hands the queue to the MQTT library, one message after the other.
func (m *Conn) send() {
	defer close(m.sent)
	for {
		select {
		case <-m.stop:
			return
		case <-m.lost:
			return
		case r := <-m.queue:
			if !m.sendOne(r) {
				return
			}
		}
	}
}

func (m *Conn) sendOne(r *Receipt) bool {
	select {
	case m.slots <- r:
	case <-m.stop:
		return false
	case <-m.lost:
		return false
	}
	token := m.paho.Publish(r.msg.Topic, 1, r.msg.Retain, r.msg.Payload)
	m.mu.Lock()
	r.token = token
	m.mu.Unlock()
	if err := failedAtOnce(token); err != nil {
		m.fail(lostError(m, err)) // or the next message would overtake this one
		return false
	}
	m.pend <- r // never blocks: flight holds all that is in it
	return true
}

func failedAtOnce(token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	default:
		return nil
	}
}

// settle waits for the confirmations in order of publishing. Brokers give them
// in this order [MQTT-4.6.0-2]; one that comes early waits for its turn.
func (m *Conn) settle() {
	for {
		select {
		case <-m.lost:
			return
		case r := <-m.pend:
			if !m.settleOne(r) {
				return
			}
		}
	}
}

func (m *Conn) settleOne(r *Receipt) bool {
	select {
	case <-r.token.Done():
	case <-m.lost:
		return false
	}
	if err := r.token.Error(); err != nil {
		m.fail(lostError(m, err))
		return false
	}
	if r.echoed != nil {
		select {
		case <-r.echoed:
		case <-m.lost:
			return false
		}
	}
	m.acked(r)
	return true
}

func (m *Conn) acked(r *Receipt) {
	m.mu.Lock()
	if m.closed { // fail settles it
		m.mu.Unlock()
		return
	}
	m.flight = m.flight[1:]
	m.lastAck.Store(m.link.clock())
	m.client.count.acked(r)
	r.settle(nil) // under the lock: at Lost all receipts are settled
	m.mu.Unlock()
}

// fail ends the connection once: everything unsettled is settled, with nil
// only where the confirmation had come already.
func (m *Conn) fail(err *Error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	flight := m.flight
	m.flight = nil
	verdicts := make([]bool, len(flight))
	onlyOwn := len(flight) > 0
	for i, r := range flight {
		verdicts[i] = r.confirmed()
		onlyOwn = onlyOwn && r.own
	}
	m.mu.Unlock()
	m.link.abort()
	m.client.connLost(m, err, len(flight) > 0, onlyOwn)
	m.mu.Lock()
	m.err = err
	m.mu.Unlock()
	for i, r := range flight {
		if verdicts[i] {
			m.client.count.acked(r)
			r.settle(nil)
			continue
		}
		r.settle(err)
	}
	close(m.lost)
}

func (m *Conn) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

func lostError(m *Conn, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: ClassLost, Op: "stay connected to", Broker: m.broker.name, Err: err,
		Hint: "look at the broker's log at this time, and at the network between"}
}

// Lost is closed when the connection has ended, whatever the reason. All its
// receipts are settled by then.
func (m *Conn) Lost() <-chan struct{} { return m.lost }

// Err tells why the connection ended, nil while it is up. It is an *Error:
// ClassLost, ClassSilent or ClassSameID after a loss, ClassProbe when it was closed to ask
// the broker by MQTT 5, ClassClosed after Close.
func (m *Conn) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Unsettled is the number of messages in flight or queued.
func (m *Conn) Unsettled() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.flight)
}

// Broker is the broker's URL without user information.
func (m *Conn) Broker() string { return m.broker.name }
