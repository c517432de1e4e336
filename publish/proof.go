package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
// Records may be sent while the state is proven, and with Confirm "puback" also
// while it is unproven.

// echoTopic is the topic on which delivery is proven.
const echoTopic = "echo"

// ProofState says what is known about delivery.
type ProofState string

// The proof states.
const (
	ProofPending  ProofState = "pending"  // not known yet on this connection
	ProofProven   ProofState = "proven"   // a message came back
	ProofUnproven ProofState = "unproven" // nothing came back, and nothing says that writing is denied
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
	proven bool      // an echo once came back
	ask    bool      // ask it by MQTT 5 before the next connection
	answer Proof     // what it answered
	until  time.Time // the answer is kept
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

// Deliverable tells whether records may be sent: not while the proof is failed
// or pending, and with Confirm "echo" only when it is proven, because nothing
// else would ever be confirmed.
func (m *Conn) Deliverable() bool {
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
	if p.State != ProofPending && !isClosed(m.proof.decided) {
		close(m.proof.decided)
	}
	if worthTelling && m.client.cfg.OnProof != nil {
		m.client.cfg.OnProof(p)
	}
}

// prove runs the proof after the connect and then at intervals.
func (m *Conn) prove() {
	for {
		if !m.conclude(m.tryEcho()) {
			return
		}
		wait := m.client.cfg.ProofInterval
		if m.client.proof().State == ProofFailed {
			wait = min(wait, retryFailed)
		}
		if m.await(nil, wait) == errEnded {
			return
		}
	}
}

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
	if err == nil {
		c.delivery.echoReturned(name)
	} else {
		known, worthTelling = c.delivery.noEcho(name)
		worthTelling = worthTelling || c.delivery.proof.State != ProofFailed
	}
	c.mu.Unlock()
	if known {
		m.proofKnown(worthTelling)
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.PingTimeout)
	defer cancel()
	_ = m.shutDown(ctx, &Error{Class: ClassProbe, Op: "prove delivery to", Broker: name,
		Err: fmt.Errorf("%w: asking the broker by MQTT 5 whether it accepts what is sent", err)}, nil)
	return false
}

var (
	errEnded   = errors.New("the connection has ended")
	errTimeout = errors.New("timeout")
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
// instead.
func (m *Conn) tryEcho() error {
	c := m.client
	topic := c.Topic(echoTopic)
	if c.cfg.Confirm == ConfirmEcho {
		topic = c.Topic("#") // everything of this client has to come back
	}
	token := m.paho.Subscribe(topic, 1, nil)
	switch err := m.await(token.Done(), c.cfg.AckTimeout); {
	case err == errTimeout:
		return errors.New("the broker did not answer a SUBSCRIBE")
	case err != nil || token.Error() != nil:
		return errEnded
	}
	if denied(token, topic) {
		return fmt.Errorf("the broker rejects the subscription to %s", topic)
	}
	nonce := rand.Text()
	err := m.handedBack(nonce, Message{Topic: c.Topic(echoTopic), Payload: []byte(nonce)})
	if err != nil || c.cfg.Confirm != ConfirmEcho || c.idSuffix != "" {
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

// denied tells whether the broker rejected the subscription of the token.
func denied(token mqtt.Token, filter string) bool {
	sub, ok := token.(*mqtt.SubscribeToken)
	return ok && sub.Result()[filter] == 0x80
}

// handedBack publishes msg and waits for the broker to hand it back; key is what
// received calls it.
func (m *Conn) handedBack(key string, msg Message) error {
	back := make(chan struct{})
	m.mu.Lock()
	m.proof.key, m.proof.back = key, back
	m.mu.Unlock()
	r, err := m.publish(msg, true)
	if err != nil || m.await(r.done, 0) != nil || r.err != nil {
		return errEnded
	}
	err = m.await(back, m.client.cfg.ProofTimeout)
	if err == errTimeout {
		return fmt.Errorf("%s did not come back within %v", msg.Topic, m.client.cfg.ProofTimeout)
	}
	return err
}
