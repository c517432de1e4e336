package publish

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

func TestAcknowledgedMessagesArriveInOrder(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	sub := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/#"})
	m := connect(t, newClient(t, testConfig(s.URL())))
	var want []string
	var receipts []*Receipt
	for n := range 300 {
		want = append(want, numbered(n))
		receipts = append(receipts, send(t, m, "room/sample", numbered(n)))
	}
	for _, r := range receipts {
		waitDone(t, "PUBACK", r.Done())
		if r.Err() != nil {
			t.Fatalf("receipt: %v", r.Err())
		}
	}
	got := sub.Wait(func(got []brokertest.Message) bool { return len(texts(got, "t/v1/agent-1/room/sample")) >= 300 })
	if !slices.Equal(texts(got, "t/v1/agent-1/room/sample"), want) {
		t.Errorf("arrived: %v", texts(got, "t/v1/agent-1/room/sample"))
	}
	st := m.client.Status()
	if st.Published != 300 || st.Acked != 300 || st.AckedBytes != 300*7 || st.InFlight > 1 || st.State != Connected {
		t.Errorf("status: %+v", st)
	}
}

func TestConnectionSaysOnlineAndOfflineAndTheWillSaysLost(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	proxy := brokertest.NewProxy(t, s.Addr(), brokertest.Network{})
	sub := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/+/availability"})
	cfg := testConfig("tcp://" + proxy.Addr())
	cfg.Birth = func() []byte { return []byte(`{"v":1}`) }
	c := newClient(t, cfg)
	topic := "t/v1/agent-1/availability"

	m := connect(t, c)
	sub.WaitFor(topic, "online")
	proxy.Cut()
	waitDone(t, "loss", m.Lost())
	wantClass(t, m.Err(), ClassLost)
	sub.WaitFor(topic, "lost")

	m = connect(t, c)
	sub.Wait(func(got []brokertest.Message) bool { return len(texts(got, topic)) == 3 })
	m.WaitProof(testContext(t)) // the birth is out
	if err := m.Close(testContext(t)); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wantClass(t, m.Err(), ClassClosed)
	sub.WaitFor(topic, "offline")
	got := texts(sub.Messages(), topic)
	if want := []string{"online", "lost", "online", "offline"}; !slices.Equal(got, want) {
		t.Errorf("availability said %v, want %v", got, want)
	}

	late := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/#"})
	if b := late.WaitFor("t/v1/agent-1/birth", `{"v":1}`); !b.Retain {
		t.Error("birth is not retained")
	}
	if a := late.WaitFor(topic, "offline"); !a.Retain {
		t.Error("availability is not retained")
	}
}

func TestRetainedFlagIsTheCallersChoice(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	m := connect(t, newClient(t, testConfig(s.URL())))
	r, err := m.Publish(Message{Topic: m.client.Topic("room/state"), Payload: []byte("new"), Retain: true})
	if err != nil || r.Err() != nil {
		t.Fatalf("publish state: %v", err)
	}
	if err := send(t, m, "room/sample", "s").Err(); err != nil {
		t.Fatalf("publish sample: %v", err)
	}
	late := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/agent-1/room/#"})
	if state := late.WaitFor("t/v1/agent-1/room/state", "new"); !state.Retain {
		t.Error("state is not retained")
	}
	if n := len(texts(late.Messages(), "t/v1/agent-1/room/sample")); n != 0 {
		t.Error("sample is retained")
	}
}

func TestConnectTellsTheBrokerWhatItShould(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	cfg.Username, cfg.Password = "u", "p"
	connect(t, newClient(t, cfg))
	got := f.Connects()[0]
	if got.ClientID != "agent-1" || got.Username != "u" || got.Password != "p" || !got.CleanSession || got.KeepAlive != 30 || got.Version != 4 {
		t.Errorf("CONNECT is %+v", got)
	}
	if w := got.Will; w == nil || w.Topic != "t/v1/agent-1/availability" || string(w.Payload) != "lost" || !w.Retain || got.WillQoS != 1 {
		t.Errorf("will is %+v, QoS %d", got.Will, got.WillQoS)
	}
	first := f.Wait(func(got []brokertest.Message) bool { return len(got) > 0 })[0]
	if first.Topic != "t/v1/agent-1/availability" || string(first.Payload) != "online" || !first.Retain {
		t.Errorf("the first message is %+v, want a retained online", first)
	}
}

