package publish

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/publish/brokertest"
)

// flow connects until a record is delivered and returns how many connections
// that took.
func flow(t *testing.T, c *Client) (m *Conn, connections int) {
	t.Helper()
	for connections = 1; connections <= 15; connections++ {
		m, err := c.Connect(testContext(t))
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = m.Close(testContext(t)) })
		m.WaitProof(testContext(t))
		if m.Deliverable() {
			if r, err := m.Publish(Message{Topic: below + "room/sample"}); err == nil && r.Err() == nil {
				return m, connections
			}
			waitDone(t, "loss", m.Lost())
		}
		if !isClosed(m.Lost()) {
			t.Fatalf("up and not deliverable: %+v", c.Status().Proof)
		}
	}
	t.Fatalf("no record after %d connections: %v", connections, c.Status().LastError)
	return nil, 0
}

func leftOut(c *Client) string {
	var names []string
	for _, r := range c.Status().LeftOut {
		names = append(names, string(r.Extra))
	}
	return strings.Join(names, " ")
}

const below = "t/v1/agent-1/"

// Each habit, and several at a time: records flow after a few connections, and
// what the broker punishes is known and left out.
func TestAnExtraThatTheBrokerPunishesIsFoundAndLeftOut(t *testing.T) {
	is := func(topic string) func(string) bool { return func(f string) bool { return f == below+topic } }
	any := func(string) bool { return true }
	on := func(topic string) func(brokertest.Message) bool {
		return func(m brokertest.Message) bool { return m.Topic == below+topic }
	}
	retained := func(m brokertest.Message) bool { return m.Retain }
	large := func(m brokertest.Message) bool { return len(m.Payload) > 1000 }
	for _, tt := range []struct {
		name    string
		faults  brokertest.Faults
		leftOut string
		most    int // connections
	}{
		{"nothing", brokertest.Faults{}, "", 1},
		{"subscription to echo", brokertest.Faults{CutSubscribe: is("echo")}, "subscribe_echo", 4},
		{"subscription to states", brokertest.Faults{CutSubscribe: is("+/state")}, "subscribe_state", 3},
		{"every subscription", brokertest.Faults{CutSubscribe: any}, "subscribe_echo subscribe_state", 6},
		{"end of a subscription", brokertest.Faults{CutUnsubscribe: true}, "unsubscribe", 3},
		{"retained messages", brokertest.Faults{Reject: retained}, "retain", 3},
		{"a large birth", brokertest.Faults{Reject: large}, "birth", 3},
		{"every birth", brokertest.Faults{Reject: func(m brokertest.Message) bool { return strings.HasSuffix(m.Topic, "/birth") }}, "birth short_birth", 5},
		{"availability", brokertest.Faults{Reject: on("availability")}, "availability", 5},
		{"availability, acknowledged first", brokertest.Faults{AckAndCut: on("availability")}, "availability", 5},
		{"a large birth, acknowledged first", brokertest.Faults{AckAndCut: large}, "birth", 3},
		{"the echo", brokertest.Faults{Reject: on("echo")}, "publish_echo", 3},
		{"the retained echo", brokertest.Faults{Reject: func(m brokertest.Message) bool { return m.Retain && on("echo")(m) }}, "retain_echo", 3},
		{"the will", brokertest.Faults{CutConnect: func(h brokertest.Connect) bool { return h.Will != nil }}, "will", 7},
		{"everything", brokertest.Faults{CutConnect: func(h brokertest.Connect) bool { return h.Will != nil }, CutSubscribe: any,
			CutUnsubscribe: true, Reject: func(m brokertest.Message) bool { return m.Retain || large(m) }},
			"will retain birth subscribe_echo subscribe_state", 15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := brokertest.NewFake(t, tt.faults)
			cfg := testConfig(f.URL())
			cfg.ProofTimeout = 50 * time.Millisecond
			cfg.Birth = func() []byte { return make([]byte, 2000) }
			cfg.ShortBirth = func() []byte { return []byte("short") }
			cfg.Echo = func() []byte { return []byte(`{"epoch":1}`) }
			c := newClient(t, cfg)
			m, n := flow(t, c)
			beside := tt.leftOut == "unsubscribe" || tt.leftOut == "retain_echo"
			for beside && leftOut(c) == "" { // it comes beside the records
				waitDone(t, "loss", m.Lost())
				var more int
				m, more = flow(t, c)
				n += more
			}
			if got := leftOut(c); got != tt.leftOut || n > tt.most {
				t.Errorf("after %d connections %q is left out, want %q after at most %d", n, got, tt.leftOut, tt.most)
			}
			if c.Status().LastError != nil && c.Status().LastError.Class == ClassSameID {
				t.Errorf("another client is blamed: %v", c.Status().LastError)
			}
		})
	}
}

