package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	// livedAfter is how long a connection has to last to count as one that lived:
	// only then does the backoff start small again, and the same broker is
	// tried first.
	livedAfter = time.Minute
	// After sameIDAfter connections in a row that did not live, somebody else
	// probably uses the client id: each of the two throws the other out when it
	// connects (MQTT 3.1.1, 3.1.4-2).
	sameIDAfter = 3
	// After askAfter connections in a row that did not live and ended with birth,
	// availability or proof unacknowledged, or before the proof was decided, the
	// broker is asked by MQTT 5: some brokers close the connection when their
	// access list denies a message, mosquitto sometimes after its PUBACK.
	askAfter = 2
)

// Client makes one connection after the other. Its methods may be called from
// any goroutine.
type Client struct {
	cfg     Config
	brokers []broker
	open    func(context.Context, broker) (conn, raw net.Conn, err error) // dial, see there
	// For check: no will, birth and availability, and another client id.
	quiet    bool
	idSuffix string
	// The broker asked this attempt for a client certificate, and there is none.
	certMissing atomic.Bool
	sessions    tls.ClientSessionCache // a reconnect resumes the TLS session: fewer bytes and less work for the broker
	password    atomic.Pointer[string] // what PasswordAgain returned last, nil = nothing yet

	mu       sync.Mutex // guards everything below; taken after Conn.mu
	backoff  *backoff
	next     int  // index of the broker to try
	early    int  // connections in a row that did not live
	failed   bool // the last attempt did not connect
	conn     *Conn
	delivery delivery
	status   Status
}

// New opens no connection. It reads the certificate files once so that a wrong
// path is reported at the start.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Brokers) == 0 {
		return nil, &Error{Class: ClassConfig, Op: "configure MQTT", Err: errors.New("[mqtt] broker is empty")}
	}
	c := &Client{cfg: cfg, backoff: newBackoff(cfg.ReconnectMin, cfg.ReconnectMax, len(cfg.Brokers), cfg.Rand),
		delivery: newDelivery(), status: Status{State: Disconnected, Since: time.Now()}}
	c.open, c.sessions = c.dial, tls.NewLRUClientSessionCache(len(cfg.Brokers))
	needTLS := false
	for _, s := range cfg.Brokers {
		b, err := parseBroker(s)
		if err != nil {
			return nil, err
		}
		needTLS = needTLS || b.tls
		c.brokers = append(c.brokers, b)
	}
	c.next = firstBroker(cfg.ClientID, len(c.brokers))
	if needTLS {
		if _, err := c.tlsConfig(c.brokers[0]); err != nil {
			return nil, err
		}
	}
	routePahoLogs(cfg.Logger)
	return c, nil
}

// firstBroker is where a client begins in a list of brokers: by a hash of its id, so
// that a fleet with one list does not begin at one broker.
func firstBroker(clientID string, brokers int) int {
	h := fnv.New32a()
	h.Write([]byte(clientID)) // a hash never fails
	return int(h.Sum32() % uint32(brokers))
}

// Topic returns "<prefix>/<client_id>/<below>"; below is "<device>/<kind>" for
// records.
func (c *Client) Topic(below string) string { return c.cfg.Prefix + "/" + c.cfg.ClientID + "/" + below }

// availability is the topic of the retained "online", "offline" and, by the
// will, "lost".
const availability = "availability"

func (c *Client) availability(word string) Message {
	return Message{Topic: c.Topic(availability), Payload: []byte(word), Retain: true}
}

// mqttID is the client id to log in with.
func (c *Client) mqttID() string { return c.cfg.ClientID + c.idSuffix }

