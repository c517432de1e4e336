package drain

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/agent/host/hosttest"
	"roomcall/agent/record"
	"roomcall/buffer"
	"roomcall/publish"
	"roomcall/publish/brokertest"
)

func TestBacklogIsDeliveredInOrderAndOnlyThenRemoved(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.put(500, time.Minute)
	d.waiting(0)
	d.put(3, 0)
	d.waiting(0)
	d.arrived(503)
	got := d.got()
	if len(got) != 503 {
		t.Errorf("%d messages for 503 records", len(got))
	}
	if old, fresh := got[0], got[502]; old != `{"seq":1,"replayed":1}` || fresh != `{"seq":503}` {
		t.Errorf("old record %s, fresh record %s", old, fresh)
	}
}

func TestNothingIsRemovedWithoutAnAcknowledgement(t *testing.T) {
	isRecord := func(m brokertest.Message) bool { return m.Topic == recordTopic }
	deny := brokertest.Faults{Ack: func(m brokertest.Message) bool { return !isRecord(m) }}
	const window = 8
	d := drain(t, deny, window, func(c *publish.Config) { c.AckTimeout = 200 * time.Millisecond })
	d.put(100, 0)
	// the broker stays silent over many connections: more than any that would quarantine a record
	d.broker.Wait(func([]brokertest.Message) bool { return len(d.broker.Connects()) > 2*culpritAfter })
	if n := d.q.Info().Waiting; n != 100 {
		t.Errorf("%d of 100 records wait though none was acknowledged", n)
	}
	if n := d.q.Info().Quarantined; n != 0 {
		t.Errorf("%d records were quarantined because the broker was silent", n)
	}
	distinct := map[string]bool{}
	for _, p := range d.got() {
		distinct[strings.Replace(p, `,"replayed":1`, "", 1)] = true
	}
	if len(distinct) > window {
		t.Errorf("%d records are on their way, the window is %d", len(distinct), window)
	}
	d.broker.Set(brokertest.Faults{})
	d.waiting(0)
	d.arrived(100)
}

func TestWindowStaysFullButNotFuller(t *testing.T) {
	const window = 5
	d := drain(t, brokertest.Faults{Ack: func(m brokertest.Message) bool { return m.Topic != recordTopic }}, window, nil)
	d.put(50, 0)
	d.broker.Wait(func(got []brokertest.Message) bool { return len(payloads(got)) == window })
	if n := d.client.Status().InFlight; n != window {
		t.Errorf("%d records in flight, want %d", n, window)
	}
	d.put(50, 0)
	d.broker.Cut() // the next connection begins with the oldest again
	d.broker.Set(brokertest.Faults{})
	d.waiting(0)
	d.arrived(100)
}

// TestARecordThatCutsTheConnectionIsQuarantinedAndAnnounced: a record at which the broker cuts the
// connection does not stop the rest.
func TestARecordThatCutsTheConnectionIsQuarantinedAndAnnounced(t *testing.T) {
	culprit := []byte(`{"seq":4}`)
	d := drain(t, brokertest.Faults{Reject: func(m brokertest.Message) bool { return bytes.Equal(m.Payload, culprit) }}, 10, nil)
	d.put(10, 0)
	d.waiting(0)
	var seqs []string
	seen := map[string]bool{}
	for _, p := range d.got() {
		if !seen[p] {
			seqs = append(seqs, p)
		}
		seen[p] = true
	}
	if len(seqs) != 9 || seen[string(culprit)] {
		t.Errorf("the broker took %v", seqs)
	}
	if n := d.q.Info().Quarantined; n != 1 {
		t.Errorf("%d records are quarantined, want 1", n)
	}
	events := d.announced()
	if len(events) != 1 || events[0].Type != "agent.quarantined" || events[0].FirstSeq != 4 || events[0].Kind != "sample" || events[0].Device != "room-1" {
		t.Errorf("announced: %+v", events)
	}
}

func TestARecordThatCanNeverBeSentIsQuarantined(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.put(2, 0)
	d.waiting(0)
	if err := d.q.Append(buffer.Batch{Records: []buffer.Record{
		{Lane: "room-1/bad#lane", Num: 1, Time: time.Now(), Fresh: time.Second, Payload: []byte("{}")},
	}}); err != nil {
		t.Fatal(err)
	}
	d.put(2, 0)
	d.waiting(0)
	d.arrived(4)
	if events := d.announced(); len(events) != 1 || events[0].FirstSeq != 1 {
		t.Errorf("announced: %+v", events)
	}
}

func TestCutConnectionsLoseNothingAndQuarantineNothing(t *testing.T) {
	d := drain(t, brokertest.Faults{CutAfter: 40}, 20, nil)
	for range 10 {
		d.put(50, 0)
	}
	d.waiting(0)
	d.arrived(500)
	if n := d.q.Info().Quarantined; n != 0 {
		t.Errorf("%d records were quarantined", n)
	}
}

