package publish

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/publish/brokertest"
)

// One connection of the stress: publish until the broker cuts, then compare
// what the receipts say with what the broker acknowledged.
func stressOnce(t *testing.T, f *brokertest.Fake, c *Client, round int, r *rand.Rand) (acked, failed int) {
	cut := 1 + r.IntN(40)
	var mu sync.Mutex
	withhold := rand.New(rand.NewPCG(uint64(round), 1))
	f.Set(brokertest.Faults{CutAfter: cut, Ack: func(brokertest.Message) bool {
		mu.Lock()
		defer mu.Unlock()
		return withhold.IntN(10) >= 3
	}})
	m, err := c.Connect(testContext(t))
	if err != nil {
		return 0, 0 // cut so early that the connection never counted
	}
	var receipts []*Receipt
	for n := 0; n < 100; n++ {
		rec, err := m.Publish(Message{Topic: "t", Payload: fmt.Appendf(nil, "%d/%d", round, n)})
		if err != nil {
			break
		}
		receipts = append(receipts, rec)
	}
	waitDone(t, "loss", m.Lost())
	for _, rec := range receipts {
		select {
		case <-rec.Done():
		default:
			t.Fatal("a receipt is not complete after the loss")
		}
		if rec.Err() != nil {
			failed++
			continue
		}
		acked++
		if !f.Acked(string(rec.msg.Payload)) {
			t.Errorf("receipt of %s is nil, but the broker never acknowledged it", rec.msg.Payload)
		}
	}
	waitGoroutines(t, m)
	return acked, failed
}

func waitGoroutines(t *testing.T, m *Conn) {
	t.Helper()
	ended := make(chan struct{})
	go func() { m.wg.Wait(); close(ended) }()
	waitDone(t, "end of the connection's goroutines", ended)
}

func TestCutsAndWithheldAcksNeverGiveAFalseConfirmation(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	cfg.WriteTimeout = 200 * time.Millisecond // also how long the library may keep a goroutine after a cut
	c := newClient(t, cfg)
	before := runtime.NumGoroutine()
	rounds := soak(200, 2000)
	r := rand.New(rand.NewPCG(7, 7))
	acked, failed := 0, 0
	for round := range rounds {
		a, n := stressOnce(t, f, c, round, r)
		acked, failed = acked+a, failed+n
	}
	if acked == 0 || failed == 0 {
		t.Errorf("%d confirmed and %d failed: the test did not test", acked, failed)
	}
	t.Logf("%d connections, %d confirmed, %d failed, 0 false, %d goroutines before, %d after", rounds, acked, failed, before, runtime.NumGoroutine())
}

func TestConnectionIsGivenUpWhenNoAckMoves(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{Ack: func(m brokertest.Message) bool { return string(m.Payload) != "stuck" }})
	cfg := testConfig(f.URL())
	cfg.AckTimeout = 100 * time.Millisecond
	m := connect(t, newClient(t, cfg))
	if err := send(t, m, "room/sample", "fine").Err(); err != nil {
		t.Fatalf("first message: %v", err)
	}
	r := send(t, m, "room/sample", "stuck")
	waitDone(t, "giving up", m.Lost())
	wantClass(t, r.Err(), ClassSilent)
	wantClass(t, m.Err(), ClassSilent)
	f.Wait(func([]brokertest.Message) bool { return len(f.Wills()) == 1 }) // cut, not said goodbye
}

func TestSlowAcksAreNotALoss(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{AckDelay: 20 * time.Millisecond})
	cfg := testConfig(f.URL())
	cfg.AckTimeout = 300 * time.Millisecond
	m := connect(t, newClient(t, cfg))
	var last *Receipt
	for n := range 40 { // the last one waits 0.8 s, but something moves all the time
		last = send(t, m, "room/sample", numbered(n))
	}
	if err := last.Err(); err != nil {
		t.Errorf("last message: %v", err)
	}
}

func TestHalfOpenLinkIsNoticedWithAFullSocket(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{StopReading: true})
	cfg := testConfig(f.URL())
	cfg.WriteTimeout = 100 * time.Millisecond
	m := connect(t, newClient(t, cfg))
	var last *Receipt
	for range 40 {
		r, err := m.Publish(Message{Topic: "big", Payload: make([]byte, MaxPayload)})
		if err != nil {
			break
		}
		last = r
	}
	waitDone(t, "giving up", m.Lost())
	wantClass(t, last.Err(), ClassLost)
	waitGoroutines(t, m)
}

