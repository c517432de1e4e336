package publish

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

func TestFullWindowDoesNotKeepTheProofOut(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{AckDelay: time.Millisecond})
	cfg := testConfig(f.URL())
	cfg.MaxInflight = 1
	m := connect(t, newClient(t, cfg))
	tooLong := time.After(patience)
	for i := 0; ; i++ {
		select {
		case <-tooLong:
			t.Fatal("the proof was never decided")
		case <-m.proof.decided:
			if p := m.client.Status().Proof; p.State != ProofProven {
				t.Fatalf("proof is %+v", p)
			}
			return
		case <-time.After(0):
		}
		_, err := m.Publish(Message{Topic: m.client.Topic("room/state"), Payload: []byte(fmt.Sprint(i))})
		if err != nil {
			wantClass(t, err, ClassWindow)
			runtime.Gosched()
		}
	}
}

func TestConfirmEchoRefusesWhatWouldNeverBeHandedBack(t *testing.T) {
	for range 20 {
		f := brokertest.NewFake(t, brokertest.Faults{})
		cfg := testConfig(f.URL())
		cfg.Confirm, cfg.AckTimeout = ConfirmEcho, 2*time.Second
		m := connect(t, newClient(t, cfg))
		r, err := m.Publish(Message{Topic: m.client.Topic("room/state"), Payload: []byte("before the subscription")})
		if err != nil {
			wantClass(t, err, ClassUnproven)
			if p := m.WaitProof(testContext(t)); p.State != ProofProven {
				t.Fatalf("proof is %+v", p)
			}
			r = send(t, m, "room/state", "behind it")
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
	}
}

func TestRefusedPublishLeavesNoEchoToWaitFor(t *testing.T) {
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	cfg.Confirm, cfg.MaxInflight = ConfirmEcho, 1
	m := connect(t, newClient(t, cfg))
	m.WaitProof(testContext(t))
	f.Set(brokertest.Faults{NoEcho: true})
	t.Cleanup(f.Cut)
	n := 0
	for ; n <= cfg.MaxInflight+reserve; n++ {
		if _, err := m.Publish(Message{Topic: m.client.Topic("a/b"), Payload: []byte(fmt.Sprint(n))}); err != nil {
			wantClass(t, err, ClassWindow)
			break
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.echoes) != n {
		t.Fatalf("%d echoes are expected of %d messages", len(m.echoes), n)
	}
}
