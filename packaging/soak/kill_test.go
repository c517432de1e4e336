package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

// kept is a mosquitto that keeps subscriptions and queues across a clean stop, and
// bounds no queue, so that a slow consumer does not look like a loss.
var kept = brokertest.Conf{Persistence: true, Extra: []string{"max_queued_messages 0", "max_inflight_messages 0", "log_type error"}}

// TestKillsLoseNoAcceptedRecordAndKeepTheCall kills the agent with SIGKILL at
// random instants while it polls three rooms whose call comes and goes, with the
// broker up, down or flapping. SOAK_KILLS is the number of kills, a third in each
// case.
func TestKillsLoseNoAcceptedRecordAndKeepTheCall(t *testing.T) {
	kills := (count(t, "SOAK_KILLS", 12) + 2) / 3
	for _, mode := range []string{"up", "down", "flapping"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			killRounds(t, mode, kills)
		})
	}
}

func killRounds(t *testing.T, mode string, kills int) {
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	sim := newRooms(t)
	broker := brokertest.Mosquitto(t, kept)
	sub := listen(t, broker.URL(), "")
	calls := newCalls(sim)
	sub.see = calls.see
	a := newAgent(t, "", room("room-1", sim.url, "100ms"), room("room-2", sim.url, "100ms"), room("room-3", sim.url, "100ms"), brokerTable(broker.URL()))
	steady := trouble(mode, broker, rnd.Uint64())
	defer steady()
	for range kills {
		a.start()
		if rnd.IntN(3) == 0 {
			sim.toggle()
		}
		select {
		case <-time.After(time.Duration(20+rnd.IntN(700)) * time.Millisecond):
		case <-a.done:
			t.Fatalf("the agent ended by itself: %v", a.cmd.ProcessState)
		}
		a.kill()
	}
	steady()
	a.start()
	seen := sub.size("room-1/sample")
	sub.waitSize("room-1/sample", seen+3)
	a.drained()
	sum := sub.check(a.data)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	n := calls.check(t)
	if sum.announced > 0 || len(sub.gone) > 0 {
		t.Errorf("%d records were announced as gone although there were only kills: %v", sum.announced, sub.gone)
	}
	if limit := kills * offeredAgain; sum.dups > limit {
		t.Errorf("%d duplicates after %d kills, at most %d are promised", sum.dups, kills, limit)
	}
	t.Logf("broker %s: %d kills, %d records, 0 lost, %d duplicates, %d calls right", mode, kills, sum.records, sum.dups, n)
}

// trouble keeps the broker up, down or flapping until the returned function is
// called, which leaves it up.
func trouble(mode string, broker *brokertest.Server, seed uint64) func() {
	switch mode {
	case "down":
		broker.Stop()
		return sync.OnceFunc(broker.Start)
	case "flapping":
		return broker.Flap(seed, 800*time.Millisecond, 600*time.Millisecond)
	}
	return func() {}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// calls follows the calls of each room through its records.
type calls struct {
	sim   *rooms
	rooms map[string]*callTrack
	bad   []string
}

// callTrack is one room. By its samples a call is a run of samples in the call
// without an idle one between.
type callTrack struct {
	open                    string
	seen                    []string // call_id of each run of samples
	started, ended, summary []string // call_id by events and call records
}

func newCalls(sim *rooms) *calls { return &calls{sim: sim, rooms: map[string]*callTrack{}} }

func (c *calls) see(topic string, f facts, _ time.Time) {
	var device, kind string
	for i := range topic {
		if topic[i] == '/' {
			device, kind = topic[:i], topic[i+1:]
		}
	}
	tr := c.rooms[device]
	if tr == nil {
		tr = &callTrack{}
		c.rooms[device] = tr
	}
	switch {
	case kind == "sample" && f.PollOK != nil && *f.PollOK == 1 && f.InCall != nil:
		c.sample(device, tr, f)
	case f.Type == "agent.store_damaged", f.Type == "agent.store_reset":
		c.bad = append(c.bad, "although there were only kills: "+f.Type)
	case kind == "event" && f.Type == "call.started":
		tr.started = append(tr.started, f.CallID)
	case kind == "event" && f.Type == "call.ended":
		tr.ended = append(tr.ended, f.CallID)
	case kind == "call":
		tr.summary = append(tr.summary, f.CallID)
	}
}

func (c *calls) sample(device string, tr *callTrack, f facts) {
	if !c.sim.could(f.TsMs, *f.InCall == 1) {
		c.bad = append(c.bad, fmt.Sprintf("%s: sample %d has in_call %d, which the endpoint never reported at that time", device, f.Seq, *f.InCall))
	}
	if *f.InCall == 0 {
		tr.open = ""
		return
	}
	if tr.open == "" {
		tr.seen = append(tr.seen, f.CallID)
	} else if f.CallID != tr.open {
		c.bad = append(c.bad, fmt.Sprintf("%s: sample %d is of call %s, the call before it, %s, did not end", device, f.Seq, f.CallID, tr.open))
	}
	tr.open = f.CallID
}

// check reports each call in the samples that does not have exactly one start, and,
// unless it still lasts, exactly one end and one call record.
func (c *calls) check(t *testing.T) (n int) {
	t.Helper()
	for device, tr := range c.rooms {
		over := tr.seen
		if tr.open != "" {
			over = over[:len(over)-1]
		}
		n += len(tr.seen)
		for what, pair := range map[string][2][]string{
			"call.started": {tr.started, tr.seen}, "call.ended": {tr.ended, over}, "call records": {tr.summary, over},
		} {
			if fmt.Sprint(pair[0]) != fmt.Sprint(pair[1]) {
				c.bad = append(c.bad, fmt.Sprintf("%s: %s %v, the samples show %v", device, what, pair[0], pair[1]))
			}
		}
	}
	for _, text := range c.bad[:min(len(c.bad), 10)] {
		t.Error(text)
	}
	return n
}