func TestSilentBrokerIsNoticedWhileIdle(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{NoPingresp: true})
	cfg := testConfig(f.URL())
	cfg.KeepAlive, cfg.PingTimeout = time.Second, 100*time.Millisecond
	m := connect(t, newClient(t, cfg))
	waitDone(t, "giving up", m.Lost())
	wantClass(t, m.Err(), ClassSilent)
}

func TestFrozenNetworkIsNoticed(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	proxy := brokertest.NewProxy(t, s.Addr(), brokertest.Network{})
	cfg := testConfig("tcp://" + proxy.Addr())
	cfg.AckTimeout = 200 * time.Millisecond
	c := newClient(t, cfg)
	m := connect(t, c)
	m.WaitProof(testContext(t))
	proxy.Set(brokertest.Network{Freeze: true})
	r := send(t, m, "room/sample", "x")
	wantClass(t, r.Err(), ClassSilent)
	proxy.Set(brokertest.Network{})
	m = connect(t, c)
	if err := send(t, m, "room/sample", "x").Err(); err != nil {
		t.Errorf("after the thaw: %v", err)
	}
}

func TestAConnectionLostBeforeItIsShownIsNotShownAsUp(t *testing.T) {
	c := newClient(t, testConfig("tcp://h"))
	m := newConn(c, c.brokers[0], newLink(nopConn{}, nopConn{}, time.Second))
	m.fail(lostError(m, errGivenUp))
	c.connected(m)
	if st := c.Status(); st.State != Disconnected || st.Losses != 1 {
		t.Errorf("status: %+v", st)
	}
}

// What was acknowledged before the loss is confirmed, the rest is kept.
func TestALossConfirmsWhatWasAcknowledged(t *testing.T) {
	c := newClient(t, testConfig("tcp://h"))
	m := newConn(c, c.brokers[0], newLink(nopConn{}, nopConn{}, time.Second))
	acked, waiting := send(t, m, "room/sample", "acked"), send(t, m, "room/sample", "waiting")
	acked.token = &mqtt.DummyToken{} // done, without an error
	m.fail(lostError(m, errGivenUp))
	if acked.Err() != nil {
		t.Errorf("the acknowledged message: %v", acked.Err())
	}
	wantClass(t, waiting.Err(), ClassLost)
	if n := c.Status().Acked; n != 1 {
		t.Errorf("%d messages count as acknowledged, want 1", n)
	}
}

func TestReceiptsOfALossNameTheMessageThatCausedIt(t *testing.T) {
	rejected := func(m brokertest.Message) bool { return string(m.Payload) == "rejected" }
	f := brokertest.NewFake(t, brokertest.Faults{Reject: rejected})
	c := newClient(t, testConfig(f.URL()))
	for range 4 {
		m := connect(t, c)
		good, bad := send(t, m, "room/sample", "good"), send(t, m, "room/sample", "rejected")
		waitDone(t, "loss", m.Lost())
		if good.Err() != nil {
			t.Errorf("the message before the rejected one: %v", good.Err())
		}
		if bad.Err() == nil {
			t.Error("the rejected message was confirmed")
		}
	}
	e := c.Status().LastError
	if e.Class != ClassLost || e.Hint == "" {
		t.Errorf("a message that the broker rejects is reported as %s, hint %q", e.Class, e.Hint)
	}
}

func TestBrokerKilledAndStartedAgain(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	c := newClient(t, testConfig(s.URL()))
	m := connect(t, c)
	s.Kill()
	waitDone(t, "loss", m.Lost())
	_, err := c.Connect(testContext(t))
	wantClass(t, err, ClassUnreachable)
	s.Start()
	m = connect(t, c)
	if err := send(t, m, "room/sample", "x").Err(); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	st := c.Status()
	if st.Connects != 2 || st.Losses != 1 || st.Failures != 1 || st.State != Connected {
		t.Errorf("status: %+v", st)
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{NoConnack: true})
	c := newClient(t, testConfig(f.URL()))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		f.Wait(func([]brokertest.Message) bool { return len(f.Connects()) == 1 })
		cancel()
	}()
	if _, err := c.Connect(ctx); err == nil {
		t.Error("Connect succeeded without a CONNACK")
	}
	if st := c.Status(); st.State != Disconnected {
		t.Errorf("state is %s", st.State)
	}
}
