package soak

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/publish/brokertest"
)

// anonLimit is the most anonymous memory that the agent may use, in MiB (30 MB).
const anonLimit = 30e6 / (1 << 20)

// TestLongBacklogTakesLittleMemoryAndStatesPassIt drains SOAK_RECORDS records of
// 1.5 kB while a room in a call is polled every second. The queue is strict: a
// new sample waits for all that is older. The retained state topic does not.
func TestLongBacklogTakesLittleMemoryAndStatesPassIt(t *testing.T) {
	records := count(t, "SOAK_RECORDS", 5000)
	sim := newRooms(t)
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: kept.Extra})
	sub := listen(t, broker.URL(), "")
	var states, samples delays
	onStates(t, broker.URL(), func(f facts, at time.Time) { states.add(f, at) })
	sub.see = func(topic string, f facts, at time.Time) {
		if topic == "room-1/sample" {
			samples.add(f, at)
		}
	}
	a := newAgent(t, "", room("room-1", sim.url, "1s"), brokerTable(broker.URL()), "[buffer]\nmax_bytes = \"64GiB\"")
	fill(t, a.data, records, 1450)
	a.start()
	a.await("the broker is connected", func(s status) bool { return s.Broker.State == "connected" })
	stop := a.peakAnon()
	last := a.awaitFor("the backlog is delivered", time.Hour, func(s status) bool { return s.Buffer.Waiting == 0 })
	took, peak := last.Broker.LastAck.Sub(last.Broker.Since), stop()
	sub.waitSize("room-1/sample", 3)
	a.drained()
	sub.check(a.data)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if n := len(sub.topics["past/sample"].sums); n != records {
		t.Errorf("%d of %d records arrived", n, records)
	}
	if peak > anonLimit {
		t.Errorf("the agent used %.1f MiB of anonymous memory, at most %.1f are promised", peak, anonLimit)
	}
	t.Logf("%d records in %v, %.0f a second, RssAnon at most %.1f MiB", records, took.Round(time.Millisecond), float64(records)/took.Seconds(), peak)
	t.Logf("delay of states: %s; delay of new samples: %s", &states, &samples)
}

// onStates calls fn for every state that is not a retained copy, over its own
// connection, so that it does not wait behind messages that a slow consumer of all
// topics has not read yet.
func onStates(t testing.TB, url string, fn func(facts, time.Time)) {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID("states")
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		at := time.Now()
		var f facts
		if json.Unmarshal(m.Payload(), &f) == nil && !m.Retained() {
			fn(f, at)
		}
	})
	client := mqtt.NewClient(o)
	settle(t, client.Connect())
	settle(t, client.Subscribe("roomcall/v1/"+clientID+"/+/state", 1, nil))
	t.Cleanup(func() { client.Disconnect(250) })
}

// delays are the times from the end of a poll until its message arrived.
type delays struct {
	mu   sync.Mutex
	list []time.Duration
}

func (d *delays) add(f facts, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, at.Sub(time.UnixMilli(f.TsMs)))
}

func (d *delays) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return "none arrived"
	}
	slices.Sort(d.list)
	n := len(d.list)
	return "median " + d.list[n/2].String() + ", longest " + d.list[n-1].String()
}