func TestFailedProofKeepsTheRecordsUntilItHolds(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.put(5, 0)
	d.waiting(0)
	d.broker.Set(brokertest.Faults{NoEcho: true})
	proof := func(want publish.ProofState) {
		t.Helper()
		hosttest.WaitFor(t, "the proof is "+string(want), func() (bool, string) {
			p := d.client.Status().Proof
			return p.State == want, fmt.Sprintf("%+v", p)
		})
	}
	proof(publish.ProofFailed)
	d.put(20, 0)
	taken := len(d.got())
	connects := len(d.broker.Connects())
	d.broker.Cut()
	d.broker.Wait(func([]brokertest.Message) bool {
		return len(d.broker.Connects()) > connects+1 || d.client.Status().Connects > 2
	})
	if n := d.q.Info().Waiting; n != 20 || len(d.got()) != taken {
		t.Errorf("%d of 20 records wait and %d were sent while the proof is failed", n, len(d.got())-taken)
	}
	d.broker.Set(brokertest.Faults{})
	d.waiting(0)
	d.arrived(25)
}

func TestOrderlyStopSettlesWhatIsInFlightAndSaysOffline(t *testing.T) {
	d := drain(t, brokertest.Faults{AckDelay: 5 * time.Millisecond}, 10, nil)
	d.put(200, 0)
	d.broker.Wait(func(got []brokertest.Message) bool { return len(payloads(got)) > 20 })
	d.end()
	acked := 0
	for i := range 200 {
		if d.broker.Acked(fmt.Sprintf(`{"seq":%d}`, i+1)) {
			acked++
		}
	}
	if left := int(d.q.Info().Waiting); acked+left != 200 {
		t.Errorf("%d records acknowledged and %d kept, want 200 together", acked, left)
	}
	if got := d.broker.Received(); string(got[len(got)-1].Payload) != "offline" {
		t.Errorf("the last word is %s on %s", got[len(got)-1].Payload, got[len(got)-1].Topic)
	}
	if n := len(d.broker.Wills()); n != 0 {
		t.Errorf("%d wills after an orderly stop", n)
	}
}

func TestStopDoesNotWaitForASilentBroker(t *testing.T) {
	d := drain(t, brokertest.Faults{Ack: func(m brokertest.Message) bool { return m.Topic != recordTopic }}, 10,
		func(c *publish.Config) { c.AckTimeout = time.Hour })
	d.put(50, 0)
	d.broker.Wait(func(got []brokertest.Message) bool { return len(payloads(got)) == 10 })
	d.leave() // the grace is over
	d.end()   // hangs when the stop waits for acknowledgements
	if n := d.q.Info().Waiting; n != 50 {
		t.Errorf("%d of 50 records are kept", n)
	}
}

func TestStatesGoBesideTheQueueAndAreRetained(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.Newest.Set(record.Sample{Device: "room-1", Payload: []byte(`{"seq":9}`), At: time.Now(), Fresh: time.Minute})
	d.broker.Wait(func(got []brokertest.Message) bool {
		for _, m := range got {
			if m.Topic == "roomcall/v1/pc/room-1/state" {
				return m.Retain && string(m.Payload) == `{"seq":9}`
			}
		}
		return false
	})
	if n := d.q.Info().Waiting; n != 0 {
		t.Errorf("%d records wait: a state is never kept", n)
	}
}

func TestReplayRateHoldsBackOldRecordsOnly(t *testing.T) {
	d := drain(t, brokertest.Faults{}, 10, nil)
	d.end()
	d.flow.rate = newRateLimit(1) // one a second
	d.put(2, time.Minute)
	d.put(20, 0)
	d.start()
	d.waiting(0)
	d.arrived(22)
	got := d.got()
	for i, p := range got {
		if marked := strings.Contains(p, `"replayed":1`); marked != (i < 2) {
			t.Errorf("record %d: %s", i, p)
		}
	}
}

func TestRateLimitSpreadsReplayedRecords(t *testing.T) {
	now := time.Now()
	free := newRateLimit(0)
	for range 1000 {
		if wait := free.take(now); wait != 0 {
			t.Fatalf("replay_rate 0 waits %v", wait)
		}
	}
	for _, c := range []struct {
		rate int
		late time.Duration // by which each timer is
	}{{50, 0}, {2000, 0}, {2000, time.Millisecond}, {2000, 16 * time.Millisecond}} {
		p, sent := newRateLimit(c.rate), 0
		for at := now; at.Before(now.Add(10 * time.Second)); {
			if wait := p.take(at); wait > 0 {
				at = at.Add(wait + c.late)
				continue
			}
			sent++
		}
		if most := 10 * c.rate; sent > most || sent < most-c.rate/50 {
			t.Errorf("%d records in 10 s at replay_rate %d with timers late by %v", sent, c.rate, c.late)
		}
	}
	p := newRateLimit(2000)
	p.take(now)
	sent := 0
	for at := now.Add(time.Hour); p.take(at) == 0; sent++ {
	}
	if sent != 1 {
		t.Errorf("%d records at once after an hour without one", sent)
	}
}
