package publish

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
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
	user, password := c.credentials(b)
	if _, err := l.Write(connect5(c.mqttID(), user, password)); err != nil {
		return c.noAnswer(b), true
	}
	if body, err := await5(l, typeConnack); err != nil || len(body) < 3 || body[1] != 0 { // 3.1.1 has 2 bytes
		return c.noAnswer(b), true
	}
	_, _ = l.Write(packet5(typePublish<<4|2, string5(c.Topic(echoTopic)), "\x00\x01\x00", `{"nonce":"write probe"}`)) // a dead link shows in the read
	body, err := await5(l, typePuback)
	code := byte(0)
	if len(body) > 2 {
		code = body[2]
	}
	_, _ = l.Write([]byte{typeDisconnect << 4, 0}) // it ends either way
	switch {
	case err != nil && ctx.Err() == nil:
		return Proof{State: ProofFailed, Hint: hintEndsOnWrite, Facts: c.access("#"),
			Detail: fmt.Sprintf("the broker ends the connection when this agent writes below %s", c.Topic(""))}, false
	case err != nil:
		return c.noAnswer(b), true
	case code == notAuthorized:
		return Proof{State: ProofFailed, Hint: hintNoWrite, Facts: c.access("#"),
			Detail: fmt.Sprintf("the broker's access list denies writing below %s: nothing that this agent sends arrives", c.Topic(""))}, false
	case code >= 0x80:
		return Proof{State: ProofFailed, Hint: hintReasonCode,
			Detail: fmt.Sprintf("the broker does not accept what this agent sends: MQTT 5 reason code 0x%02X", code)}, false
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
	case k.unheard && !c.quiet:
		p.Detail = "the broker ended the connection before it accepted anything of this agent, and cannot be asked by MQTT 5"
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

// The few packets of MQTT 5 that are needed, without properties. By hand: a
// fuzz test of the library for it came to a standstill over malformed packets.

func string5(s string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s //nolint:gosec // topics and credentials are checked to be shorter
}

func packet5(first byte, parts ...string) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

func connect5(id, user, password string) []byte {
	const cleanStart, withUser, withPassword = 0x02, 0x80, 0x40
	flags, login := byte(cleanStart), ""
	if user != "" {
		flags, login = flags|withUser, string5(user)
	}
	if password != "" {
		flags, login = flags|withPassword, login+string5(password)
	}
	return packet5(0x10, string5("MQTT"), "\x05", string([]byte{flags}), "\x00\x3c\x00", string5(id), login)
}

// await5 returns the body of the next packet of this type, of at most 255 bytes.
func await5(l *link, kind byte) ([]byte, error) {
	for {
		size, err := l.nextPacket()
		if err != nil {
			return nil, err
		}
		start, err := l.in.Peek(min(size, 256))
		if err != nil {
			return nil, err
		}
		if start[0]>>4 != kind {
			if err := l.discard(size); err != nil {
				return nil, err
			}
			continue
		}
		_, n := binary.Uvarint(start[1:])
		body := append([]byte(nil), start[1+n:]...)
		_, err = io.CopyN(io.Discard, l.in, int64(size))
		return body, err
	}
}