// States go among the records: the one that waits longest for its acknowledgement when
// the connection ends is to blame, and no record.
func TestAStateThatTheBrokerPunishesIsLeftOut(t *testing.T) {
	state := Message{Topic: below + "room/state", Payload: []byte("s"), Retain: true}
	isState := func(m brokertest.Message) bool { return m.Topic == state.Topic }
	t.Run("acknowledged first", func(t *testing.T) {
		f := brokertest.NewFake(t, brokertest.Faults{AckAndCut: isState})
		c := newClient(t, testConfig(f.URL()))
		for n := 1; leftOut(c) != "publish_state"; n++ {
			m, _ := flow(t, c)
			if _, err := m.Publish(state); err != nil || n > blamedOften {
				t.Fatalf("connection %d: %v, %q is left out", n, err, leftOut(c))
			}
			waitDone(t, "loss", m.Lost())
			if e, ok := m.Err().(*Error); !ok || e.Class == ClassSameID {
				t.Errorf("loss %d: %v", n, m.Err())
			}
		}
	})
	f := brokertest.NewFake(t, brokertest.Faults{Reject: isState})
	c := newClient(t, testConfig(f.URL()))
	for n := range blamedOften {
		m, _ := flow(t, c)
		if _, err := m.Publish(state); err != nil {
			t.Fatalf("state %d: %v", n, err)
		}
		record, err := m.Publish(Message{Topic: below + "room/sample", Payload: []byte("behind it")})
		waitDone(t, "loss", m.Lost())
		if e, ok := m.Err().(*Error); !ok || e.AtExtra() != (n+1 == blamedOften) {
			t.Errorf("loss %d: %v, %v", n, m.Err(), e.Hint)
		}
		if err == nil && record.Err() == nil {
			t.Errorf("the record behind state %d counts as delivered", n)
		}
	}
	m, _ := flow(t, c)
	if _, err := m.Publish(state); !errors.Is(err, ErrLeftOut) {
		t.Errorf("a state while they are left out: %v", err)
	}
	if got := leftOut(c); got != "publish_state" {
		t.Errorf("%q is left out", got)
	}
	if r := send(t, m, "room/sample", "y"); r.Err() != nil {
		t.Errorf("record: %v", r.Err())
	}
}

// Among records that are acknowledged without a pause a state is soon known to be
// accepted: a network that is cut much later says nothing about it.
func TestAStateThatWasAcknowledgedLongAgoIsNotToBlame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		for range 2 * blamedOften {
			m := connect(t, c)
			m.WaitProof(testContextOf(t, time.Hour))
			if _, err := m.Publish(Message{Topic: m.client.Topic("room/state"), Retain: true}); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if r := send(t, m, "room/sample", "x"); r.Err() != nil {
					t.Fatal(r.Err())
				}
				time.Sleep(settle / 5)
			}
			p.cut()
			<-m.Lost()
		}
		if got := leftOut(c); got != "" {
			t.Errorf("%q is left out", got)
		}
	})
}

