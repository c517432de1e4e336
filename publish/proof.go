package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// The delivery proof. MQTT 3.1.1 sends a PUBACK also for a message that the
// broker's access list drops, so a PUBACK alone proves nothing. After each
// connect and then every ProofInterval (every minute while it is failed) a
// connection publishes on the echo topic what it has subscribed to:
//
//	pending ── echo returns ──────────────────────────────▶ proven
//	   └────── no echo ─▶ the broker's answer is known ───▶ unproven, failed
//	                  └▶ close, ask the broker by MQTT 5, connect, pending or the answer
//
// "Not known" is never "go": where the broker granted the subscription, nothing
// comes back, and it cannot be asked, the proof is failed.
// Records may be sent while the state is proven, and with Confirm "puback" also
// while it is unproven.

// Topics below the client's: delivery is proven on echo, the others are read
// back.
const (
	echoTopic   = "echo"
	healthTopic = "health"
	stateTopic  = "state" // below a device
)

// ProofState says what is known about delivery.
type ProofState string

// The proof states.
const (
	ProofPending  ProofState = "pending"  // not known yet on this connection
	ProofProven   ProofState = "proven"   // a message came back
	ProofUnproven ProofState = "unproven" // reading is denied, or the broker says that it accepts what is sent
	ProofFailed   ProofState = "failed"   // the broker drops what this client sends
)

// Proof is the state of the delivery proof.
type Proof struct {
	State  ProofState
	Detail string            // what was seen
	Hint   Hint              // what an operator can do, as a code; "" = nothing
	Facts  map[string]string // what its words may name: "client_id", "topic"
	Since  time.Time
}

// Advice is what an operator can do, as a code, with the facts that its words may
// name; "" = nothing.
func (p Proof) Advice() (code string, facts map[string]string) { return string(p.Hint), p.Facts }

const (
	// keepAnswer is how long a broker's answer by MQTT 5 is kept, so that the
	// asking does not repeat with every connection.
	keepAnswer = time.Hour
	// keepFailed is shorter: records wait until the access list is fixed.
	keepFailed = 10 * time.Minute
	// retryFailed is the time between two proofs while the state is failed.
	retryFailed = time.Minute
)

// knowledge is what is remembered about one broker, over all connections.
type knowledge struct {
	proven bool // an echo once came back
	// The broker said that this client may not read: it rejected the subscription
	// or ended the connection at it. A missing echo alone says nothing.
	unreadable bool
	mute       bool // it cannot be asked
	unheard    bool // on the last connection it acknowledged nothing of this package
	extras     extras
	slow       slow
	ask        bool      // ask it by MQTT 5 before the next connection
	answer     Proof     // what it answered
	until      time.Time // the answer is kept
}

func (k *knowledge) answered() bool { return time.Now().Before(k.until) }

// delivery is the state of the proof and its rules. Client.mu guards it.
type delivery struct {
	proof Proof                 // of the connection of the moment
	known map[string]*knowledge // by the broker's URL
}

func newDelivery() delivery {
	return delivery{proof: Proof{State: ProofPending, Since: time.Now()}, known: map[string]*knowledge{}}
}

func (d *delivery) about(broker string) *knowledge {
	if d.known[broker] == nil {
		d.known[broker] = &knowledge{}
	}
	return d.known[broker]
}

// set tells whether the state changed.
func (d *delivery) set(p Proof) bool {
	if p.State == d.proof.State && p.Detail == d.proof.Detail {
		return false
	}
	p.Since = time.Now()
	d.proof = p
	return true
}

// connected begins a connection with what the broker answered, else pending.
func (d *delivery) connected(broker string) (changed bool) {
	if k := d.about(broker); k.answered() {
		return d.set(k.answer)
	}
	return d.set(Proof{State: ProofPending})
}

func (d *delivery) echoReturned(broker string) {
	k := d.about(broker)
	k.proven, k.until = true, time.Time{}
	d.set(Proof{State: ProofProven, Detail: "an echo came back"})
}

// noEcho goes by the broker's answer. known = false: it has to be asked.
func (d *delivery) noEcho(broker string) (known, changed bool) {
	k := d.about(broker)
	if k.answered() {
		return true, d.set(k.answer)
	}
	k.ask = true
	return false, false
}

func (d *delivery) brokerAnswered(broker string, p Proof) {
	k := d.about(broker)
	keep := keepAnswer
	if p.State == ProofFailed {
		keep = keepFailed
	}
	k.ask, k.answer, k.until = false, p, time.Now().Add(keep)
}

func (c *Client) proof() Proof {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.delivery.proof
}

