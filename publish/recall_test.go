package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"roomcall/publish/brokertest"
)

// recallClient hands what is recalled to seen.
func recallClient(t *testing.T, cfg Config) (*Client, chan Recalled) {
	seen := make(chan Recalled, 10)
	cfg.Echo = func() []byte { return []byte(`{"v":1,"epoch":7,"position":42}`) }
	cfg.OnRecall = func(_ context.Context, r Recalled) { seen <- r }
	return newClient(t, cfg), seen
}

func topics(r Recalled) (all []string) {
	for _, m := range r.Messages {
		all = append(all, strings.TrimPrefix(m.Topic, "t/v1/agent-1/"))
	}
	slices.Sort(all)
	return all
}

// 300 states are more than fit into a socket's buffer at once.
func TestWhatTheBrokerRetainedIsReadBackBeforeRecordsGoOut(t *testing.T) {
	for _, confirm := range []string{ConfirmPuback, ConfirmEcho} {
		t.Run(confirm, func(t *testing.T) {
			s := brokertest.Mosquitto(t, brokertest.Conf{})
			cfg := testConfig(s.URL())
			cfg.Confirm = confirm
			c, seen := recallClient(t, cfg)
			m := connect(t, c)
			if r := <-seen; len(r.Messages) != 0 || !r.Complete || r.Broker != s.URL() {
				t.Errorf("a new agent found %+v", r)
			}
			m.WaitProof(testContext(t))
			want := []string{echoTopic, healthTopic}
			var last *Receipt
			for n := range 300 {
				topic := fmt.Sprintf("room-%03d/state", n)
				want = append(want, topic)
				last = retain(t, m, topic, strings.Repeat("x", 2000))
			}
			retain(t, m, healthTopic, "well")
			retain(t, m, "room-1/sample", "of another kind")
			if last.Err() != nil {
				t.Fatal(last.Err())
			}
			_ = m.Close(testContext(t))

			m = connect(t, c)
			r := <-seen
			slices.Sort(want)
			if got := topics(r); !slices.Equal(got, want) || !r.Complete || r.Skipped != 0 || r.EchoDenied || r.StatesDenied {
				t.Errorf("%d of %d messages were read back, complete %v, skipped %d: %.200v", len(got), len(want), r.Complete, r.Skipped, got)
			}
			for _, msg := range r.Messages {
				if !strings.HasSuffix(msg.Topic, echoTopic) {
					continue
				}
				var echo struct {
					Nonce           string
					Epoch, Position int
				}
				if err := json.Unmarshal(msg.Payload, &echo); err != nil || echo.Nonce == "" || echo.Epoch != 7 || echo.Position != 42 {
					t.Errorf("the echo is %s: %v", msg.Payload, err)
				}
			}
			if m.WaitProof(testContext(t)); !m.Deliverable() {
				t.Error("not deliverable after it")
			}
		})
	}
}

func retain(t *testing.T, m *Conn, topic, payload string) *Receipt {
	t.Helper()
	for {
		r, err := m.Publish(Message{Topic: m.client.Topic(topic), Payload: []byte(payload), Retain: true})
		if err == nil {
			return r
		}
		wantClass(t, err, ClassWindow)
	}
}

// Whoever finds its store reverted must be able to stop the first record, and a
// kill in that moment must not take the evidence.
func TestNothingGoesOutAndNothingIsReplacedBeforeTheCallerHasLooked(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	f.Retain("t/v1/agent-1/echo", []byte(`{"epoch":6,"position":99}`))
	cfg := testConfig(f.URL())
	looked, look := make(chan Recalled), make(chan struct{})
	cfg.Echo = func() []byte { return []byte(`{"epoch":7}`) }
	cfg.OnRecall = func(_ context.Context, r Recalled) { looked <- r; <-look }
	m := connect(t, newClient(t, cfg))
	r := <-looked
	if len(r.Messages) != 1 || string(r.Messages[0].Payload) != `{"epoch":6,"position":99}` || !r.Messages[0].Retained {
		t.Errorf("read back: %+v", r)
	}
	if m.Deliverable() || isClosed(m.proof.decided) {
		t.Error("deliverable before the caller has looked")
	}
	if got := string(f.Retained("t/v1/agent-1/echo")); got != `{"epoch":6,"position":99}` {
		t.Errorf("the retained echo is %s already", got)
	}
	if m.Remember(); m.InFlight() != 0 {
		t.Error("what the broker retains is replaced already")
	}
	close(look)
	if m.WaitProof(testContext(t)); !m.Deliverable() {
		t.Error("not deliverable after it")
	}
	f.Wait(func([]brokertest.Message) bool {
		return strings.HasSuffix(string(f.Retained("t/v1/agent-1/echo")), `"epoch":7}`)
	})
	m.Remember()
	f.Wait(func(got []brokertest.Message) bool { return len(texts(got, "t/v1/agent-1/echo")) == 3 })
}

