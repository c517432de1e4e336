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

// A broker behind a link on which everything is late, answers to pings too, gets more
// time from the second connection on that was given up for a ping.
func TestABrokerThatIsLateWithEverythingGetsItsRecords(t *testing.T) {
	for _, late := range []time.Duration{12 * time.Second, 25 * time.Second, 40 * time.Second, 55 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, p := newPipeClient(t, Config{KeepAlive: 10 * time.Second})
			p.set(pipeFaults{late: late})
			began, acked := time.Now(), 0
			for time.Since(began) < 2*time.Hour && acked < 30 {
				m, err := c.Connect(testContextOf(t, time.Hour))
				if err != nil {
					time.Sleep(c.Backoff())
					continue
				}
				m.WaitProof(testContextOf(t, time.Hour))
				for m.Deliverable() && acked < 30 {
					r, err := m.Publish(Message{Topic: "p/a/room/sample"})
					if err != nil || r.Err() != nil {
						break
					}
					acked++
				}
				_ = m.Close(testContextOf(t, time.Hour))
				time.Sleep(c.Backoff())
			}
			if acked < 30 {
				t.Errorf("everything %v late: %d records confirmed in 2 hours, %+v", late, acked, c.Status().LastError)
			}
		})
	}
}

// A network that is cut now and then makes nobody patient.
func TestAPingThatIsLostOnceMakesNobodyPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		for range 3 {
			p.set(pipeFaults{})
			m := connect(t, c)
			m.WaitProof(testContextOf(t, time.Hour))
			synctest.Wait() // the subscriptions have ended
			p.set(pipeFaults{replyPause: time.Hour})
			<-m.Lost()
			wantClass(t, m.Err(), ClassSilent)
			if ack, _ := c.patience(m.broker); ack != 20*time.Second {
				t.Errorf("patience is %v", ack)
			}
			time.Sleep(c.Backoff())
		}
	})
}

func TestALateSubackIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		p.set(pipeFaults{subackPause: 45 * time.Second})
		m := connect(t, c)
		if proof := m.WaitProof(testContextOf(t, time.Hour)); proof.State != ProofProven {
			t.Errorf("%+v, %v", proof, m.Err())
		}
		_ = m.Close(testContextOf(t, time.Hour))
	})
}

// An echo that comes when nobody waits for it any more is still an echo: records wait no
// longer, and the next connection waits longer.
func TestAnEchoThatComesTooLateIsStillAProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		p.set(pipeFaults{echoPause: 35 * time.Second})
		began := time.Now()
		for c.Status().Proof.State != ProofProven && time.Since(began) < 10*time.Minute {
			m := connect(t, c)
			for !isClosed(m.Lost()) && c.Status().Proof.State != ProofProven && time.Since(began) < 10*time.Minute {
				time.Sleep(time.Second)
			}
			_ = m.Close(testContextOf(t, time.Hour))
			time.Sleep(c.Backoff())
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("proven after %v: %+v", took, c.Status().Proof)
		}
		m := connect(t, c)
		if proof := m.WaitProof(testContextOf(t, time.Hour)); proof.State != ProofProven || c.Status().Connects > 3 {
			t.Errorf("%+v after %d connections", proof, c.Status().Connects)
		}
		_ = m.Close(testContextOf(t, time.Hour))
	})
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
	})
}

func TestALateLoginSucceedsAtTheSecondTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		p.set(pipeFaults{connackPause: 40 * time.Second})
		_, err := c.Connect(testContextOf(t, time.Hour))
		wantClass(t, err, ClassUnreachable)
		connect(t, c)
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
