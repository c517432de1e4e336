package publish

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// echoLane is the topic level on which delivery is proven. MQTT 3.1.1 gives a
// PUBACK also for a message that the broker's access list drops, so a PUBACK
// alone proves nothing.
const echoLane = "echo"

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
	Detail string // what was seen
	Hint   string // what an operator can do; "" = nothing
	Since  time.Time
}

// verdict is what asking a broker by MQTT 5 gave, kept so that the asking does
// not repeat with every connection.
type verdict struct {
	proof Proof
	until time.Time
}

const (
	keepVerdict = time.Hour
	// keepFailed is shorter: records wait until the access list is mended.
	keepFailed = 10 * time.Minute
	// retryFailed is the time between two proofs while the state is failed.
	retryFailed = time.Minute
)

// connProof is the proof's part in one connection.
type connProof struct {
	mu      sync.Mutex
	nonce   string
	back    chan struct{} // closed when nonce came back
	decided chan struct{} // closed when the state is no longer pending
	once    sync.Once
}

func (p *connProof) init() { p.decided = make(chan struct{}) }

func (p *connProof) decide() { p.once.Do(func() { close(p.decided) }) }

func (p *connProof) expect(nonce string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonce, p.back = nonce, make(chan struct{})
	return p.back
}

func (p *connProof) came(nonce string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if nonce == p.nonce && p.back != nil {
		close(p.back)
		p.nonce, p.back = "", nil
	}
}

// WaitProof waits until the proof is no longer pending, the connection is lost
// or ctx ends, and gives the state then.
func (m *Conn) WaitProof(ctx context.Context) Proof {
	select {
	case <-m.proof.decided:
	case <-m.lost:
	case <-ctx.Done():
	}
	return m.client.Status().Proof
}

// Deliverable tells whether records may be sent: not while the proof is failed
// or pending, and with Confirm "echo" only when it is proven, for nothing else
// would ever be confirmed.
func (m *Conn) Deliverable() bool {
	m.client.mu.Lock()
	state := m.client.proof.State
	m.client.mu.Unlock()
	switch state {
	case ProofProven:
		return true
	case ProofUnproven:
		return m.client.cfg.Confirm != ConfirmEcho
	}
	return false
}

// prove runs the proof after the connect and then at intervals.
func (m *Conn) prove() {
	for {
		detail, ok := m.proveOnce()
		if detail == "" && !ok {
			return // lost
		}
		if !m.judge(detail, ok) {
			return
		}
		wait := m.client.cfg.ProofInterval
		if m.client.Status().Proof.State == ProofFailed {
			wait = min(wait, retryFailed)
		}
		if !m.sleep(wait) {
			return
		}
	}
}

func (m *Conn) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-m.stop:
	case <-m.lost:
	}
	return false
}

// proveOnce gives true when the echo came, else what was seen instead, or ""
// when the connection ended.
func (m *Conn) proveOnce() (string, bool) {
	if detail, ok := m.subscribe(); !ok {
		return detail, false
	}
	nonce := rand.Text()
	detail, ok := m.handedBack(nonce, Message{Topic: m.client.Topic(echoLane), Payload: []byte(nonce)})
	if !ok || m.client.cfg.Confirm != ConfirmEcho || m.client.idSuffix != "" {
		return detail, ok
	}
	// With Confirm "echo" records have to come back too, and an access list may
	// serve the echo topic alone. The availability, sent once more as it is,
	// stands for them.
	word := "online"
	if m.client.quiet {
		word = "offline"
	}
	return m.handedBack(availability, Message{Topic: m.client.Topic(availability), Payload: []byte(word), Retain: true})
}

// handedBack publishes msg and waits for the broker to hand it back; key is what
// received calls it.
func (m *Conn) handedBack(key string, msg Message) (string, bool) {
	back := m.proof.expect(key)
	r, err := m.publish(msg, true)
	if err != nil || !m.settledOrLost(r) {
		return "", false
	}
	t := time.NewTimer(m.client.cfg.ProofTimeout)
	defer t.Stop()
	select {
	case <-back:
		return "", true
	case <-t.C:
		return fmt.Sprintf("%s did not come back within %v", msg.Topic, m.client.cfg.ProofTimeout), false
	case <-m.stop:
	case <-m.lost:
	}
	return "", false
}

func (m *Conn) settledOrLost(r *Receipt) bool {
	select {
	case <-r.done:
		return r.err == nil
	case <-m.stop:
		return false
	}
}

// subscribe asks for the echo topic, or with Confirm "echo" for everything of
// this client.
func (m *Conn) subscribe() (string, bool) {
	topic := m.client.Topic(echoLane)
	if m.client.cfg.Confirm == ConfirmEcho {
		topic = m.client.Topic("#")
	}
	token := m.paho.Subscribe(topic, 1, nil)
	t := time.NewTimer(m.client.cfg.AckTimeout)
	defer t.Stop()
	select {
	case <-token.Done():
	case <-t.C:
		return "the broker did not answer a SUBSCRIBE", false
	case <-m.stop:
		return "", false
	case <-m.lost:
		return "", false
	}
	if token.Error() != nil {
		return "", false // the connection is going down
	}
	if sub, ok := token.(*mqtt.SubscribeToken); ok && sub.Result()[topic] == 0x80 {
		return "the broker refuses the subscription to " + topic, false
	}
	return "", true
}

// judge turns the outcome into a state. False = the connection is closed to
// ask the broker by MQTT 5.
func (m *Conn) judge(detail string, ok bool) bool {
	c, name := m.client, m.broker.name
	c.mu.Lock()
	if c.conn != m { // lost: what comes after it has a proof of its own
		c.mu.Unlock()
		return false
	}
	if ok {
		c.proven[name] = true
		delete(c.verdicts, name)
		c.setProof(Proof{State: ProofProven, Detail: "an echo came back"})
		c.mu.Unlock()
		c.tellProof(true, m)
		return true
	}
	if v, known := c.verdicts[name]; known && time.Now().Before(v.until) {
		changed := c.setProof(v.proof)
		c.mu.Unlock()
		c.tellProof(changed || v.proof.State != ProofFailed, m)
		return true
	}
	c.probe[name] = true
	c.mu.Unlock()
	m.retire(fmt.Errorf("%s: asking the broker by MQTT 5 whether it takes what is sent", detail))
	return false
}

// setProof needs c.mu; it tells whether the state changed.
func (c *Client) setProof(p Proof) bool {
	changed := p.State != c.proof.State || p.Detail != c.proof.Detail
	if changed {
		p.Since = time.Now()
		c.proof = p
	}
	return changed
}

func (c *Client) tellProof(worthTelling bool, m *Conn) {
	p := c.Status().Proof
	if m != nil && p.State != ProofPending {
		m.proof.decide()
	}
	if worthTelling && c.cfg.OnProof != nil {
		c.cfg.OnProof(p)
	}
}