// Deliverable tells whether records may be sent: not before OnRecall has
// returned, not while the proof is failed or pending, and with Confirm "echo"
// only when it is proven, because nothing else would ever be confirmed.
func (m *Conn) Deliverable() bool {
	if !m.recalled.Load() {
		return false
	}
	switch m.client.proof().State {
	case ProofProven:
		return true
	case ProofUnproven:
		return m.client.cfg.Confirm != ConfirmEcho
	}
	return false
}

// WaitProof waits until the proof is no longer pending, the connection is lost
// or ctx ends, and returns the state then.
func (m *Conn) WaitProof(ctx context.Context) Proof {
	select {
	case <-m.proof.decided:
	case <-m.lost:
	case <-ctx.Done():
	}
	return m.client.proof()
}

// connProof is the proof's part in one connection. Conn.mu guards key and back.
type connProof struct {
	key     string        // what is to come back
	back    chan struct{} // closed when it has
	decided chan struct{} // closed when the state is no longer pending
}

func (p *connProof) returned(key string) {
	if key == p.key && p.back != nil {
		close(p.back)
		p.key, p.back = "", nil
	}
}

// proofKnown tells those who wait, and OnProof when it is worth telling.
func (m *Conn) proofKnown(worthTelling bool) {
	p := m.client.proof()
	if p.State != ProofPending && m.recalled.Load() && !isClosed(m.proof.decided) {
		close(m.proof.decided)
	}
	if worthTelling && m.client.cfg.OnProof != nil {
		m.client.cfg.OnProof(p)
	}
}

// prove does what comes before records: it announces the agent, reads back what
// the broker knows of it, and proves delivery. Then it proves it at intervals.
func (m *Conn) prove() {
	if m.trial {
		m.closeToAsk(errors.New("logged in without a will: asking the broker whether it rejects the will"))
		return
	}
	if m.announce(false) != nil {
		return
	}
	err := m.tryEcho()
	for m.conclude(err) {
		m.unsubscribe()
		wait := m.client.cfg.ProofInterval
		failed := m.client.proof().State == ProofFailed
		if failed {
			wait = min(wait, retryFailed)
		}
		switch m.await(m.late, wait) {
		case errEnded:
			return
		case nil: // the echo came after all: this broker needs longer
			m.late = nil
			m.client.echoIsLate(m.broker)
			if err = nil; m.client.cfg.Confirm == ConfirmEcho { // records have to come back too
				err = m.tryEcho()
			}
		default:
			if failed && !m.wasHeard() && m.announce(true) != nil {
				return
			}
			err = m.tryEcho()
		}
	}
}

// wasHeard tells whether the broker has acknowledged a message of this package.
func (m *Conn) wasHeard() bool {
	m.client.mu.Lock()
	defer m.client.mu.Unlock()
	return m.heard
}

// echoIsLate notes that an echo came back when nobody waited for it any more.
func (c *Client) echoIsLate(b broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery.about(b.name).proven = true
}

// announce publishes the retained availability "online" and the birth, as far as
// the broker accepts them. With again the availability is tried although it is left
// out: where all that could be heard is left out and no record goes, there is nothing
// to lose, and nothing else would show that the broker is well by now.
func (m *Conn) announce(again bool) error {
	c := m.client
	if c.quiet {
		return nil
	}
	if again || !c.refuses(m.broker, ExtraOnline) {
		extra := ExtraRetain
		if c.refuses(m.broker, extra) {
			extra = ExtraOnline
		}
		if err := m.own(extra, c.availability("online")); err != nil {
			return err
		}
		c.passed(m.broker, ExtraOnline)
	}
	for _, birth := range []struct {
		extra Extra
		make  func() []byte
	}{{ExtraBirth, c.cfg.Birth}, {ExtraShortBirth, c.cfg.ShortBirth}} {
		if birth.make == nil || c.refuses(m.broker, birth.extra) {
			continue
		}
		msg := Message{Topic: c.Topic("birth"), Payload: birth.make(), Retain: true}
		if n := len(msg.Topic) + len(msg.Payload); n > MaxRetained {
			c.cfg.Logger.Warn("birth is too large", "extra", birth.extra, "bytes", n, "at_most", MaxRetained)
			continue
		}
		return m.own(birth.extra, msg)
	}
	return nil
}

