package publish

import (
	"context"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/publish/brokertest"
)

const (
	aclAll       = "topic readwrite #\n"
	aclNoRead    = "topic write t/v1/agent-1/#\n"
	aclNoWrite   = "topic read t/v1/agent-1/#\n"
	aclNothing   = "topic readwrite other/#\n"
	proofTimeout = 300 * time.Millisecond
)

func proofClient(t *testing.T, url string) (*Client, chan Proof) {
	seen := make(chan Proof, 100)
	cfg := testConfig(url)
	cfg.ProofTimeout = proofTimeout
	cfg.OnProof = func(p Proof) { seen <- p }
	return newClient(t, cfg), seen
}

// proveUntil connects as often as the proof asks for it.
func proveUntil(t *testing.T, c *Client) (*Conn, Proof) {
	t.Helper()
	for range 3 {
		m := connect(t, c)
		p := m.WaitProof(testContext(t))
		if p.State != ProofPending {
			return m, p
		}
		waitDone(t, "retreat to the write probe", m.Lost())
		wantClass(t, m.Err(), ClassProbe)
		if d := c.Backoff(); d != 0 {
			t.Errorf("the wait before the write probe is %v, want none", d)
		}
	}
	t.Fatal("the proof comes to no end")
	return nil, Proof{}
}

func TestProofAgainstTheAccessListsOfMosquitto(t *testing.T) {
	tests := []struct {
		name, acl   string
		conf        brokertest.Conf
		state       ProofState
		deliverable bool
		detail      string
	}{
		{name: "no access list", state: ProofProven, deliverable: true, detail: "came back"},
		{name: "all rights", acl: aclAll, state: ProofProven, deliverable: true, detail: "came back"},
		{name: "no right to read", acl: aclNoRead, state: ProofUnproven, deliverable: true, detail: "does not hand it back"},
		{name: "no right to write", acl: aclNoWrite, state: ProofFailed, detail: "denies writing"},
		{name: "no right at all", acl: aclNothing, state: ProofFailed, detail: "denies writing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brokertest.Mosquitto(t, brokertest.Conf{ACL: tt.acl})
			c, _ := proofClient(t, s.URL())
			m, p := proveUntil(t, c)
			if p.State != tt.state || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("proof is %s (%s), want %s", p.State, p.Detail, tt.state)
			}
			if m.Deliverable() != tt.deliverable {
				t.Errorf("deliverable is %v", m.Deliverable())
			}
			if p.State == ProofFailed && (p.Facts["topic"] != "t/v1/agent-1/#" || p.Hint == "") {
				t.Errorf("hint is %q, facts %v", p.Hint, p.Facts)
			}
		})
	}
}

// With confirm = "echo" the right to read the echo topic alone is not enough:
// no record would ever be confirmed.
func TestConfirmEchoNeedsTheRightToReadRecords(t *testing.T) {
	const read = "topic write t/v1/agent-1/#\n"
	for _, tt := range []struct {
		name, acl   string
		state       ProofState
		deliverable bool
	}{
		{"echo topic alone", read + "topic read t/v1/agent-1/echo\n", ProofUnproven, false},
		{"everything of its own", read + "topic read t/v1/agent-1/#\n", ProofProven, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := brokertest.Mosquitto(t, brokertest.Conf{ACL: tt.acl})
			cfg := testConfig(s.URL())
			cfg.ProofTimeout, cfg.Confirm = proofTimeout, ConfirmEcho
			m, p := proveUntil(t, newClient(t, cfg))
			if p.State != tt.state || m.Deliverable() != tt.deliverable {
				t.Errorf("proof is %s (%s), deliverable %v; want %s, %v", p.State, p.Detail, m.Deliverable(), tt.state, tt.deliverable)
			}
			if !tt.deliverable && (p.Facts["topic"] != "t/v1/agent-1/#" || p.Hint == "") {
				t.Errorf("hint is %q, facts %v", p.Hint, p.Facts)
			}
		})
	}
}

// Debian's mosquitto with max_queued_messages 0 ends the connection when its
// access list denies a message.
func TestBrokerThatEndsTheConnectionOnADeniedMessageIsAFailedProof(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{ACL: aclNoWrite, Extra: []string{"max_queued_messages 0"}})
	c, _ := proofClient(t, s.URL())
	for range 10 {
		m := connect(t, c)
		p := m.WaitProof(testContext(t))
		if p.State == ProofFailed {
			if p.Facts["topic"] != "t/v1/agent-1/#" || p.Hint == "" {
				t.Errorf("hint is %q, facts %v", p.Hint, p.Facts)
			}
			return
		}
		waitDone(t, "loss of the connection", m.Lost())
	}
	t.Fatalf("the proof comes to no end: %+v", c.Status().Proof)
}