// Where nobody listened between two losses the broker went away with them: no state is
// to blame.
func TestABrokerThatWentAwayHasPunishedNothing(t *testing.T) {
	state := Message{Topic: below + "room/state", Payload: []byte("s"), Retain: true}
	f := brokertest.NewFake(t, brokertest.Faults{Reject: func(m brokertest.Message) bool { return m.Topic == state.Topic }})
	c := newClient(t, testConfig(f.URL()))
	for range 2 * blamedOften {
		m, _ := flow(t, c)
		if _, err := m.Publish(state); err != nil {
			t.Fatalf("%v; %q is left out", err, leftOut(c))
		}
		waitDone(t, "loss", m.Lost())
		there := c.open
		c.open = func(context.Context, broker) (_, _ net.Conn, _ error) {
			return nil, nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		if _, err := c.Connect(testContext(t)); err == nil {
			t.Fatal("connected to nobody")
		}
		c.open = there
	}
}

// A broker that ends the connection at whatever this agent writes gets no records: that
// it would accept them is not known.
func TestNothingIsDeliverableWhereNothingThatIsWrittenIsAccepted(t *testing.T) {
	written := func(m brokertest.Message) bool { return strings.HasPrefix(m.Topic, below) }
	for name, faults := range map[string]brokertest.Faults{
		"writing":             {Reject: written},
		"writing and reading": {Reject: written, CutSubscribe: func(string) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			f := brokertest.NewFake(t, faults)
			cfg := testConfig(f.URL())
			cfg.Birth = func() []byte { return []byte("birth") }
			c := newClient(t, cfg)
			for range 20 {
				m, err := c.Connect(testContext(t))
				if err != nil {
					continue
				}
				t.Cleanup(func() { _ = m.Close(testContext(t)) })
				if m.WaitProof(testContext(t)); m.Deliverable() {
					t.Fatalf("deliverable: %+v", c.Status().Proof)
				}
				if !isClosed(m.Lost()) {
					break
				}
			}
			if p := c.Status().Proof; p.State != ProofFailed || leftOut(c) == "" {
				t.Errorf("%+v; %q is left out", p, leftOut(c))
			}
		})
	}
}

// A broker that ended the connection at everything for a while and is well again: with
// all that could be heard left out, records would wait until that is over.
func TestABrokerThatIsWellAgainIsHeardAtTheNextProof(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{
		Reject:       func(m brokertest.Message) bool { return strings.HasPrefix(m.Topic, below) },
		CutSubscribe: func(string) bool { return true },
	})
	cfg := testConfig(f.URL())
	cfg.ProofInterval = 100 * time.Millisecond
	cfg.Birth, cfg.ShortBirth = func() []byte { return []byte("birth") }, func() []byte { return []byte("short") }
	c := newClient(t, cfg)
	for range 100 {
		if left := leftOut(c); strings.Contains(left, "availability") && strings.Contains(left, "short_birth") && strings.Contains(left, "subscribe_echo") {
			break
		}
		if m, err := c.Connect(testContext(t)); err == nil {
			if m.WaitProof(testContext(t)); m.Deliverable() {
				t.Fatalf("deliverable: %+v", c.Status().Proof)
			}
			_ = m.Close(testContext(t))
		}
	}
	if left := leftOut(c); !strings.Contains(left, "short_birth") {
		t.Fatalf("%q is left out: the test did not test", left)
	}
	f.Set(brokertest.Faults{})
	ctx := testContext(t)
	for ctx.Err() == nil {
		m, err := c.Connect(ctx)
		if err != nil {
			continue
		}
		if m.WaitProof(ctx); m.Deliverable() {
			_ = m.Close(testContext(t))
			return
		}
		select { // it proves again
		case <-m.Lost():
		case <-ctx.Done():
		}
		_ = m.Close(testContext(t))
	}
	t.Errorf("nothing is deliverable: %+v; %q is left out", c.Status().Proof, leftOut(c))
}

// A broker that acknowledges all but the birth answers pings: one wait is enough, because
// the next is longer.
func TestABirthThatIsNeverAcknowledgedIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{
			Birth: func() []byte { return []byte("birth") }, ShortBirth: func() []byte { return []byte("short") },
		})
		p.set(pipeFaults{mute: "/birth"})
		for _, want := range []string{"birth", "birth short_birth"} {
			<-connect(t, c).Lost()
			if got := leftOut(c); got != want {
				t.Errorf("%q is left out, want %q", got, want)
			}
		}
		if proof := connect(t, c).WaitProof(testContextOf(t, time.Hour)); proof.State != ProofProven {
			t.Errorf("%+v", proof)
		}
	})
}

