package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"roomcall/publish/brokertest"
)

// habit is a way of a broker that once stopped an agent, or made it count as
// delivered what was not.
type habit struct {
	name   string
	faults brokertest.Faults
}

func habits() []habit {
	is := func(word string) func(string) bool {
		return func(filter string) bool { return strings.HasSuffix(filter, word) }
	}
	other := func(kind byte, with string) func(packets.ControlPacket) []byte {
		return func(p packets.ControlPacket) []byte {
			var b bytes.Buffer
			_ = p.Write(&b)
			raw := b.Bytes()
			if raw[0]>>4 != kind {
				return raw
			}
			return []byte(strings.ReplaceAll(with, "%", string(raw[2:4])))
		}
	}
	return []habit{
		{"ends the connection at the subscription to echo", brokertest.Faults{CutSubscribe: is("/echo")}},
		{"ends it at the subscription to states", brokertest.Faults{CutSubscribe: is("/state")}},
		{"ends it at every subscription", brokertest.Faults{CutSubscribe: is("")}},
		{"ends it at the end of a subscription", brokertest.Faults{CutUnsubscribe: true}},
		{"ends it at a retained message", brokertest.Faults{Reject: func(m brokertest.Message) bool { return m.Retain }}},
		{"ends it at a birth", brokertest.Faults{Reject: func(m brokertest.Message) bool { return strings.HasSuffix(m.Topic, "/birth") }}},
		{"SUBACK with more codes than asked", brokertest.Faults{Twist: other(9, "\x90\x06%\x00\x00\x00\x00")}},
		{"a SUBACK for each PUBLISH", brokertest.Faults{Twist: other(4, "\x90\x03%\x00")}},
		{"a PUBCOMP for each PUBLISH", brokertest.Faults{Twist: other(4, "\x70\x02%")}},
		{"grants and hands nothing back", brokertest.Faults{NoEcho: true}},
		{"every PUBACK is 25 s late", brokertest.Faults{AckLate: 25 * time.Second}},
	}
}

// TestBrokerWithEachHabitLosesNothing: under load the broker takes one habit after
// the other, and a large retained message of somebody else lies on the agent's echo.
func TestBrokerWithEachHabitLosesNothing(t *testing.T) {
	each := 2 * time.Second
	if long := os.Getenv("SOAK_NETWORK"); long != "" {
		each = time.Duration(count(t, "SOAK_NETWORK", 2)) * time.Second
	}
	t.Parallel()
	sim := newRooms(t)
	broker := brokertest.NewFake(t, brokertest.Faults{})
	echo := "roomcall/v1/" + clientID + "/echo"
	a := newAgent(t, "", room("room-1", sim.url, "100ms"), room("room-2", sim.url, "100ms"), brokerTable(broker.URL()))
	a.start()
	a.await("the first record is delivered", func(s status) bool { return s.Buffer.Acked > 0 })
	for _, h := range habits() {
		broker.Set(h.faults)
		broker.Retain(echo, make([]byte, 2<<20))
		broker.Cut()
		before := len(broker.Received())
		time.Sleep(each)
		t.Logf("%s for %v: %d messages came", h.name, each, len(broker.Received())-before)
	}
	broker.Set(brokertest.Faults{})
	broker.Cut()
	a.awaitFor("records go out again", 10*time.Minute, func(s status) bool { return s.Broker.State == "connected" && s.Buffer.Waiting < 20 })
	a.stop()
	acked, lost := map[string]map[int]bool{}, 0
	for _, m := range broker.Received() {
		var r struct{ Seq, Epoch int }
		if !broker.Acked(string(m.Payload)) || strings.HasSuffix(m.Topic, "/state") || json.Unmarshal(m.Payload, &r) != nil || r.Seq == 0 {
			continue
		}
		topic := fmt.Sprintf("%s in epoch %d", m.Topic, r.Epoch) // cuts in a row look like a twin
		if acked[topic] == nil {
			acked[topic] = map[int]bool{}
		}
		acked[topic][r.Seq] = true
	}
	records := 0
	for topic, seqs := range acked {
		last := 0
		for seq := range seqs {
			last = max(last, seq)
		}
		lost += last - len(seqs)
		records += len(seqs)
		if last != len(seqs) {
			t.Errorf("%s: %d of %d records arrived", topic, len(seqs), last)
		}
	}
	if records == 0 {
		t.Error("no record arrived")
	}
	t.Logf("%d habits, %d records on %d topics, %d lost", len(habits()), records, len(acked), lost)
}