// unwritten is what is known where the broker ends the connection at the echo: such a
// broker does not drop in silence, so where it accepts others of this agent's messages
// nothing speaks against the records.
func (m *Conn) unwritten() Proof {
	c := m.client
	p := Proof{State: ProofFailed, Hint: hintEndsOnWrite, Facts: c.access("#"),
		Detail: fmt.Sprintf("the broker ends the connection whenever this agent writes below %s", c.Topic(""))}
	if m.heard {
		p = Proof{State: ProofUnproven, Hint: hintNoReadWrite, Facts: c.access(echoTopic),
			Detail: "the broker ends the connection when this agent writes its echo, and accepts other messages of it"}
	}
	return p
}

// own publishes a message of this package and waits until the broker has
// acknowledged it. The error is errEnded.
func (m *Conn) own(e Extra, msg Message) error {
	m.doing(e)
	r, err := m.publish(msg, true, "")
	if err != nil || m.await(r.done, 0) != nil || r.err != nil {
		return errEnded
	}
	if e != "" && e != ExtraProof && m.await(nil, settle) == errEnded {
		return errEnded
	}
	m.did(e)
	c := m.client
	c.mu.Lock()
	defer c.mu.Unlock()
	m.heard = true
	if k := c.delivery.about(m.broker.name); k.unheard { // what was made of that is old
		k.unheard, k.until = false, time.Time{}
	}
	return nil
}

// settle is how long a connection has to go on after an acknowledgement: mosquitto
// acknowledges some messages that it does not accept and ends the connection right
// behind. So the next step is not blamed for it.
const settle = 50 * time.Millisecond

// conclude turns the outcome of an echo into a state. False = the connection
// has ended, or is closed to ask the broker by MQTT 5.
func (m *Conn) conclude(err error) bool {
	if err == errEnded {
		return false
	}
	c, name := m.client, m.broker.name
	c.mu.Lock()
	if c.conn != m { // lost: what comes after it has a proof of its own
		c.mu.Unlock()
		return false
	}
	known, worthTelling := true, true
	switch {
	case err == nil:
		c.delivery.echoReturned(name)
	case errors.Is(err, errUnwritten):
		worthTelling = c.delivery.set(m.unwritten())
	default:
		k, denied := c.delivery.about(name), errors.Is(err, errDenied)
		if k.mute && k.unreadable != denied { // what was made of its silence is old
			k.until = time.Time{}
		}
		k.unreadable = denied
		known, worthTelling = c.delivery.noEcho(name)
		worthTelling = worthTelling || c.delivery.proof.State != ProofFailed
	}
	c.mu.Unlock()
	if known {
		m.handOverRecalled(err == nil)
		m.memory = m.remember()
		m.proofKnown(worthTelling)
		return true
	}
	m.closeToAsk(fmt.Errorf("%w: asking the broker by MQTT 5 whether it accepts what is sent", err))
	return false
}

func (m *Conn) closeToAsk(why error) {
	ctx, cancel := context.WithTimeout(context.Background(), m.client.cfg.PingTimeout)
	defer cancel()
	_ = m.shutDown(ctx, &Error{Class: ClassProbe, Op: "prove delivery to", Broker: m.broker.name, Err: why}, nil)
}

var (
	errEnded   = errors.New("the connection has ended")
	errTimeout = errors.New("timeout")
	errDenied  = errors.New("reading is denied")
	// The echo is left out, see ExtraProof.
	errUnwritten = errors.New("the echo is not written")
)

// await waits for done, at most for patience; 0 = without limit.
func (m *Conn) await(done <-chan struct{}, patience time.Duration) error {
	var timeout <-chan time.Time
	if patience > 0 {
		t := time.NewTimer(patience)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-done:
		return nil
	case <-timeout:
		return errTimeout
	case <-m.stop:
	case <-m.lost:
	}
	return errEnded
}

