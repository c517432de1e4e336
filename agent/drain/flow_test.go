package drain

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roomcall/publish/brokertest"
)

// cuts drains records 1 to n through a broker that cuts the connection at one of
// them. overtaken says how many of the acknowledgements before it the reset
// overtakes, given how many records were in flight. It returns how often the
// connection was lost and which records were quarantined.
func cuts(n, culprit uint64, window int, overtaken func(flight int) int) (losses int, quarantined []uint64) {
	p := flow{window: window}
	gone := map[uint64]bool{}
	for head := uint64(1); head <= n; {
		var flight []uint64
		next := head - 1
		for {
			for next < n && len(flight) < allowed(&p, next) {
				if next++; !gone[next] {
					flight = append(flight, next)
				}
			}
			if len(flight) == 0 {
				return losses, quarantined
			}
			at := -1
			for i, pos := range flight {
				if pos == culprit {
					at = i
				}
			}
			if at < 0 {
				p.confirmed()
				flight = flight[1:]
				continue
			}
			for range max(0, at-overtaken(len(flight))) {
				p.confirmed()
				flight = flight[1:]
			}
			break
		}
		losses++
		if head = flight[0]; p.lost(head, flight[len(flight)-1]) {
			gone[head] = true
			quarantined = append(quarantined, head)
		}
		if losses > 1000 {
			break
		}
	}
	return losses, quarantined
}

// allowed is the window behind a position on an old connection.
func allowed(f *flow, next uint64) int {
	n, _ := f.limit(next, time.Hour)
	return n
}

// TestTheCulpritIsFoundWithinThreeLosses: also when each reset overtakes whatever it
// can, it is found soon, and nothing else is quarantined.
func TestTheCulpritIsFoundWithinThreeLosses(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, window := range []int{1, 2, 10, 100} {
		for culprit := uint64(1); culprit <= 250; culprit++ {
			for name, c := range map[string]struct {
				overtaken func(int) int
				losses    int
			}{
				"none": {func(int) int { return 0 }, 3},
				"all":  {func(flight int) int { return flight }, 6},
				"some": {func(flight int) int { return rnd.IntN(flight + 1) }, 20},
			} {
				losses, quarantined := cuts(300, culprit, window, c.overtaken)
				if losses > c.losses || !cmp.Equal(quarantined, []uint64{culprit}) {
					t.Fatalf("window %d, acknowledgements overtaken: %s: %d losses, quarantined %v, want %d after %d losses at most",
						window, name, losses, quarantined, culprit, c.losses)
				}
			}
		}
	}
}

// TestABrokerThatAcceptsNothingIsNotTheFaultOfEachRecord: of 1,000 connections that such a
// broker cuts few cost a record its place; the first one that is confirmed makes it three
// losses again, and records at which it cuts stop nobody for ever.
func TestABrokerThatAcceptsNothingIsNotTheFaultOfEachRecord(t *testing.T) {
	p := flow{window: 100}
	head := uint64(1)
	lose := func(connections int) (culprits int) {
		for range connections {
			if p.lost(head, head+50) {
				head++
				culprits++
			}
		}
		return culprits
	}
	if n := lose(1000); n != 14 { // after 3, 9, 21, 45, 93, 189, and then each 96
		t.Errorf("%d records of 1,000 lost connections are culprits", n)
	}
	if n := lose(10 * culpritAfter << culpritsMost); n < 9 {
		t.Errorf("a row of culprits has an end after %d of 10: the number doubles without a bound", n)
	}
	p.confirmed()
	head += 10
	if n := lose(3); n != 1 {
		t.Errorf("%d culprits in three losses after a record was confirmed", n)
	}
}

// TestWindowDoublesAfterASuspicion: a backlog is back at its speed after a few
// records, and goes one at a time after the next loss.
func TestWindowDoublesAfterASuspicion(t *testing.T) {
	p := flow{window: 100}
	p.lost(1, 100)
	if got := allowed(&p, 0); got != 100 {
		t.Errorf("one loss makes the window %d", got)
	}
	p.lost(1, 100)
	var got []int
	for range 9 {
		got = append(got, allowed(&p, 0))
		p.confirmed()
	}
	if diff := cmp.Diff([]int{1, 2, 4, 8, 16, 32, 64, 100, 100}, got); diff != "" {
		t.Errorf("the window, record by record: %s", diff)
	}
	p.lost(10, 60)
	for next := uint64(9); next < 60; next++ {
		if got := allowed(&p, next); got != 1 {
			t.Fatalf("after the next loss the window behind record %d is %d", next, got)
		}
		p.confirmed()
	}
	if got := allowed(&p, 60); got != 100 {
		t.Errorf("the window is %d when all suspects are through", got)
	}
}

// TestSuspectGoesAlone: also when it was the only one in flight at the losses and
// others came since.
func TestSuspectGoesAlone(t *testing.T) {
	p := flow{window: 100}
	p.lost(7, 7)
	p.lost(7, 7)
	if got := allowed(&p, 7); got != 1 {
		t.Errorf("the window with the suspect in flight is %d", got)
	}
	p.confirmed()
	if got := allowed(&p, 7); got != 100 {
		t.Errorf("the window behind the cleared suspect is %d", got)
	}
}

// TestDrainRampsUpAfterASuspicion is the same over a connection: cut twice at
// record 1, then the broker acknowledges 3 records and no more.
func TestDrainRampsUpAfterASuspicion(t *testing.T) {
	seen := 0 // used by one connection after the other
	cutting := func(m brokertest.Message) bool {
		if string(m.Payload) == `{"seq":1}` {
			seen++
		}
		return m.Topic == recordTopic && seen <= 2
	}
	ack := func(m brokertest.Message) bool {
		return m.Topic != recordTopic || len(m.Payload) == len(`{"seq":1}`) && m.Payload[7] <= '3'
	}
	d := drain(t, brokertest.Faults{Reject: cutting, Ack: ack}, 20, nil)
	d.put(60, 0)
	d.broker.Wait(func(got []brokertest.Message) bool { return len(payloads(got)) == 3+8 })
	if n := d.client.Status().InFlight; n != 8 {
		t.Errorf("%d records in flight after 3 were settled, want 8", n)
	}
	d.broker.Set(brokertest.Faults{})
	d.broker.Cut()
	d.waiting(0)
	d.arrived(60)
	if n := d.q.Info().Quarantined; n != 0 {
		t.Errorf("%d records were quarantined", n)
	}
}
