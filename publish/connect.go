package publish

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// availability is the lane of the retained "online", "offline" and, by the
// will, "lost".
const availability = "availability"

// Connect makes one attempt at one broker: the same as before after a
// connection that lived for a minute, else the next of the list. It publishes
// the retained birth and availability "online" and starts the proof. The error
// is an *Error. While a connection of this client is up, it refuses.
func (c *Client) Connect(ctx context.Context) (*Conn, error) {
	b, err := c.begin()
	if err != nil {
		return nil, err
	}
	m, err := c.attempt(ctx, b)
	if err != nil {
		e := connectError(b.name, err)
		c.connectFailed(e)
		return nil, e
	}
	m.run()
	if !c.quiet {
		m.announce()
	}
	return m, nil
}

// begin picks the broker.
func (c *Client) begin() (broker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Disconnected {
		return broker{}, &Error{Class: ClassConfig, Op: "connect", Err: errors.New("a connection is up already")}
	}
	b := c.brokers[c.next%len(c.brokers)]
	c.setState(Connecting, b.name)
	return b, nil
}

func (c *Client) attempt(ctx context.Context, b broker) (*Conn, error) {
	if err := c.askBroker(ctx, b); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	conn, raw, err := c.open(ctx, b)
	if err != nil {
		return nil, err
	}
	l := newLink(conn, raw, c.cfg.WriteTimeout)
	m := newConn(c, b, l)
	m.paho = mqtt.NewClient(c.options(b, m))
	release := context.AfterFunc(ctx, l.abort)
	token := m.paho.Connect()
	<-token.Done() // the link's deadline bounds it
	if !release() {
		err = context.Cause(ctx)
	}
	if token.Error() != nil && err == nil {
		err = token.Error()
	}
	if err != nil {
		l.abort()
		return nil, err
	}
	if a, ok := raw.(*certAsked); ok {
		a.refused.Store(false)
	}
	c.connected(m)
	return m, nil
}

// options is the one set-up with which a token tells the truth: no automatic
// reconnect (it completes tokens without a PUBACK), no connect retry, a clean
// session (else tokens of a lost connection never complete), an explicit
// version (else a refused login is tried twice), a write timeout.
func (c *Client) options(b broker, m *Conn) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{b.url}
	user, password := c.credentials(b)
	o.SetClientID(c.mqttID()).SetUsername(user).SetPassword(password)
	o.SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false)
	o.SetKeepAlive(c.cfg.KeepAlive).SetPingTimeout(c.cfg.PingTimeout)
	o.SetConnectTimeout(c.cfg.ConnectTimeout).SetWriteTimeout(c.cfg.WriteTimeout)
	if !c.quiet {
		o.SetWill(c.Topic(availability), "lost", 1, true)
	}
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return m.link, nil })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, msg mqtt.Message) { m.received(msg) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { m.fail(lostError(m, err)) })
	return o
}

// announce sends the birth and "online" before anything else. Their
// acknowledgements count for the ack deadline like all others.
func (m *Conn) announce() {
	if birth := m.client.cfg.Birth; birth != nil {
		_, _ = m.publish(Message{Topic: m.client.Topic("birth"), Payload: birth(), Retain: true}, true) // fails only with the connection
	}
	_, _ = m.publish(Message{Topic: m.client.Topic(availability), Payload: []byte("online"), Retain: true}, true) // the same
}

// received takes every message that the broker sends. It must not block.
func (m *Conn) received(msg mqtt.Message) {
	if msg.Topic() == m.client.Topic(echoLane) {
		m.proof.came(string(msg.Payload()))
	}
	if msg.Topic() == m.client.Topic(availability) && !msg.Retained() {
		m.proof.came(availability)
	}
	if m.client.cfg.Confirm == ConfirmEcho && !msg.Retained() {
		m.echoes.came(msg.Topic(), msg.Payload())
	}
}

// connected books m, unless it was lost before anybody could see it.
func (c *Client) connected(m *Conn) {
	c.count.connects.Add(1)
	c.mu.Lock()
	if m.isClosed() {
		c.mu.Unlock()
		return
	}
	c.conn = m
	c.setState(Connected, m.broker.name)
	p := Proof{State: ProofPending}
	if v, ok := c.verdicts[m.broker.name]; ok && time.Now().Before(v.until) {
		p = v.proof
	}
	changed := c.setProof(p)
	c.mu.Unlock()
	c.tellProof(changed, m)
}

func (c *Client) connectFailed(e *Error) {
	c.backoff.failed()
	c.count.failures.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	c.early = earlyLosses{} // somebody who is thrown out can always connect
	c.lastErr, c.errAt = e, time.Now()
	c.setState(Disconnected, e.Broker)
}

// askAfter connections in a row that ended early with birth, availability or
// proof unacknowledged, or before the proof was decided, the broker is asked by
// MQTT 5: some brokers close the connection when their access list denies a
// message, mosquitto sometimes after its PUBACK.
const askAfter = 2

// connLost books the end of m. It may replace a plain loss by the verdict that
// the client id is used twice. busy: something was unacknowledged; onlyOwn:
// nothing but messages of this package.
func (c *Client) connLost(m *Conn, e *Error, busy, onlyOwn bool) {
	lived := time.Since(m.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	undecided := c.conn != m || c.proof.State == ProofPending
	denied := c.proof.State == ProofFailed
	c.conn = nil
	c.setState(Disconnected, m.broker.name)
	switch e.Class {
	case ClassClosed:
		return
	case ClassProbe:
		c.backoff.closedOnPurpose()
		return
	}
	c.count.losses.Add(1)
	c.backoff.lost(lived)
	if lived < livedAfter {
		c.next++
	}
	c.early.count(lived)
	c.early.judge(c.cfg.ClientID, busy || undecided || denied, e)
	if (onlyOwn || undecided) && c.early.row >= askAfter {
		c.probe[m.broker.name] = true
	}
	c.lastErr, c.errAt = e, time.Now()
}