// tryEcho returns nil when the echo came back, errEnded, or what was seen
// instead; errDenied is in that when the broker said that it does not let this
// client read.
//
// The subscriptions have QoS 0 and end with the proof: at QoS 1 each costs some
// brokers a consumer for its life. With Confirm "echo" those to the records
// have QoS 1 and stay.
func (m *Conn) tryEcho() error {
	c := m.client
	first, all := !m.recalled.Load(), c.cfg.Confirm == ConfirmEcho
	filters := map[string]byte{c.Topic(echoTopic): 0}
	if all { // all that is to be handed back, and nothing that is not
		for _, topic := range []string{availability, healthTopic, "+/+", "+/view/+"} {
			filters[c.Topic(topic)] = 1
		}
	}
	denied := m.subscribe(ExtraEcho, filters)
	if denied == errEnded {
		return errEnded
	}
	deniedStates := denied
	if first && !c.quiet {
		if !all { // else they are among those already
			filters := map[string]byte{c.Topic(healthTopic): 0, c.Topic("+/" + stateTopic): 0}
			if deniedStates = m.subscribe(ExtraStates, filters); deniedStates == errEnded {
				return errEnded
			}
			if deniedStates == nil {
				m.leave = slices.AppendSeq(m.leave, maps.Keys(filters))
			}
		}
		m.mu.Lock()
		m.recall.EchoDenied, m.recall.StatesDenied = errors.Is(denied, errDenied), errors.Is(deniedStates, errDenied)
		m.mu.Unlock()
	}
	if denied != nil {
		if first && deniedStates == nil && m.await(nil, recallWait) == errEnded {
			return errEnded
		}
		return denied
	}
	if !all {
		m.leave = slices.AppendSeq(m.leave, maps.Keys(filters))
	}
	if c.refuses(m.broker, ExtraProof) {
		if first && m.await(nil, recallWait) == errEnded {
			return errEnded
		}
		return errUnwritten
	}
	nonce := string(c.echoPayload(rand.Text()))
	err := m.handedBack(nonce, Message{Topic: c.Topic(echoTopic), Payload: []byte(nonce)})
	if err != nil || !all || c.idSuffix != "" {
		return err
	}
	// With Confirm "echo" records have to come back too, and an access list may
	// serve the echo topic alone. The availability, sent once more as it is,
	// represents them.
	word := "online"
	if c.quiet {
		word = "offline"
	}
	return m.handedBack(availability, c.availability(word))
}

// subscribe returns nil when all is granted, errEnded, errDenied with what the
// broker rejects, or another error.
func (m *Conn) subscribe(e Extra, filters map[string]byte) error {
	if m.client.refuses(m.broker, e) {
		return fmt.Errorf("%w: the broker ends the connection at the subscription", errDenied)
	}
	m.doing(e)
	token := m.paho.SubscribeMultiple(filters, nil)
	err := m.await(token.Done(), m.ackTimeout())
	if err == errTimeout && !m.client.quiet { // pings are answered, or the connection were lost
		m.client.waitedInVain(m.broker)
		err = m.await(token.Done(), m.ackTimeout())
	}
	switch {
	case err == errTimeout:
		m.doing("")
		return errors.New("the broker did not answer a SUBSCRIBE")
	case err != nil || token.Error() != nil:
		return errEnded
	}
	m.did(e)
	for filter := range filters {
		if denied(token, filter) {
			return fmt.Errorf("%w: the broker rejects the subscription to %s", errDenied, filter)
		}
	}
	return nil
}

// unsubscribe ends what the proof needs no longer. Records go out meanwhile.
func (m *Conn) unsubscribe() {
	filters := m.leave
	m.leave = nil
	if m.memory != nil && m.await(m.memory.done, 0) != nil { // or nobody knows which of the two the broker punishes
		return
	}
	if len(filters) == 0 || m.client.refuses(m.broker, ExtraLeave) {
		return
	}
	m.doing(ExtraLeave)
	token := m.paho.Unsubscribe(filters...)
	if m.await(token.Done(), m.ackTimeout()) == nil && token.Error() == nil {
		m.did(ExtraLeave)
	}
}

// denied tells whether the broker rejected the subscription of the token.
func denied(token mqtt.Token, filter string) bool {
	sub, ok := token.(*mqtt.SubscribeToken)
	return ok && sub.Result()[filter] >= rejected
}

const (
	// An echo that does not come is asked for again on the same connection: in a
	// storm of reconnects a broker may be slow, and it is not helped by one more.
	// Every try needs an acknowledgement, so it ends where nothing moves.
	echoTries       = 2
	echoTriesProven = 6 // at a broker that once proved delivery
)

// handedBack publishes msg and waits for the broker to hand it back; key is what
// received calls it.
func (m *Conn) handedBack(key string, msg Message) error {
	c := m.client
	back := make(chan struct{})
	m.mu.Lock()
	m.proof.key, m.proof.back = key, back
	m.mu.Unlock()
	m.late = nil
	tries, patience := echoTries, c.cfg.ProofTimeout
	c.mu.Lock()
	switch k := c.delivery.about(m.broker.name); {
	case c.quiet:
		tries = 1 // a person waits
	case k.answered() && k.answer.State == ProofUnproven:
		tries, patience = 1, min(patience, recallWait) // records wait for an echo that is not expected
	case k.proven:
		tries = echoTriesProven
	}
	c.mu.Unlock()
	for range tries {
		if m.own(ExtraProof, msg) != nil {
			return errEnded
		}
		if err := m.await(back, patience); err != errTimeout {
			return err
		}
	}
	m.late = back
	return fmt.Errorf("%s did not come back within %d times %v", msg.Topic, tries, patience)
}
