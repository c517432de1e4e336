package publish

import (
	"testing"
	"testing/synctest"
	"time"

	"roomcall/publish/brokertest"
)

// Every acknowledgement late, pings answered: the second connection is patient
// enough, and what was sent once is confirmed there.
func TestLateAcknowledgementsMakeProgress(t *testing.T) {
	for _, late := range []time.Duration{25 * time.Second, 70 * time.Second, 170 * time.Second, 290 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, p := newPipeClient(t, Config{})
			p.set(pipeFaults{ackPause: late})
			began, acked := time.Now(), 0
			for time.Since(began) < 2*time.Hour && acked < 30 {
				m := connect(t, c)
				m.WaitProof(testContextOf(t, time.Hour))
				var receipts []*Receipt
				for m.Deliverable() && !isClosed(m.Lost()) && len(receipts) < 100 {
					r, err := m.Publish(Message{Topic: "p/a/room/sample"})
					if err != nil {
						wantClass(t, err, ClassWindow)
						break
					}
					receipts = append(receipts, r)
				}
				for _, r := range receipts {
					if r.Err() == nil {
						acked++
					}
				}
				_ = m.Close(testContextOf(t, time.Hour))
				time.Sleep(c.Backoff())
			}
			if acked < 30 {
				t.Errorf("acknowledgements %v late: %d records confirmed in 2 hours, %+v", late, acked, c.Status().LastError)
			}
			if n := c.Status().Losses; n > 3 {
				t.Errorf("acknowledgements %v late: %d connections were lost before it was patient", late, n)
			}
		})
	}
}

func TestPatienceIsBoundedAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newPipeClient(t, Config{})
		b := c.brokers[0]
		is := func(want time.Duration, wantWindow int) {
			t.Helper()
			if got, window := c.patience(b); got != want || window != wantWindow {
				t.Errorf("patience is %v, window %d; want %v, %d", got, window, want, wantWindow)
			}
		}
		is(20*time.Second, 100)
		c.waitedInVain(b)
		is(time.Minute, 25)
		c.waitedInVain(b)
		is(3*time.Minute, 6)
		for range 10 {
			c.waitedInVain(b)
		}
		is(5*time.Minute, 6)
		s := &c.delivery.about(b.name).slow
		for range recoverAfter - 1 {
			s.answered(true)
		}
		s.answered(false) // not in a row
		s.answered(true)
		is(5*time.Minute, 6)
		for range 8 * recoverAfter {
			s.answered(true)
		}
		is(20*time.Second, 100)
	})
}

// While the broker is slow the window is narrower for records, not for states.
func TestASlowBrokerNarrowsTheWindow(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	c := newClient(t, testConfig(f.URL()))
	m := connect(t, c)
	m.WaitProof(testContext(t))
	f.Set(brokertest.Faults{Ack: func(brokertest.Message) bool { return false }})
	c.waitedInVain(m.broker)
	for range 25 {
		send(t, m, "room/sample", "x")
	}
	_, err := m.Publish(Message{Topic: "t"})
	wantClass(t, err, ClassWindow)
	if _, err := m.Publish(Message{Topic: "t", Retain: true}); err != nil {
		t.Errorf("a state: %v", err)
	}
	f.Cut()
}

// A link on which nothing comes is not slow, it is dead.
func TestADeadLinkMakesNobodyPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{KeepAlive: 10 * time.Minute})
		m := connect(t, c)
		m.WaitProof(testContextOf(t, time.Hour))
		p.set(pipeFaults{ackPause: time.Hour})
		send(t, m, "room/sample", "x")
		<-m.Lost()
		wantClass(t, m.Err(), ClassSilent)
		if ack, window := c.patience(m.broker); ack != 20*time.Second || window != 100 {
			t.Errorf("patience is %v, window %d", ack, window)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestALateLoginSucceedsAtTheSecondTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		p.set(pipeFaults{connackPause: 40 * time.Second})
		_, err := c.Connect(testContextOf(t, time.Hour))
		wantClass(t, err, ClassUnreachable)
		connect(t, c)
		time.Sleep(time.Minute)
	})
}

// In a storm of reconnects an echo may need longer than ProofTimeout: a good
// connection is not closed to ask by MQTT 5.
func TestASlowEchoIsWaitedForOnTheSameConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		for _, late := range []time.Duration{0, 15 * time.Second, 55 * time.Second} {
			p.set(pipeFaults{echoPause: late})
			m := connect(t, c)
			if proof := m.WaitProof(testContextOf(t, time.Hour)); proof.State != ProofProven {
				t.Errorf("an echo %v late: %+v, %v", late, proof, m.Err())
			}
			_ = m.Close(testContextOf(t, time.Hour))
			time.Sleep(time.Minute)
		}
		if n := c.Status().Connects; n != 3 {
			t.Errorf("%d connections", n)
		}
	})
}