// Connect makes one attempt at one broker: at first the one that a hash of the client
// id chooses, then the same as before after a connection that lived for a minute, else
// the next of the list. The connection then announces the agent by the retained availability "online" and the birth,
// reads back what the broker knows of it, and proves delivery; see Deliverable.
// The error is an *Error. While a connection of this client is up, it refuses.
func (c *Client) Connect(ctx context.Context) (*Conn, error) {
	c.mu.Lock()
	if c.status.State != Disconnected {
		c.mu.Unlock()
		return nil, &Error{Class: ClassConfig, Op: "connect", Err: errors.New("a connection is up already")}
	}
	b := c.brokers[c.next%len(c.brokers)]
	c.setState(Connecting, b.name)
	ask := c.delivery.about(b.name).ask
	failed := c.failed
	c.mu.Unlock()
	c.certMissing.Store(false)
	if failed && c.cfg.PasswordAgain != nil {
		password := c.cfg.PasswordAgain()
		c.password.Store(&password)
	}

	var m *Conn
	var err error
	if ask {
		err = c.askBroker(ctx, b)
	}
	if err == nil {
		m, err = c.attempt(ctx, b)
	}
	if err != nil {
		e := c.connectError(b, err)
		c.connectFailed(e)
		return nil, e
	}
	c.connected(m)
	m.run()
	return m, nil
}

// openLink opens the way to b within ConnectTimeout. The link ends with ctx or
// after the patience with a CONNACK unless release is called before, which
// returns false when it is too late.
func (c *Client) openLink(ctx context.Context, b broker) (_ context.Context, l *link, release func() bool, err error) {
	opening, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	conn, raw, err := c.open(opening, b)
	if err != nil {
		return opening, nil, nil, err
	}
	ctx, cancelAnswer := context.WithTimeout(ctx, c.connackTimeout(b))
	l = newLink(conn, raw, c.cfg.WriteTimeout)
	stop := context.AfterFunc(ctx, l.abort)
	return ctx, l, func() bool { defer cancelAnswer(); return stop() }, nil
}

func (c *Client) attempt(ctx context.Context, b broker) (*Conn, error) {
	ctx, l, release, err := c.openLink(ctx, b)
	if err != nil {
		return nil, err
	}
	m := newConn(c, b, l)
	if c.cfg.Confirm != ConfirmEcho {
		l.maxBody = MaxRetained
	}
	o := c.options(b, l, c.mqttID())
	if !c.quiet && c.takesWill(b) {
		m.will = true
		o.SetWill(c.Topic(availability), "lost", 1, !c.refuses(b, ExtraRetain))
	}
	o.SetDefaultPublishHandler(func(_ mqtt.Client, msg mqtt.Message) { m.received(msg) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { m.fail(lostError(m, err)) })
	m.paho = mqtt.NewClient(o)
	token := m.paho.Connect()
	<-token.Done() // it ends with the link
	err = token.Error()
	if !release() {
		err = context.Cause(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		c.waitedInVain(b)
	}
	if err != nil {
		l.abort()
		return nil, err
	}
	return m, nil
}

// options is the one set-up with which a token tells the truth: no automatic
// reconnect (it completes tokens without a PUBACK), no connect retry, a clean
// session (else tokens of a lost connection never complete), an explicit
// version (else a refused login is tried twice), a write timeout.
func (c *Client) options(b broker, l *link, id string) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{b.url}
	l.checked = true
	user, password := c.credentials(b)
	o.SetClientID(id).SetUsername(user).SetPassword(password)
	o.SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false)
	o.SetKeepAlive(c.cfg.KeepAlive).SetPingTimeout(patienceMost * c.cfg.PingTimeout) // watch decides
	o.SetConnectTimeout(c.connackTimeout(b)).SetWriteTimeout(c.cfg.WriteTimeout)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return l, nil })
	return o
}

// connected books m, unless it was lost before anybody could see it.
func (c *Client) connected(m *Conn) {
	c.mu.Lock()
	c.status.Connects++
	c.failed = false
	if m.ended {
		c.mu.Unlock()
		return
	}
	c.conn = m
	c.setState(Connected, m.broker.name)
	changed := c.delivery.connected(m.broker.name)
	m.trial = !c.quiet && c.delivery.about(m.broker.name).extras.loggedIn(m.will)
	c.mu.Unlock()
	m.proofKnown(changed)
}

