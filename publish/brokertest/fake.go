package brokertest

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Faults say how the fake broker misbehaves. The zero value is a good broker.
type Faults struct {
	NoConnack   bool // read CONNECT and never answer
	Refuse      byte // CONNACK return code, 0 = accept
	CutAfter    int  // cut the connection after so many PUBLISHes, 0 = never
	CutBefore   int  // cut instead of reading on, as with a packet too large
	StopReading bool // half-open: accept, then read and write nothing more
	NoPingresp  bool
	DenySuback  bool // SUBACK with failure
	NoEcho      bool // grant subscriptions and serve nothing
	AckDelay    time.Duration
	// Ack decides about the PUBACK of a message; nil = always.
	Ack func(Message) bool
	// Reject cuts the connection at a message instead of accepting it.
	Reject func(Message) bool
	// AckAndCut acknowledges a message and then cuts the connection.
	AckAndCut func(Message) bool
	// CutConnect cuts at a CONNECT, CutSubscribe at a subscription to this filter,
	// CutUnsubscribe at the end of one.
	CutConnect     func(Connect) bool
	CutSubscribe   func(filter string) bool
	CutUnsubscribe bool
	// AckLate is between a message and its PUBACK; the rest goes on meanwhile, which
	// it does not with AckDelay.
	AckLate time.Duration
	// EchoDelay is between a message and its way back.
	EchoDelay time.Duration
	// Twist rewrites a packet of the broker on its way out; nil = nothing is sent.
	Twist func(packets.ControlPacket) []byte
}

// Fake is a scripted MQTT 3.1.1 broker. It accepts QoS 0 and 1, hands messages
// back to subscriptions of the same connection, and keeps what it received.
type Fake struct {
	tb  testing.TB
	ln  net.Listener
	wg  sync.WaitGroup
	end chan struct{}

	mu       sync.Mutex
	faults   Faults
	conns    map[net.Conn]bool
	connects []Connect
	got      []Message
	acked    map[string]bool
	wills    []Message
	retained map[string]Message
	subs     []string
	change   chan struct{}
}

// Connect is what a client said at the start of a connection.
type Connect struct {
	ClientID, Username, Password string
	CleanSession                 bool
	KeepAlive                    uint16
	Version                      byte
	Will                         *Message
	WillQoS                      byte
}

// NewFake listens on a random loopback port for the length of the test.
func NewFake(tb testing.TB, faults Faults) *Fake {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen on loopback: %v", err)
	}
	f := &Fake{tb: tb, ln: ln, faults: faults, conns: map[net.Conn]bool{}, acked: map[string]bool{}, retained: map[string]Message{},
		end: make(chan struct{}), change: make(chan struct{})}
	f.wg.Go(f.accept)
	tb.Cleanup(f.Close)
	return f
}

// URL is its broker URL.
func (f *Fake) URL() string { return "tcp://" + f.ln.Addr().String() }

// Set replaces the faults, also for connections that are up.
func (f *Fake) Set(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// Received are all messages accepted so far, acknowledged or not, in order.
func (f *Fake) Received() []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Message(nil), f.got...)
}

// Acked tells whether a PUBACK was sent for a message with this payload.
func (f *Fake) Acked(payload string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acked[payload]
}

// Retain makes the broker retain a message, as if it had come before.
func (f *Fake) Retain(topic string, payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retained[topic] = Message{Topic: topic, Payload: payload, Retain: true}
}

// Retained is the payload that is retained on a topic, nil = none.
func (f *Fake) Retained(topic string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.retained[topic].Payload
}

// Subscriptions are all SUBSCRIBEs and UNSUBSCRIBEs so far: "+filter QoS" and
// "-filter".
func (f *Fake) Subscriptions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.subs...)
}

// Connects are all CONNECT packets so far.
func (f *Fake) Connects() []Connect {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Connect(nil), f.connects...)
}

// Wills are the wills of connections that ended without DISCONNECT.
func (f *Fake) Wills() []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Message(nil), f.wills...)
}

