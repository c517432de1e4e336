package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/publish"
	"roomcall/publish/brokertest"

	"roomcall/cgi/cgitest"
)

// kept is a mosquitto that keeps subscriptions and queues over an orderly stop.
var kept = brokertest.Conf{Persistence: true, Extra: lossless}

// durable is one that keeps them over kill -9 too; it is slow, for it saves
// everything at every change.
var durable = brokertest.Conf{
	Persistence: true,
	Extra:       append([]string{"autosave_on_changes true", "autosave_interval 1"}, lossless...),
}

// awaitConsumer returns when the broker hands messages to the consumer again.
func (r *rig) awaitConsumer(broker *brokertest.Server, sub *brokertest.Subscriber) {
	r.t.Helper()
	c, err := publish.New(publish.Config{Brokers: []string{broker.URL()}, ClientID: "marker-" + r.client})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), hosttest.Patience)
	defer cancel()
	conn, err := c.Connect(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(ctx)
	topic, seen := "roomcall/v1/"+r.client+"/marker", len(sub.Messages())
	hosttest.WaitFor(r.t, "the consumer gets messages again", func() (bool, string) {
		if _, err := conn.Publish(publish.Message{Topic: topic, Payload: []byte("x")}); err != nil {
			return false, err.Error()
		}
		return has(sub.Messages()[seen:], topic, ""), ""
	})
}

// TestBrokerStoppedForAWhile: polling goes on, the backlog grows, and all of it
// arrives in order when the broker is back; what is late is marked, and a late
// record never becomes the state.
func TestBrokerStoppedForAWhile(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{Scenario: "congestion", Now: faster(10)})
	broker := brokertest.Mosquitto(t, kept)
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL()))
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)
	broker.Stop()
	down := time.Now()
	st := r.waitStatus("a backlog of samples that are older than 2 s", func(st health.Status) bool {
		return st.Buffer.Waiting > 100 && time.Since(st.Buffer.Oldest) > 3*time.Second && time.Since(down) > 3*time.Second
	})
	if st.Broker.State == "connected" || st.Broker.Class != "unreachable" || st.Broker.Hint == "" {
		t.Errorf("broker status in the outage: %+v", st.Broker)
	}
	if polls := st.Endpoints[0].Polls; polls < 10 {
		t.Errorf("only %d polls while the broker was away", polls)
	}
	up := time.Now()
	broker.Start()
	r.waitSamples(sub, "room-1", 1, func(a arrival) bool { return a.tsMs > up.UnixMilli() })
	r.waitStatus("delivery is proven on the second connection", func(st health.Status) bool {
		return st.Broker.State == "connected" && st.Broker.Connects >= 2 && st.Broker.Proof == "proven"
	})
	r.drained()
	got := r.consumed(sub)
	checkReplayed(t, got, down, up)
}

// checkReplayed looks at an outage from down to up, with the smallest freshness.
func checkReplayed(t *testing.T, got *delivered, down, up time.Time) {
	t.Helper()
	const fresh = 2 * time.Second
	late := up.Add(-fresh).UnixMilli()
	marked := 0
	for lane, list := range got.lanes {
		for _, a := range list {
			if a.replayed {
				marked++
			}
			if !a.replayed && a.tsMs > down.UnixMilli() && a.tsMs < late {
				t.Errorf("%s %d was sent at least 2 s after its time and is not marked as replayed", lane, a.seq)
			}
		}
	}
	if marked == 0 {
		t.Error("no record is marked as replayed")
	}
	first := got.lanes["room-1/sample"][0]
	if first.replayed {
		t.Error("the first sample went out at once and is marked as replayed")
	}
	for _, a := range got.states["room-1"] {
		if a.tsMs > down.UnixMilli() && a.tsMs < late {
			t.Errorf("the state was set by sample %d, which waited for the broker", a.seq)
		}
	}
}

// TestBrokerKilled kills the broker in the middle of deliveries, twice: the
// consumer has messages whose PUBACK never comes. What mosquitto acknowledged
// and had not yet handed on would be lost with it, by no fault of the agent, so
// nothing is acknowledged in the last moment before the kill.
func TestBrokerKilled(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{Scenario: "join-leave"})
	broker := brokertest.Mosquitto(t, durable)
	proxy := brokertest.NewProxy(t, broker.Addr(), brokertest.Network{})
	sub := r.consumer(broker)
	// The window is wide: on a slow machine a backlog would fill the usual one with
	// older records as soon as nothing is acknowledged.
	r.configure(endpointTable("room-1", sim.url()), endpointTable("room-2", sim.url()), mqttTable("tcp://"+proxy.Addr(), "max_inflight = 5000"))
	r.run()
	for range 2 {
		from := time.Now().UnixMilli()
		r.waitSamples(sub, "room-1", 5, func(a arrival) bool { return a.tsMs > from })
		proxy.Set(brokertest.Network{NoReplies: true})
		unacknowledged := time.Now().UnixMilli()
		r.waitSamples(sub, "room-1", 2, func(a arrival) bool { return a.tsMs > unacknowledged })
		broker.Kill()
		proxy.Set(brokertest.Network{Freeze: true}) // until the consumer is back at the new broker
		proxy.Cut()
		broker.Start()
		r.awaitConsumer(broker, sub)
		proxy.Set(brokertest.Network{})
	}
	from := time.Now().UnixMilli()
	r.waitSamples(sub, "room-2", 5, func(a arrival) bool { return a.tsMs > from })
	r.drained()
	got := r.consumed(sub)
	if n := len(got.events("agent/event", "agent.quarantined")); n > 0 {
		t.Errorf("%d records were quarantined though the broker was only killed", n)
	}
}

