package publish

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// Only MQTT 5 has a PUBACK that says no.
func TestAnswersOfTheBrokerByMQTT5(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   byte
		state  ProofState
		detail string
	}{
		{name: "success", code: 0, state: ProofUnproven, detail: "does not hand it back"},
		{name: "nobody subscribes", code: 0x10, state: ProofUnproven, detail: "does not hand it back"},
		{name: "not authorized", code: 0x87, state: ProofFailed, detail: "denies writing"},
		{name: "quota exceeded", code: 0x97, state: ProofFailed, detail: "0x97"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, testConfig("tcp://h"))
			c.open = func(context.Context, broker) (net.Conn, net.Conn, error) {
				near, far := net.Pipe()
				go answerByMQTT5(far, tt.code)
				return near, near, nil
			}
			if err := c.askBroker(testContext(t), c.brokers[0]); err != nil {
				t.Fatal(err)
			}
			k := c.delivery.about("tcp://h")
			if k.answer.State != tt.state || !strings.Contains(k.answer.Detail, tt.detail) || k.answer.Hint == "" || !time.Now().Before(k.until) {
				t.Errorf("the answer is %+v", k)
			}
		})
	}
}

func answerByMQTT5(conn net.Conn, code byte) {
	defer conn.Close()
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		switch content := p.Content.(type) {
		case *packets.Connect:
			ack := packets.NewControlPacket(packets.CONNACK)
			_, err = ack.WriteTo(conn)
		case *packets.Publish:
			ack := packets.NewControlPacket(packets.PUBACK)
			answer := ack.Content.(*packets.Puback)
			answer.PacketID, answer.ReasonCode = content.PacketID, code
			_, err = ack.WriteTo(conn)
		}
		if err != nil {
			return
		}
	}
}
