package publish

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoffIsSpreadBetweenMinAndAGrowingBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := newBackoff(time.Second, 2*time.Minute, 1, r.Float64)
	for n, bound := range []time.Duration{2, 4, 8, 16, 32, 64, 120, 120} {
		bound *= time.Second
		var buckets [4]int
		for range 4000 {
			w := b.wait()
			if w < time.Second || w >= bound {
				t.Fatalf("after %d failures: wait %v, want [1s, %v)", n, w, bound)
			}
			buckets[int(4*(w-time.Second)/(bound-time.Second))]++
		}
		for q, c := range buckets {
			if c < 850 || c > 1150 {
				t.Errorf("after %d failures: %d of 4000 waits in quarter %d", n, c, q)
			}
		}
		b.failed()
	}
}

func TestBackoffGrowsOnceARoundThroughTheBrokers(t *testing.T) {
	b := newBackoff(time.Second, time.Minute, 3, func() float64 { return 0.999999 })
	for _, want := range []time.Duration{2, 2, 2, 4, 4, 4, 8} {
		if got := b.wait().Round(time.Second); got != want*time.Second {
			t.Errorf("wait is %v, want %v", got, want*time.Second)
		}
		b.failed()
	}
}

func TestBackoffStartsSmallOnlyAfterAConnectionThatLived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Brokers: []string{"tcp://h"}, ClientID: "a", Rand: func() float64 { return 0.999999 }})
		lose := func(lived time.Duration) time.Duration {
			m := newConn(c, c.brokers[0], newLink(nopConn{}, nopConn{}, time.Second))
			time.Sleep(lived)
			m.fail(lostError(m, errGivenUp))
			return c.Backoff().Round(time.Second)
		}
		for _, step := range []struct{ lived, want time.Duration }{
			{10 * time.Second, 4 * time.Second},
			{10 * time.Second, 8 * time.Second},
			{59 * time.Second, 16 * time.Second},
			{60 * time.Second, 2 * time.Second},
			{time.Second, 4 * time.Second},
		} {
			if got := lose(step.lived); got != step.want {
				t.Errorf("after a connection of %v the wait is %v, want %v", step.lived, got, step.want)
			}
		}
	})
}

func TestExtremeBackoffBoundsDoNotOverflow(t *testing.T) {
	b := newBackoff(time.Nanosecond, 1<<62, 1, func() float64 { return 0.5 })
	for range 200 {
		b.failed()
	}
	if w := b.wait(); w < 0 || w > 1<<62 {
		t.Errorf("wait is %v", w)
	}
	b = newBackoff(0, time.Second, 1, func() float64 { return 0.5 })
	if w := b.wait(); w < 0 || w > time.Second {
		t.Errorf("wait is %v", w)
	}
}

// Only a connection that ends with nothing in flight and a proof that had not
// failed speaks for a client id used twice; one that ends before its proof is
// decided has the broker asked.
func TestEarlyLossesAreExplainedByWhatWasInFlightAndProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Brokers: []string{"tcp://h"}, ClientID: "a"})
		lose := func(lived time.Duration, busy bool, proof ProofState) Class {
			m := newConn(c, c.brokers[0], newLink(nopConn{}, nopConn{}, time.Second))
			c.connected(m)
			c.mu.Lock()
			c.delivery.proof.State = proof
			c.mu.Unlock()
			if busy {
				if _, err := m.Publish(Message{Topic: "t"}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(lived)
			m.fail(lostError(m, errGivenUp))
			return classOf(m.Err())
		}
		for n, step := range []struct {
			lived time.Duration
			busy  bool
			proof ProofState
			want  Class
			asked bool
		}{
			{time.Second, false, ProofProven, ClassLost, false},
			{time.Second, false, ProofProven, ClassLost, false},
			{time.Second, false, ProofProven, ClassSameID, false},
			{time.Second, true, ProofProven, ClassLost, false}, // may be a message that the broker does not take
			{time.Second, true, ProofProven, ClassLost, false},
			{time.Second, false, ProofUnproven, ClassSameID, false},
			{time.Second, false, ProofFailed, ClassLost, false}, // the access list has denied something
			{time.Minute, false, ProofProven, ClassLost, false}, // it lived: all is forgotten
			{time.Second, false, ProofPending, ClassLost, false},
			{time.Second, false, ProofPending, ClassLost, true},
			{time.Second, false, ProofPending, ClassLost, true},
		} {
			if got := lose(step.lived, step.busy, step.proof); got != step.want {
				t.Errorf("loss %d is %s, want %s", n, got, step.want)
			}
			if asked := c.delivery.about(c.brokers[0].name).ask; asked != step.asked {
				t.Errorf("after loss %d the broker is asked: %v", n, asked)
			}
		}
	})
}