// TestWrongBrokerPassword: told apart from a broker that is away, with a hint;
// records are kept and arrive with the right password.
func TestWrongBrokerPassword(t *testing.T) {
	r := newRig(t)
	r.http = freeAddr(t) // so that status finds the agent
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Users: map[string]string{"pc": "right-secret", "consumer": "c"}, Extra: lossless})
	sub := r.consumer(broker, brokertest.Subscription{Username: "consumer", Password: "c"})
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL(), `username = "pc"`, `password_file = "mqtt.txt"`))
	r.file("mqtt.txt", "wrong-secret\n")
	r.run()
	st := r.waitStatus("the login is refused and records wait", func(st health.Status) bool {
		return st.Broker.State == "refused" && st.Buffer.Waiting > 20
	})
	if st.Broker.Class != "login" || !strings.Contains(st.Broker.Hint, "password") {
		t.Errorf("status of a refused login: %+v", st.Broker)
	}
	r.waitLog(`level=ERROR msg="connect to broker failed".*password`)
	if n := strings.Count(r.log(), `msg="connect to broker failed"`); n != 1 {
		t.Errorf("the refusal is logged %d times at once, want 1", n)
	}
	out, _, code := r.output("status")
	if code != 1 || !strings.Contains(out, "refused") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	r.stop()
	r.file("mqtt.txt", "right-secret\n")
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)
	r.drained()
	r.consumed(sub)
}

// TestAccessListDeniesWriting: MQTT 3.1.1 acknowledges what the access list
// drops. The records are kept all the same, status and log say why, and with
// the right given everything arrives.
func TestAccessListDeniesWriting(t *testing.T) {
	r := newRig(t)
	r.http = freeAddr(t) // so that check finds the agent
	sim := newSimulator(t, cgitest.Options{})
	const readOnly = "user pc\ntopic read roomcall/#\nuser consumer\ntopic roomcall/#\n"
	broker := brokertest.Mosquitto(t, brokertest.Conf{
		Users: map[string]string{"pc": "p", "consumer": "c"}, ACL: readOnly,
		// No "max_queued_messages 0": with it mosquitto 2.0.11 cuts the connection at a
		// denied message. So it keeps 1,000 messages for the consumer, and what waits
		// until the proof has failed must be fewer.
		Persistence: true,
	})
	sub := r.consumer(broker, brokertest.Subscription{Username: "consumer", Password: "c"})
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL(), `username = "pc"`, `password = "p"`),
		"[publish]\nkinds = [\"sample\", \"event\"]")
	r.run()
	st := r.waitStatus("the proof fails and records wait", func(st health.Status) bool {
		return st.Broker.Proof == "failed" && st.Buffer.Waiting > 20
	})
	if st.Broker.Class != "acl" || st.Broker.Hint == "" {
		t.Errorf("status of a denied access: %+v", st.Broker)
	}
	if st.Buffer.Acked != 0 || st.Buffer.Waiting != st.Buffer.Appended {
		t.Errorf("%d of %d records wait, %d are acknowledged; nothing arrived", st.Buffer.Waiting, st.Buffer.Appended, st.Buffer.Acked)
	}
	r.waitLog(`level=ERROR msg="delivery proof failed, records are kept".*access list`)
	if n := len(sub.Messages()); n > 0 {
		t.Fatalf("%d messages came through an access list that denies them", n)
	}
	if out, _, code := r.output("check"); code != 1 || !strings.Contains(out, "FAIL  broker echo") {
		t.Errorf("check: exit code %d\n%s", code, out)
	}
	broker.Stop()
	broker.SetACL(strings.Replace(readOnly, "topic read", "topic", 1))
	broker.Start()
	r.waitSamples(sub, "room-1", 3, pollOK)
	r.drained()
	got := r.consumed(sub)
	if n := len(got.events("agent/event", "agent.undelivered")); n != 1 {
		t.Errorf("%d events agent.undelivered, want 1", n)
	}
}

// TestAccessListDeniesTheEcho: without the right to read the echo, delivery goes
// on and is called unproven.
func TestAccessListDeniesTheEcho(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{
		Users: map[string]string{"pc": "p", "consumer": "c"}, Extra: lossless,
		ACL: "user pc\ntopic write roomcall/#\nuser consumer\ntopic roomcall/#\n",
	})
	sub := r.consumer(broker, brokertest.Subscription{Username: "consumer", Password: "c"})
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL(), `username = "pc"`, `password = "p"`))
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)
	st := r.waitStatus("unproven", func(st health.Status) bool { return st.Broker.Proof == "unproven" })
	if st.Broker.State != "connected" || st.Broker.Error != "" {
		t.Errorf("unproven is no error: %+v", st.Broker)
	}
	r.drained()
	r.consumed(sub)
}

// TestConfirmedByEcho delivers with confirm = "echo".
func TestConfirmedByEcho(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	sub := r.consumer(broker)
	r.configure(endpointTable("room-1", sim.url()), mqttTable(broker.URL(), `confirm = "echo"`))
	r.run()
	r.waitSamples(sub, "room-1", 10, pollOK)
	r.drained()
	r.consumed(sub)
}

// TestBrokerListIsTriedInTurn: the second broker takes over.
func TestBrokerListIsTriedInTurn(t *testing.T) {
	r := newRig(t)
	sim := newSimulator(t, cgitest.Options{})
	broker := brokertest.Mosquitto(t, brokertest.Conf{Extra: lossless})
	sub := r.consumer(broker)
	list := fmt.Sprintf("broker = [%q, %q]", "tcp://"+freeAddr(t), broker.URL())
	r.configure(endpointTable("room-1", sim.url()), mqttTable("", list))
	r.run()
	r.waitSamples(sub, "room-1", 3, pollOK)
	r.drained()
	r.consumed(sub)
}