// TestTheCallerReplacesNothingThatIsNotReadYet: its health comes as soon as there is a
// connection.
func TestTheCallerReplacesNothingThatIsNotReadYet(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{Ack: func(m brokertest.Message) bool { return !strings.HasSuffix(m.Topic, availability) }})
	c, seen := recallClient(t, testConfig(f.URL()))
	m := connect(t, c)
	health := Message{Topic: c.Topic(healthTopic), Payload: []byte("{}"), Retain: true}
	_, err := m.Publish(health)
	wantClass(t, err, ClassUnproven)
	_ = m.Close(testContext(t))

	f.Set(brokertest.Faults{})
	m = connect(t, c)
	<-seen
	if _, err = m.Publish(health); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// A caller that waits is let go at the end of the connection.
func TestTheEndOfTheConnectionEndsTheWaitOfTheCaller(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	waits := make(chan struct{})
	cfg.OnRecall = func(ctx context.Context, _ Recalled) { close(waits); <-ctx.Done() }
	m := connect(t, newClient(t, cfg))
	<-waits
	f.Cut()
	waitDone(t, "loss", m.Lost())
	waitGoroutines(t, m)
}

func TestAViewThatIsNotCompleteSaysSo(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults brokertest.Faults
		acl    string
		want   Recalled
		have   []string
	}{
		{name: "reading is rejected", faults: brokertest.Faults{DenySuback: true}, want: Recalled{EchoDenied: true, StatesDenied: true}},
		{name: "a message is too large", want: Recalled{Skipped: 1}, have: []string{"echo"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := brokertest.NewFake(t, tt.faults)
			f.Retain("t/v1/agent-1/echo", []byte(`{}`))
			f.Retain("t/v1/agent-1/room/state", make([]byte, 2<<20))
			c, seen := recallClient(t, testConfig(f.URL()))
			_, p := proveUntil(t, c)
			if p.State == ProofFailed {
				t.Errorf("proof: %+v", p)
			}
			r := <-seen
			if !slices.Equal(topics(r), tt.have) || r.Complete || r.Skipped != tt.want.Skipped || r.EchoDenied != tt.want.EchoDenied || r.StatesDenied != tt.want.StatesDenied {
				t.Errorf("read back: %+v", r)
			}
			if n := c.Status().Skipped; n != uint64(tt.want.Skipped) {
				t.Errorf("%d messages count as skipped", n)
			}
		})
	}
}

// With the right to read echo alone, mosquitto grants both subscriptions.
func TestWhereOnlyTheEchoMayBeReadItIsThere(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{ACL: "topic write t/v1/agent-1/#\ntopic read t/v1/agent-1/echo\n"})
	c, seen := recallClient(t, testConfig(s.URL()))
	m := connect(t, c)
	<-seen
	m.WaitProof(testContext(t))
	if err := retain(t, m, "room/state", "kept").Err(); err != nil {
		t.Fatal(err)
	}
	_ = m.Close(testContext(t))
	connect(t, c)
	if got := topics(<-seen); !slices.Equal(got, []string{"echo"}) {
		t.Errorf("read back: %v", got)
	}
}

func TestSubscriptionsAreAtQoS0AndEndWithTheProof(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	c, _ := recallClient(t, testConfig(f.URL()))
	m := connect(t, c)
	m.WaitProof(testContext(t))
	f.Wait(func([]brokertest.Message) bool { return len(f.Subscriptions()) == 6 })
	got := f.Subscriptions()
	slices.Sort(got)
	want := []string{"+t/v1/agent-1/+/state 0", "+t/v1/agent-1/echo 0", "+t/v1/agent-1/health 0",
		"-t/v1/agent-1/+/state", "-t/v1/agent-1/echo", "-t/v1/agent-1/health"}
	if !slices.Equal(got, want) {
		t.Errorf("subscriptions: %q", got)
	}
}

func TestEchoPayloadIsJSONWhateverTheCallerSays(t *testing.T) {
	for _, said := range []string{`{"a":1}`, ` { "a" : 1 } `, `{}`, `{ }`, ``, `nonsense`} {
		c := newClient(t, testConfig("tcp://h"))
		c.cfg.Echo = func() []byte { return []byte(said) }
		var got map[string]any
		if err := json.Unmarshal(c.echoPayload("n"), &got); err != nil || got["nonce"] != "n" || strings.Contains(said, "a") && said[0] != 'n' && got["a"] != 1.0 {
			t.Errorf("%q becomes %v: %v", said, got, err)
		}
	}
}
