package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// notAuthorized is the MQTT 5 reason code of a denied action (MQTT 5, 2.4).
const notAuthorized = 0x87

// askBroker asks b by MQTT 5 whether it takes what this client writes, if an
// echo stayed silent. A silent echo alone is ambiguous: mosquitto grants a
// subscription that its access list then does not serve. Only the PUBACK of
// MQTT 5 has a reason code. The error is one of the network.
func (c *Client) askBroker(ctx context.Context, b broker) error {
	c.mu.Lock()
	due := c.probe[b.name]
	c.mu.Unlock()
	if !due {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	conn, raw, err := c.open(ctx, b)
	if err != nil {
		return err
	}
	l := newLink(conn, raw, c.cfg.WriteTimeout)
	defer l.abort()
	release := context.AfterFunc(ctx, l.abort)
	defer release()
	p := c.probeWrite(ctx, b, l)
	c.remember(b, p)
	return nil
}

// probeWrite makes one short MQTT 5 connection without a will and publishes
// one message.
func (c *Client) probeWrite(ctx context.Context, b broker, l *link) Proof {
	v5 := paho.NewClient(paho.ClientConfig{Conn: packets.NewThreadSafeConn(l), PacketTimeout: c.cfg.ConnectTimeout})
	user, password := c.credentials(b)
	hello := &paho.Connect{ClientID: c.mqttID(), CleanStart: true, KeepAlive: 60, Username: user, UsernameFlag: user != "",
		Password: []byte(password), PasswordFlag: password != ""}
	if _, err := v5.Connect(ctx, hello); err != nil {
		return c.ambiguous(b)
	}
	defer func() {
		_ = v5.Disconnect(&paho.Disconnect{}) // it ends either way
		<-v5.Done()
	}()
	resp, err := v5.Publish(ctx, &paho.Publish{Topic: c.Topic(echoLane), QoS: 1, Payload: []byte("write probe")})
	switch {
	case resp == nil && err != nil && ctx.Err() == nil:
		return Proof{State: ProofFailed,
			Detail: fmt.Sprintf("the broker ends the connection when this agent writes below %s", c.Topic("")),
			Hint:   fmt.Sprintf("give client %q write access to %s in the broker's access list, and look at the broker's log", c.cfg.ClientID, c.Topic("#"))}
	case resp == nil:
		return c.ambiguous(b)
	case resp.ReasonCode == notAuthorized:
		return Proof{State: ProofFailed,
			Detail: fmt.Sprintf("the broker's access list denies writing below %s: nothing that this agent sends arrives", c.Topic("")),
			Hint:   fmt.Sprintf("give client %q write access to %s in the broker's access list", c.cfg.ClientID, c.Topic("#"))}
	case resp.ReasonCode >= 0x80:
		return Proof{State: ProofFailed,
			Detail: fmt.Sprintf("the broker does not take what this agent sends: MQTT 5 reason code 0x%02X", resp.ReasonCode),
			Hint:   "look up the reason code in the broker's log and limits"}
	}
	if c.cfg.Confirm == ConfirmEcho {
		return Proof{State: ProofUnproven, Detail: "the broker takes what is sent, but does not hand it back: with confirm = \"echo\" nothing can be confirmed, and records are kept",
			Hint: fmt.Sprintf("give client %q read access to %s in the broker's access list, or set [mqtt] confirm = \"puback\"", c.cfg.ClientID, c.Topic("#"))}
	}
	return Proof{State: ProofUnproven, Detail: "the broker takes what is sent, but does not hand it back",
		Hint: fmt.Sprintf("for a full proof give client %q read access to %s", c.cfg.ClientID, c.Topic(echoLane))}
}

// ambiguous is the verdict over a broker that cannot be asked.
func (c *Client) ambiguous(b broker) Proof {
	c.mu.Lock()
	once := c.proven[b.name]
	c.mu.Unlock()
	hint := fmt.Sprintf("give client %q read and write access to %s in the broker's access list", c.cfg.ClientID, c.Topic("#"))
	if once {
		return Proof{State: ProofFailed, Hint: hint,
			Detail: "echoes came back before and do not any more, and the broker cannot be asked by MQTT 5"}
	}
	return Proof{State: ProofUnproven, Hint: hint,
		Detail: "no echo came back, and the broker cannot be asked by MQTT 5: either reading or writing is denied"}
}

func (c *Client) remember(b broker, p Proof) {
	keep := keepVerdict
	if p.State == ProofFailed {
		keep = keepFailed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.probe, b.name)
	c.verdicts[b.name] = verdict{proof: p, until: time.Now().Add(keep)}
}