func TestAnswerOfTheBrokerIsRememberedSoThatItIsAskedOnce(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{ACL: aclNoRead})
	c, _ := proofClient(t, s.URL())
	m, _ := proveUntil(t, c)
	_ = m.Close(testContext(t))
	for range 3 {
		m = connect(t, c)
		if p := m.WaitProof(testContext(t)); p.State != ProofUnproven {
			t.Fatalf("proof is %s", p.State)
		}
		_ = m.Close(testContext(t))
	}
	if n := s.CountLog("as agent-1 (p5, c1, k60"); n != 1 {
		t.Errorf("the broker was asked %d times by MQTT 5, want once\n%s", n, s.Log())
	}
}

func TestWriteProbeLeavesNoLostInAvailability(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{ACL: aclNoRead + "user watcher\ntopic read #\n", Users: map[string]string{"watcher": "w", "agent": "a"}})
	s.SetACL("user agent\ntopic write t/v1/agent-1/#\nuser watcher\ntopic read #\n")
	sub := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/agent-1/availability", Username: "watcher", Password: "w"})
	cfg := testConfig(s.URL())
	cfg.ProofTimeout, cfg.Username, cfg.Password = proofTimeout, "agent", "a"
	m, p := proveUntil(t, newClient(t, cfg))
	if p.State != ProofUnproven {
		t.Fatalf("proof is %s (%s)", p.State, p.Detail)
	}
	if err := m.Close(testContext(t)); err != nil {
		t.Fatalf("Close: %v", err)
	}
	sub.WaitFor("t/v1/agent-1/availability", "offline")
	for _, a := range texts(sub.Messages(), "t/v1/agent-1/availability") {
		if a == "lost" {
			t.Error("the write probe made the broker say lost")
		}
	}
}

func TestProofFailsWhenRightsAreTakenAndRecoversWhenGiven(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{ACL: aclAll})
	c, seen := proofClient(t, s.URL())
	m, _ := proveUntil(t, c)
	_ = m.Close(testContext(t))
	s.SetACL(aclNothing)
	m, p := proveUntil(t, c)
	if p.State != ProofFailed || m.Deliverable() {
		t.Fatalf("after the rights were taken: %s (%s)", p.State, p.Detail)
	}
	_ = m.Close(testContext(t))
	s.SetACL(aclAll)
	m = connect(t, c) // remembered as failed until an echo comes
	if m.WaitProof(testContext(t)); m.Deliverable() && c.Status().Proof.State != ProofProven {
		t.Error("deliverable without a proof")
	}
	for {
		select {
		case p := <-seen:
			if p.State == ProofProven && c.Status().Connects > 2 && m.Deliverable() {
				return
			}
		case <-time.After(patience):
			t.Fatalf("no recovery: %+v", c.Status().Proof)
		}
	}
}

func TestNothingIsDeliverableBeforeTheProof(t *testing.T) {
	for _, confirm := range []string{ConfirmPuback, ConfirmEcho} {
		f := brokertest.NewFake(t, brokertest.Faults{NoEcho: true})
		cfg := testConfig(f.URL())
		cfg.ProofTimeout, cfg.Confirm = patience, confirm
		m := connect(t, newClient(t, cfg))
		f.Wait(func(got []brokertest.Message) bool { return len(texts(got, "t/v1/agent-1/echo")) == 1 })
		if s := m.client.Status().Proof.State; s != ProofPending || m.Deliverable() {
			t.Errorf("proof is %s, deliverable %v", s, m.Deliverable())
		}
		if confirm == ConfirmEcho { // nothing would confirm it
			_, err := m.Publish(Message{Topic: m.client.Topic("room/state")})
			wantClass(t, err, ClassUnproven)
		}
	}
}

func TestEachProofOfAConnectionIsTold(t *testing.T) {
	seen := make(chan Proof, 100)
	cfg := testConfig(brokertest.Mosquitto(t, brokertest.Conf{}).URL())
	cfg.ProofInterval = time.Millisecond
	cfg.OnProof = func(p Proof) {
		select {
		case seen <- p:
		default:
		}
	}
	connect(t, newClient(t, cfg))
	for proven := 0; proven < 3; {
		select {
		case p := <-seen:
			if p.State == ProofProven {
				proven++
			}
		case <-time.After(patience):
			t.Fatalf("%d results were told, want one for each proof", proven)
		}
	}
}

// Silence is not a yes: nothing counts as delivered while nobody knows. A broker
// that says that reading is denied says nothing against writing.
func TestBrokerWithoutMQTT5(t *testing.T) {
	for name, tt := range map[string]struct {
		faults brokertest.Faults
		state  ProofState
		detail string
	}{
		"silent echo":           {brokertest.Faults{NoEcho: true}, ProofFailed, "either reading or writing is denied"},
		"rejected subscription": {brokertest.Faults{DenySuback: true}, ProofUnproven, "does not let this client read"},
	} {
		t.Run(name, func(t *testing.T) {
			f := brokertest.NewFake(t, tt.faults)
			c, _ := proofClient(t, f.URL())
			m, p := proveUntil(t, c)
			if p.State != tt.state || !strings.Contains(p.Detail, tt.detail) || m.Deliverable() != (tt.state == ProofUnproven) || p.Hint == "" {
				t.Errorf("proof is %+v", p)
			}
		})
	}
}

