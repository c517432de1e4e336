package brokertest

import (
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// patience bounds every wait in this package; it ends a hanging test, it is
// never a measured time.
const patience = 60 * time.Second

// Message is one message as a subscriber or the fake broker got it.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
	Conn    int // fake broker: number of the connection, from 1
}

// Subscription says how to subscribe. Only URL and Filter are needed.
type Subscription struct {
	URL, Filter        string
	Username, Password string
	// ClientID makes the session persistent: the broker queues while the
	// subscriber or the way to it is down, and the subscriber comes back by
	// itself. "" = a new clean session.
	ClientID string
}

// Subscriber collects messages in the order of their arrival.
type Subscriber struct {
	tb     testing.TB
	client mqtt.Client
	mu     sync.Mutex
	got    []Message
	change chan struct{}
}

// Subscribe connects and subscribes with QoS 1 for the length of the test.
func Subscribe(tb testing.TB, sub Subscription) *Subscriber {
	tb.Helper()
	s := &Subscriber{tb: tb, change: make(chan struct{})}
	o := mqtt.NewClientOptions().AddBroker(sub.URL).SetProtocolVersion(4)
	o.SetUsername(sub.Username).SetPassword(sub.Password)
	o.SetClientID(sub.ClientID).SetCleanSession(sub.ClientID == "")
	o.SetAutoReconnect(sub.ClientID != "").SetMaxReconnectInterval(time.Second)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { s.add(m) })
	first := make(chan mqtt.Token, 1) // subscribed once a connection, or retained messages come twice
	o.SetOnConnectHandler(func(c mqtt.Client) {
		token := c.Subscribe(sub.Filter, 1, nil)
		select {
		case first <- token:
		default:
		}
	})
	s.client = mqtt.NewClient(o)
	s.must(s.client.Connect())
	select {
	case token := <-first:
		s.must(token)
	case <-time.After(patience):
		tb.Fatal("subscriber: it did not subscribe")
	}
	tb.Cleanup(s.Close)
	return s
}

func (s *Subscriber) must(t mqtt.Token) {
	s.tb.Helper()
	if !t.WaitTimeout(patience) {
		s.tb.Fatal("subscriber: the broker does not answer")
	}
	if t.Error() != nil {
		s.tb.Fatalf("subscriber: %v", t.Error())
	}
}

func (s *Subscriber) add(m mqtt.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, Message{Topic: m.Topic(), Payload: m.Payload(), Retain: m.Retained()})
	close(s.change)
	s.change = make(chan struct{})
}

// Retain publishes retained messages over the subscriber's connection: by topic, their
// payloads.
func (s *Subscriber) Retain(messages map[string]string) {
	s.tb.Helper()
	for topic, payload := range messages {
		s.must(s.client.Publish(topic, 1, true, payload))
	}
}

// Messages are those that arrived so far.
func (s *Subscriber) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.got...)
}

// Wait returns the messages as soon as ok accepts them; it fails the test
// after a minute.
func (s *Subscriber) Wait(ok func([]Message) bool) []Message {
	s.tb.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		got, change := s.got[:len(s.got):len(s.got)], s.change
		s.mu.Unlock()
		if ok(got) {
			return got
		}
		select {
		case <-change:
		case <-deadline:
			s.tb.Fatalf("subscriber: after %v there are %d messages, and not the ones waited for", patience, len(got))
		}
	}
}

// WaitFor waits for a message on topic with this payload ("" = any).
func (s *Subscriber) WaitFor(topic, payload string) Message {
	s.tb.Helper()
	var found Message
	s.Wait(func(got []Message) bool {
		for _, m := range got {
			if m.Topic == topic && (payload == "" || string(m.Payload) == payload) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// Close disconnects; a persistent session stays at the broker.
func (s *Subscriber) Close() { s.client.Disconnect(250) }