func TestMessagesThatCanNeverBeSentAreRefused(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	m := connect(t, newClient(t, testConfig(f.URL())))
	for name, msg := range map[string]Message{
		"plus": {Topic: "a/+"}, "hash": {Topic: "a/#"}, "NUL": {Topic: "a\x00"}, "empty": {}, "not UTF-8": {Topic: "\xff"},
		"long topic": {Topic: strings.Repeat("x", 65536)}, "large payload": {Topic: "a", Payload: make([]byte, MaxPayload+1)},
	} {
		if _, err := m.Publish(msg); err == nil {
			t.Errorf("%s was accepted", name)
		} else {
			wantClass(t, err, ClassMessage)
		}
	}
	long := Message{Topic: strings.Repeat("x", 65535), Payload: make([]byte, MaxPayload)}
	r, err := m.Publish(long)
	if err != nil || r.Err() != nil {
		t.Fatalf("the largest message was not accepted: %v", err)
	}
	f.Wait(func(got []brokertest.Message) bool {
		return slices.ContainsFunc(got, func(g brokertest.Message) bool { return g.Topic == long.Topic && len(g.Payload) == MaxPayload })
	})
}

func TestPublishRefusesMoreThanWindowAndReserve(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{Ack: func(brokertest.Message) bool { return false }})
	cfg := testConfig(f.URL())
	cfg.MaxInflight = 1
	m := connect(t, newClient(t, cfg))
	t.Cleanup(f.Cut)
	for range 2 * reserve {
		if _, err := m.Publish(Message{Topic: "a", Payload: []byte("x")}); err != nil {
			wantClass(t, err, ClassWindow)
			if n := m.InFlight(); n != 1+reserve {
				t.Errorf("%d in flight, want %d", n, 1+reserve)
			}
			return
		}
	}
	t.Error("the window has no end")
}

func TestCloseWithoutOfflineAckCutsAndKeepsEverything(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{Ack: func(m brokertest.Message) bool { return string(m.Payload) == "kept back no" }})
	m := connect(t, newClient(t, testConfig(f.URL())))
	r := send(t, m, "room/sample", "x")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); err == nil {
		t.Error("Close reports success although offline was not acknowledged")
	}
	wantClass(t, r.Err(), ClassClosed)
	f.Wait(func([]brokertest.Message) bool { return len(f.Wills()) == 1 })
	if _, err := m.Publish(Message{Topic: "a"}); err == nil {
		t.Error("a closed connection accepts messages")
	}
}

func TestASecondConnectWhileConnectedIsRefused(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	c := newClient(t, testConfig(f.URL()))
	m := connect(t, c)
	if _, err := c.Connect(testContext(t)); err == nil {
		t.Error("a second connection was made")
	}
	_ = m.Close(testContext(t))
	connect(t, c)
}

// A reconnect resumes the TLS session. With a client certificate it does not: the broker
// would go on with the one of the first time.
func TestAReconnectResumesTheTLSSession(t *testing.T) {
	ca := brokertest.NewCA(t)
	pair := ca.Client(t, "agent-1")
	for name, tt := range map[string]struct {
		certs bool
		want  []bool
	}{"": {false, []bool{false, true, true}}, "client certificate": {true, []bool{false, false}}} {
		t.Run(name, func(t *testing.T) {
			s := brokertest.Mosquitto(t, brokertest.Conf{CA: ca, ClientCerts: tt.certs})
			cfg := testConfig(s.URL())
			cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
			copyFile(t, ca.File, cfg.CAFile)
			if tt.certs {
				cfg.CertFile, cfg.KeyFile = pair.CertFile, pair.KeyFile
			}
			c := newClient(t, cfg)
			var last net.Conn
			c.open = func(ctx context.Context, b broker) (conn, raw net.Conn, err error) {
				conn, raw, err = c.dial(ctx, b)
				last = conn
				return conn, raw, err
			}
			for i, want := range tt.want {
				m := connect(t, c)
				m.WaitProof(testContext(t))
				if got := last.(*tls.Conn).ConnectionState().DidResume; got != want {
					t.Errorf("connection %d: resumed %v, want %v", i+1, got, want)
				}
				if err := m.Close(testContext(t)); err != nil {
					t.Error(err)
				}
			}
			copyFile(t, brokertest.NewCA(t).File, cfg.CAFile)
			if _, err := c.Connect(testContext(t)); err == nil {
				t.Error("a broker whose CA is trusted no longer was believed")
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
