package publish

import (
	"context"
	"fmt"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// notAuthorized is the MQTT 5 reason code of a denied action (MQTT 5, 2.4).
const notAuthorized = 0x87

// askBroker asks b by MQTT 5 whether it accepts what this client writes. A
// missing echo alone is ambiguous: mosquitto grants a subscription that its
// access list then does not serve. Only the PUBACK of MQTT 5 has a reason code.
// The error is one of the network.
func (c *Client) askBroker(ctx context.Context, b broker) error {
	ctx, l, release, err := c.openLink(ctx, b)
	if err != nil {
		return err
	}
	defer release()
	defer l.abort()
	p, mute := c.writeByMQTT5(ctx, b, l)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivery.brokerAnswered(b.name, p)
	c.delivery.about(b.name).mute = mute
	return nil
}

// writeByMQTT5 makes one short connection without a will and publishes one
// message. mute = the broker does not speak MQTT 5.
func (c *Client) writeByMQTT5(ctx context.Context, b broker, l *link) (_ Proof, mute bool) {
	v5 := paho.NewClient(paho.ClientConfig{Conn: packets.NewThreadSafeConn(l), PacketTimeout: c.cfg.ConnectTimeout})
	user, password := c.credentials(b)
	hello := &paho.Connect{ClientID: c.mqttID(), CleanStart: true, KeepAlive: 60, Username: user, UsernameFlag: user != "",
		Password: []byte(password), PasswordFlag: password != ""}
	if _, err := v5.Connect(ctx, hello); err != nil {
		return c.noAnswer(b), true
	}
	defer func() {
		_ = v5.Disconnect(&paho.Disconnect{}) // it ends either way
		<-v5.Done()
	}()
	resp, err := v5.Publish(ctx, &paho.Publish{Topic: c.Topic(echoTopic), QoS: 1, Payload: []byte(`{"nonce":"write probe"}`)})
	switch {
	case resp == nil && err != nil && ctx.Err() == nil:
		return Proof{State: ProofFailed, Hint: hintEndsOnWrite, Facts: c.access("#"),
			Detail: fmt.Sprintf("the broker ends the connection when this agent writes below %s", c.Topic(""))}, false
	case resp == nil:
		return c.noAnswer(b), true
	case resp.ReasonCode == notAuthorized:
		return Proof{State: ProofFailed, Hint: hintNoWrite, Facts: c.access("#"),
			Detail: fmt.Sprintf("the broker's access list denies writing below %s: nothing that this agent sends arrives", c.Topic(""))}, false
	case resp.ReasonCode >= 0x80:
		return Proof{State: ProofFailed, Hint: hintReasonCode,
			Detail: fmt.Sprintf("the broker does not accept what this agent sends: MQTT 5 reason code 0x%02X", resp.ReasonCode)}, false
	case c.cfg.Confirm == ConfirmEcho:
		return Proof{State: ProofUnproven, Hint: hintNoReadConfirm, Facts: c.access("#"),
			Detail: "the broker accepts what is sent, but does not hand it back: with confirm = \"echo\" nothing can be confirmed, and records are kept"}, false
	}
	return Proof{State: ProofUnproven, Detail: "the broker accepts what is sent, but does not hand it back",
		Hint: hintNoRead, Facts: c.access(echoTopic)}, false
}

// access names the client and the topic to which it needs access.
func (c *Client) access(topic string) map[string]string {
	return map[string]string{"client_id": c.cfg.ClientID, "topic": c.Topic(topic)}
}

// noAnswer is what is known about a broker that cannot be asked: where it said
// that this client may not read, nothing speaks against writing. Silence does.
func (c *Client) noAnswer(b broker) Proof {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.delivery.about(b.name)
	k.unreadable = k.unreadable || k.extras.refuses(ExtraEcho)
	p := Proof{State: ProofFailed, Hint: hintNoReadWrite, Facts: c.access("#")}
	switch {
	case k.unreadable && c.cfg.Confirm == ConfirmEcho:
		p.State, p.Hint = ProofUnproven, hintNoReadConfirm
		p.Detail = "the broker does not let this client read what it sends: with confirm = \"echo\" nothing can be confirmed, and records are kept"
	case k.unreadable:
		p.State, p.Hint, p.Facts = ProofUnproven, hintNoRead, c.access(echoTopic)
		p.Detail = "the broker does not let this client read its echo, and cannot be asked by MQTT 5 whether it accepts what is sent"
	case k.proven:
		p.Detail = "echoes came back before and do not any more, and the broker cannot be asked by MQTT 5"
	default:
		p.Detail = "no echo came back, and the broker cannot be asked by MQTT 5: either reading or writing is denied"
	}
	return p
}