// Wait returns as soon as ok, called with the messages received, says true;
// it fails the test after a minute.
func (f *Fake) Wait(ok func([]Message) bool) []Message {
	f.tb.Helper()
	deadline := time.After(patience)
	for {
		f.mu.Lock()
		got, change := f.got[:len(f.got):len(f.got)], f.change
		f.mu.Unlock()
		if ok(got) {
			return got
		}
		select {
		case <-change:
		case <-deadline:
			f.tb.Fatalf("fake broker: after %v there are %d messages, and not the ones waited for", patience, len(got))
		}
	}
}

// Cut cuts all connections.
func (f *Fake) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

// Close ends the broker and waits for its goroutines.
func (f *Fake) Close() {
	f.mu.Lock()
	select {
	case <-f.end:
	default:
		close(f.end)
	}
	f.mu.Unlock()
	f.ln.Close()
	f.Cut()
	f.wg.Wait()
}

func (f *Fake) accept() {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		select {
		case <-f.end:
			c.Close()
		default:
		}
		f.conns[c] = true
		f.mu.Unlock()
		f.wg.Go(func() { f.serve(c) })
	}
}

// session is one connection to the fake.
type session struct {
	f       *Fake
	conn    net.Conn
	number  int
	filters []string
	taken   int
	will    *Message
	writing sync.Mutex
}

var errCut = errors.New("cut by script")

func (f *Fake) serve(c net.Conn) {
	s := &session{f: f, conn: c}
	err := s.run()
	c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
	if err != nil && s.will != nil {
		f.wills = append(f.wills, *s.will)
		f.signal()
	}
}

// signal needs f.mu.
func (f *Fake) signal() {
	close(f.change)
	f.change = make(chan struct{})
}

func (f *Fake) now() Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults
}

// run serves packets; nil = the client said DISCONNECT.
func (s *session) run() error {
	for {
		p, err := packets.ReadPacket(s.conn)
		if err != nil {
			return err
		}
		if _, ok := p.(*packets.DisconnectPacket); ok {
			return nil
		}
		if err := s.answer(p); err != nil {
			return err
		}
		if s.f.now().StopReading && s.number > 0 {
			<-s.f.end
			return errCut
		}
	}
}

func (s *session) answer(p packets.ControlPacket) error {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return s.connect(p)
	case *packets.PublishPacket:
		return s.publish(p)
	case *packets.SubscribePacket:
		return s.subscribe(p)
	case *packets.UnsubscribePacket:
		return s.unsubscribe(p)
	case *packets.PingreqPacket:
		if s.f.now().NoPingresp {
			return nil
		}
		return s.write(packets.NewControlPacket(packets.Pingresp))
	}
	return nil
}

func (s *session) connect(p *packets.ConnectPacket) error {
	hello := Connect{ClientID: p.ClientIdentifier, Username: p.Username, Password: string(p.Password),
		CleanSession: p.CleanSession, KeepAlive: p.Keepalive, Version: p.ProtocolVersion}
	if p.WillFlag {
		hello.Will = &Message{Topic: p.WillTopic, Payload: p.WillMessage, Retain: p.WillRetain}
		hello.WillQoS = p.WillQos
	}
	s.f.mu.Lock()
	s.f.connects = append(s.f.connects, hello)
	s.number = len(s.f.connects)
	s.f.signal()
	s.f.mu.Unlock()
	faults := s.f.now()
	if faults.CutConnect != nil && faults.CutConnect(hello) {
		return errCut
	}
	if faults.NoConnack {
		<-s.f.end
		return errCut
	}
	ack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	ack.ReturnCode = faults.Refuse
	if p.ProtocolVersion != 4 {
		ack.ReturnCode = packets.ErrRefusedBadProtocolVersion
	}
	if err := s.write(ack); err != nil {
		return err
	}
	if ack.ReturnCode != 0 {
		return errCut
	}
	s.will = hello.Will
	return nil
}