func TestEchoOnceProvenAndThenSilentIsAFailure(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	c, _ := proofClient(t, f.URL())
	m, p := proveUntil(t, c)
	if p.State != ProofProven {
		t.Fatalf("proof is %s", p.State)
	}
	_ = m.Close(testContext(t))
	f.Set(brokertest.Faults{NoEcho: true})
	m, p = proveUntil(t, c)
	if p.State != ProofFailed || m.Deliverable() {
		t.Errorf("proof is %s (%s)", p.State, p.Detail)
	}
}

func TestProofIsRepeatedOnTheSameConnection(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	cfg.ProofInterval = 10 * time.Millisecond
	connect(t, newClient(t, cfg))
	f.Wait(func(got []brokertest.Message) bool { return len(texts(got, "t/v1/agent-1/echo")) >= 3 })
	if n := len(f.Connects()); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestConfirmEchoWaitsForTheMessageItself(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	cfg := testConfig(s.URL())
	cfg.Confirm = ConfirmEcho
	m := connect(t, newClient(t, cfg))
	if p := m.WaitProof(testContext(t)); p.State != ProofProven || !m.Deliverable() {
		t.Fatalf("proof is %s", p.State)
	}
	var receipts []*Receipt
	for n := range 100 {
		receipts = append(receipts, send(t, m, "room/sample", numbered(n/2))) // pairs of equal payloads
	}
	for _, r := range receipts {
		if r.Err() != nil {
			t.Fatalf("receipt: %v", r.Err())
		}
	}
}

// Everything that an agent sends is handed back, also what is not a record and goes out
// long after the proof.
func TestConfirmEchoHandsBackEachKindOfMessage(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	cfg := testConfig(s.URL())
	cfg.Confirm, cfg.AckTimeout = ConfirmEcho, 5*time.Second
	cfg.OnRecall = func(context.Context, Recalled) {}
	c := newClient(t, cfg)
	m := connect(t, c)
	m.WaitProof(testContext(t))
	for range 20 { // what the proof alone needed ends meanwhile
		if err := send(t, m, "room/sample", "x").Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, msg := range []Message{
		{Topic: c.Topic("health"), Payload: []byte("h"), Retain: true},
		{Topic: c.Topic("room/state"), Payload: []byte("s"), Retain: true},
		{Topic: c.Topic("agent/event"), Payload: []byte("e")},
		{Topic: c.Topic("room/view/zoom"), Payload: []byte("v")},
	} {
		r, err := m.Publish(msg)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err != nil {
			t.Errorf("%s: %v", msg.Topic, err)
		}
	}
}

func TestConfirmEchoKeepsWhatIsOnlyAcknowledged(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	cfg.Confirm, cfg.AckTimeout = ConfirmEcho, 200*time.Millisecond
	m := connect(t, newClient(t, cfg))
	m.WaitProof(testContext(t))
	if err := send(t, m, "room/sample", "back").Err(); err != nil {
		t.Fatalf("echoed message: %v", err)
	}
	f.Set(brokertest.Faults{NoEcho: true})
	r := send(t, m, "room/sample", "gone")
	wantClass(t, r.Err(), ClassDropped)
	if !f.Acked("gone") {
		t.Error("the fake did not acknowledge: the test did not test")
	}
}

func TestConfirmEchoWithoutRightToReadIsNotDeliverable(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{ACL: aclNoRead})
	cfg := testConfig(s.URL())
	cfg.Confirm, cfg.ProofTimeout = ConfirmEcho, proofTimeout
	m, p := proveUntil(t, newClient(t, cfg))
	if p.State != ProofUnproven || m.Deliverable() {
		t.Errorf("proof is %s, deliverable %v", p.State, m.Deliverable())
	}
}

// kept is a message that the broker had retained from before.
type kept struct {
	mqtt.Message
	topic, payload string
}

func (k kept) Topic() string   { return k.topic }
func (k kept) Payload() []byte { return []byte(k.payload) }
func (k kept) Retained() bool  { return true }

func TestARetainedMessageProvesAndConfirmsNothing(t *testing.T) {
	cfg := testConfig("tcp://h")
	cfg.Confirm = ConfirmEcho
	c := newClient(t, cfg)
	m := newConn(c, c.brokers[0], newLink(nopConn{}, nopConn{}, time.Second))
	defer m.link.abort()
	c.delivery.set(Proof{State: ProofProven})
	m.recalled.Store(true)
	r := send(t, m, "room/state", "old")
	back := make(chan struct{})
	m.proof.key, m.proof.back = availability, back
	m.received(kept{topic: c.Topic("room/state"), payload: "old"})
	m.received(kept{topic: c.Topic(availability), payload: "online"})
	if isClosed(r.echoed) {
		t.Error("a retained message confirmed a new one")
	}
	if isClosed(back) {
		t.Error("a retained availability proved delivery")
	}
}
