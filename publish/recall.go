package publish

import (
	"crypto/rand"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Reading back. A broker keeps the retained messages of this agent, and so it
// knows how far the agent had come, whatever became of the agent's own disk. At
// each connect, before anything that it keeps is replaced and before records go
// out, they are read: the retained echo, health and states. A broker sends what
// it retained before what is published after the subscription, so the view is
// complete when the echo of the delivery proof has come back.

const (
	// maxRecall bounds the payload bytes that Recalled holds; the states of a
	// thousand endpoints are 3 MB.
	maxRecall = 8 << 20
	// MaxRetained bounds a retained message of this agent, topic included, in
	// bytes: what is larger is not sent as a birth and not read back. Some brokers
	// accept no more.
	MaxRetained = 128_000
	// recallWait is the patience with retained messages where no echo tells that
	// all have come.
	recallWait = 2 * time.Second
)

// Recalled is what the broker had retained of this agent, as it was before this
// connection published anything below echo, health and the states.
type Recalled struct {
	Broker string // URL without user information
	// Messages are those of echo ("<prefix>/<client_id>/echo"), health and states
	// ("<prefix>/<client_id>/<device>/state"), in the order of their arrival, each
	// topic at most once. The payloads are as they were published, by this agent or
	// by whoever else may write there: they are to be checked like all foreign
	// bytes. The echo's has a key "nonce" beside what Config.Echo returned.
	Messages []Received
	// Complete = the broker has sent all it had: an absent topic is a topic that
	// it does not retain. False = there may be more, because an echo did not come
	// back, a subscription was rejected, or a message was too large. Even then some
	// brokers do not hand retained messages to a subscription with wildcards
	// (RabbitMQ), or drop some of a thousand: then echo alone is there.
	Complete bool
	// EchoDenied and StatesDenied = the broker does not let this agent read its
	// echo, or its health and states. A broker may also deny in silence.
	EchoDenied, StatesDenied bool
	// Skipped messages were over MaxRetained each or 8 MiB together.
	Skipped int
}

// recall collects. Conn.mu guards it.
type recall struct {
	Recalled
	bytes int
	ended bool // handed over: what comes now is not kept
}

// keep takes a message that the broker had retained.
func (m *Conn) keep(msg mqtt.Message) {
	k := &m.recall
	if k.ended || !m.recallable(msg.Topic()) {
		return
	}
	for _, old := range k.Messages {
		if old.Topic == msg.Topic() { // from two subscriptions
			return
		}
	}
	if k.bytes += len(msg.Payload()); k.bytes > maxRecall {
		k.Skipped++
		return
	}
	k.Messages = append(k.Messages, Received{Topic: msg.Topic(), Payload: msg.Payload(), Retained: true})
}

// readBack tells whether what the broker retained has been read, or nobody wants it.
func (m *Conn) readBack() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.recall.ended || m.client.cfg.OnRecall == nil || m.client.quiet
}

func (m *Conn) recallable(topic string) bool {
	below, ok := strings.CutPrefix(topic, m.client.Topic(""))
	device, kind, deep := strings.Cut(below, "/")
	return ok && (below == echoTopic || below == healthTopic || deep && device != "" && kind == stateTopic)
}

// handOverRecalled gives the caller what was read, once, and waits for it.
// complete = the echo came back after it.
func (m *Conn) handOverRecalled(complete bool) {
	m.mu.Lock()
	if m.recall.ended {
		m.mu.Unlock()
		return
	}
	m.recall.ended = true
	r := m.recall.Recalled
	m.recall.Recalled = Recalled{}
	m.mu.Unlock()
	r.Broker = m.broker.name
	r.Skipped += int(m.link.skipped.Load())
	r.Complete = complete && !r.EchoDenied && !r.StatesDenied && r.Skipped == 0
	if m.client.cfg.OnRecall != nil && !m.client.quiet {
		m.client.cfg.OnRecall(m.ctx, r)
	}
	m.recalled.Store(true)
}

// Remember publishes, retained, what Config.Echo returns now; the next connect
// hands it to Config.OnRecall. It is called by this package after OnRecall and
// with each delivery proof, and may be called as often as the caller wants a
// fresher word, once OnRecall has been called. Without Config.Echo, and at a
// broker that does not accept retained messages, it does nothing.
func (m *Conn) Remember() { m.remember() }

// remember returns nil when nothing is sent.
func (m *Conn) remember() *Receipt {
	c := m.client
	leftOut := func(e Extra) bool { return c.refuses(m.broker, e) }
	if c.cfg.Echo == nil || c.quiet || !m.recalled.Load() || leftOut(ExtraRetain) || leftOut(ExtraProof) || leftOut(ExtraMemory) {
		return nil
	}
	msg := Message{Topic: c.Topic(echoTopic), Payload: c.echoPayload(rand.Text()), Retain: true}
	r, _ := m.publish(msg, true, ExtraMemory) // fails only with the connection
	return r
}

// echoPayload is the JSON object of Config.Echo with a nonce.
func (c *Client) echoPayload(nonce string) []byte {
	out := []byte(`{"nonce":"` + nonce + `"`)
	if c.cfg.Echo == nil || c.quiet {
		return append(out, '}')
	}
	said := strings.TrimSpace(string(c.cfg.Echo()))
	if rest, ok := strings.CutPrefix(said, "{"); ok && strings.TrimSpace(rest) != "}" {
		return append(append(out, ','), rest...)
	}
	return append(out, '}')
}