func (c *Client) connectFailed(e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Failures++
	c.backoff.failed()
	c.next++
	if e.Hint == hintUnreachable { // the broker went away: that was no punishment
		for _, k := range c.delivery.known {
			k.extras.blame = nil
		}
	}
	c.failed = true
	// somebody who is thrown out can always connect
	c.early, c.status.SameIDSince = 0, time.Time{}
	if !c.quiet && (e.Class == ClassRefusedLogin || e.Hint == hintEndsConnect) {
		c.delivery.about(e.Broker).extras.logins++
	}
	c.status.LastError, c.status.ErrorAt = e, time.Now()
	c.setState(Disconnected, e.Broker)
}

// connectionEnded books the end of m with what was in flight.
func (c *Client) connectionEnded(m *Conn, e *Error, flight []*Receipt) {
	lived := time.Since(m.began) >= livedAfter
	first, acked, justAcked := m.atTheEnd(flight)
	onlyOwn := len(flight) > 0 && !slices.ContainsFunc(flight, func(r *Receipt) bool { return !r.own })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery.about(m.broker.name).unheard = !m.heard
	extra, leftOut := c.blame(m, e, first, lived)
	if extra == "" && acked != "" && e.Class == ClassLost { // mosquitto does so
		extra, leftOut = acked, c.delivery.about(m.broker.name).extras.ended(acked, 1)
	}
	proof := c.delivery.proof.State
	if c.conn != m {
		proof = ProofPending // m was lost before anybody could see it
	}
	c.conn, m.ended = nil, true
	c.setState(Disconnected, m.broker.name)
	switch e.Class {
	case ClassClosed:
		return
	case ClassProbe:
		c.backoff.closedOnPurpose()
		return
	}
	c.status.Losses++
	c.backoff.lost(lived)
	if lived {
		c.early, c.status.SameIDSince = 0, time.Time{}
	} else {
		c.early++
		c.next++
	}
	doubtful := len(flight) > 0 || justAcked || proof == ProofPending || proof == ProofFailed
	switch {
	case extra != "" && (leftOut || !extra.amongRecords()):
		e.Hint, e.Facts = hintLostAt, lostAt(extra)
		if leftOut {
			e.Err = fmt.Errorf("the broker ended the connection at %s, which is left out from now on: %w", extra, e.Err)
		}
	case c.early >= sameIDAfter && e.Class == ClassLost:
		c.suspectSameID(e, doubtful)
	}
	if c.early >= askAfter && (onlyOwn || proof == ProofPending) && extra.doubtsWriting(leftOut) {
		c.delivery.about(m.broker.name).ask = true
	}
	c.status.LastError, c.status.ErrorAt = e, time.Now()
}

// suspectSameID explains losses that follow each other quickly. A message that
// the broker does not accept also ends each connection early: with messages in
// flight, just after an acknowledgement, before the delivery proof is decided, or after
// it failed. Such a doubtful loss stays a loss, with a hint at both.
func (c *Client) suspectSameID(e *Error, doubtful bool) {
	if doubtful {
		e.Hint, e.Facts = hintLostEarly, map[string]string{"times": strconv.Itoa(c.early), "client_id": c.cfg.ClientID}
		return
	}
	e.Class = ClassSameID
	c.status.SameIDAt = time.Now()
	if c.status.SameIDSince.IsZero() {
		c.status.SameIDSince = c.status.SameIDAt
	}
	e.Hint, e.Facts = hintSameID, map[string]string{"client_id": c.cfg.ClientID}
	e.Err = fmt.Errorf("thrown out within a minute of connecting, %d times in a row: %w", c.early, e.Err)
}

// Backoff is the wait before the next Connect: uniform between ReconnectMin
// and a bound that starts at twice ReconnectMin and doubles with every failed
// Connect and every connection that lasted less than a minute, up to
// ReconnectMax. It is 0 after a connection that was closed only to ask the
// broker by MQTT 5.
func (c *Client) Backoff() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.backoff.wait()
}