// A network that is cut, or that goes silent, while the birth is under way says nothing
// about the birth.
func TestOneConnectionThatEndsAtTheBirthMayBeChance(t *testing.T) {
	t.Run("cut", func(t *testing.T) {
		births := 0
		f := brokertest.NewFake(t, brokertest.Faults{Reject: func(m brokertest.Message) bool {
			if m.Topic != below+"birth" {
				return false
			}
			births++
			return births == 1
		}})
		cfg := testConfig(f.URL())
		cfg.Birth, cfg.ShortBirth = func() []byte { return []byte("whole") }, func() []byte { return []byte("short") }
		c := newClient(t, cfg)
		if _, n := flow(t, c); n != 2 || leftOut(c) != "" || string(f.Retained(below+"birth")) != "whole" {
			t.Errorf("%d connections; %q is left out, %q is retained", n, leftOut(c), f.Retained(below+"birth"))
		}
	})
	t.Run("silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := newPipeClient(t, Config{KeepAlive: 10 * time.Minute, Birth: func() []byte { return []byte("birth") }})
			p.set(pipeFaults{mute: "/birth"})
			m := connect(t, c)
			<-m.Lost()
			if e := wantClass(t, m.Err(), ClassSilent); leftOut(c) != "" || !e.AtExtra() {
				t.Errorf("%q is left out: %v", leftOut(c), e)
			}
		})
	})
}

// mosquitto ends the connection at a packet that is too large.
func TestABirthThatMosquittoDoesNotAcceptIsShortened(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{Extra: []string{"max_packet_size 1000"}})
	cfg := testConfig(s.URL())
	cfg.Birth = func() []byte { return make([]byte, 2000) }
	cfg.ShortBirth = func() []byte { return []byte("short") }
	c := newClient(t, cfg)
	sub := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/agent-1/birth"})
	if _, n := flow(t, c); n != 3 || leftOut(c) != "birth" {
		t.Errorf("%d connections, %q is left out", n, leftOut(c))
	}
	sub.WaitFor("t/v1/agent-1/birth", "short")
}

func TestABirthOverTheBoundIsNotSent(t *testing.T) {
	for size, want := range map[int]int{MaxRetained - len("t/v1/agent-1/birth"): MaxRetained - len("t/v1/agent-1/birth"), MaxRetained: 5} {
		f := brokertest.NewFake(t, brokertest.Faults{})
		cfg := testConfig(f.URL())
		cfg.Birth = func() []byte { return make([]byte, size) }
		cfg.ShortBirth = func() []byte { return []byte("short") }
		flow(t, newClient(t, cfg))
		if got := len(f.Retained("t/v1/agent-1/birth")); got != want {
			t.Errorf("a birth of %d bytes: %d bytes were sent, want %d", size, got, want)
		}
	}
}

// What was left out is tried again after hours, and one loss is then enough.
func TestWhatIsLeftOutIsTriedAgain(t *testing.T) {
	x := extras{}
	if x.ended(ExtraEcho, 1) || x.refuses(ExtraEcho) {
		t.Error("left out after one loss")
	}
	x.passed(ExtraEcho)
	if x.ended(ExtraEcho, 1) {
		t.Error("left out after two losses that were not in a row")
	}
	if !x.ended(ExtraEcho, 1) || !x.refuses(ExtraEcho) {
		t.Error("not left out after two losses in a row")
	}
	for _, want := range []time.Duration{10, 20, 40, 80, 160, 320, 360, 360} { // minutes
		r := x.refused[ExtraEcho]
		if got := r.Until.Sub(r.Since); got != want*time.Minute {
			t.Errorf("left out for %v, want %d minutes", got, want)
		}
		r.Since, r.Until = r.Since.Add(-retryExtra), r.Until.Add(-retryExtra)
		x.refused[ExtraEcho] = r
		if x.refuses(ExtraEcho) {
			t.Error("still left out after hours")
		}
		if !x.ended(ExtraEcho, 1) || !x.refuses(ExtraEcho) {
			t.Error("after the new try one loss is not enough")
		}
	}
	x.passed(ExtraEcho)
	if x.refuses(ExtraEcho) || len(x.list()) != 0 {
		t.Error("left out though it works")
	}
}

// A broker that starts, and a password that was wrong, say nothing about the will.
func TestAWillIsNotBlamedForABrokerThatStarts(t *testing.T) {
	n := 0
	f := brokertest.NewFake(t, brokertest.Faults{CutConnect: func(brokertest.Connect) bool { n++; return n <= 3 }})
	c := newClient(t, testConfig(f.URL()))
	flow(t, c)
	hello := f.Connects()
	if leftOut(c) != "" || hello[len(hello)-1].Will == nil {
		t.Errorf("%q is left out; the last login was %+v", leftOut(c), hello[len(hello)-1])
	}
}
