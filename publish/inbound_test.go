package publish

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"roomcall/publish/brokertest"
)

// twist lets a broker send something else in place of its packets of one type.
func twist(kind byte, out func(id []byte) []byte) brokertest.Faults {
	return brokertest.Faults{Twist: func(p packets.ControlPacket) []byte {
		var b bytes.Buffer
		_ = p.Write(&b)
		if raw := b.Bytes(); raw[0]>>4 == kind {
			return out(append([]byte(nil), raw[2:min(len(raw), 4)]...))
		}
		return b.Bytes()
	}}
}

func join(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			out = append(out, p...)
		case string:
			out = append(out, p...)
		}
	}
	return out
}

// No packet of a broker ends the process, and what can be understood is.
func TestMalformedPacketsEndNoProcess(t *testing.T) {
	pong := func([]byte) []byte { return []byte("\xd0\x03abc") }
	for _, tt := range []struct {
		name   string
		kind   byte
		out    func(id []byte) []byte
		proven bool
	}{
		{"SUBACK with more codes than asked", typeSuback, func(id []byte) []byte { return join("\x90\x06", id, "\x00\x00\x00\x00") }, true},
		{"SUBACK with ten thousand codes", typeSuback, func(id []byte) []byte { return join("\x90\x92\x4e", id, make([]byte, 10_000)) }, true},
		{"SUBACK without codes", typeSuback, func(id []byte) []byte { return join("\x90\x02", id) }, false},
		{"SUBACK without anything", typeSuback, func([]byte) []byte { return []byte("\x90\x00") }, false},
		{"SUBACK of nobody", typeSuback, func(id []byte) []byte { return join("\x90\x03\x77\x77\x00\x90\x03\x00\x00\x00\x90\x03", id, "\x00") }, true},
		{"UNSUBACK with a body", typeUnsuback, func(id []byte) []byte { return join("\xb0\x05", id, "abc") }, true},
		{"PINGRESP with a body", typePingresp, pong, true},
		{"CONNACK with a body", typeConnack, func(id []byte) []byte { return join("\x20\x04", id, "ab") }, true},
		{"PUBLISH with a topic that is too long", typePublish, func([]byte) []byte { return []byte("\x30\x04\x00\x99ab") }, false},
		{"PUBLISH without a topic", typePublish, func([]byte) []byte { return []byte("\x30\x02\x00\x00") }, false},
		{"PUBLISH of one byte", typePublish, func([]byte) []byte { return []byte("\x30\x01\x00") }, false},
		{"PUBLISH with QoS 3", typePublish, func([]byte) []byte { return []byte("\x36\x06\x00\x01a\x00\x01b") }, false},
		{"PUBLISH with QoS 1 and no id", typePublish, func([]byte) []byte { return []byte("\x32\x03\x00\x01a") }, false},
		{"PUBACK with a reason", typePuback, func(id []byte) []byte { return join("\x40\x03", id, "\x87") }, false},
		{"PUBACK of one byte", typePuback, func([]byte) []byte { return []byte("\x40\x01\x00") }, false},
		{"a length that does not end", typePuback, func([]byte) []byte { return []byte("\x40\xff\xff\xff\xff\xff") }, false},
		{"a reserved type", typePuback, func([]byte) []byte { return []byte("\xf0\x00\x00\x00") }, false},
		{"a packet of a client", typePuback, func([]byte) []byte { return []byte("\x82\x02\x00\x01") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := brokertest.NewFake(t, twist(tt.kind, tt.out))
			cfg := testConfig(f.URL())
			cfg.AckTimeout, cfg.ProofTimeout, cfg.KeepAlive, cfg.PingTimeout = 300*time.Millisecond, 50*time.Millisecond, 2*time.Second, time.Second
			c := newClient(t, cfg)
			m := connect(t, c)
			p := m.WaitProof(testContext(t))
			if (p.State == ProofProven) != tt.proven {
				t.Errorf("proof is %+v, %v", p, m.Err())
			}
			if m.Deliverable() && !tt.proven {
				t.Error("deliverable")
			}
		})
	}
}

// Only the PUBACK of a message confirms it.
func TestOnlyAPubackConfirms(t *testing.T) {
	for name, first := range map[string]string{
		"SUBACK": "\x90\x03%\x00", "UNSUBACK": "\xb0\x02%", "PUBCOMP": "\x70\x02%", "PUBREC": "\x50\x02%", "PUBREL": "\x62\x02%",
		"another PUBACK": "\x40\x02\xff\xf0", "PUBACK 0": "\x40\x02\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			f := brokertest.NewFake(t, brokertest.Faults{})
			cfg := testConfig(f.URL())
			cfg.AckTimeout = 200 * time.Millisecond
			c := newClient(t, cfg)
			m := connect(t, c)
			m.WaitProof(testContext(t))
			f.Wait(func([]brokertest.Message) bool { return len(f.Subscriptions()) == 6 })
			f.Set(twist(typePuback, func(id []byte) []byte { return []byte(strings.ReplaceAll(first, "%", string(id))) }))
			if send(t, m, "room/sample", "x").Err() == nil {
				t.Error("it counts as delivered")
			}
			if n := c.Status().Acked; n != 0 {
				t.Errorf("%d messages count as acknowledged", n)
			}
		})
	}
}

// A SUBSCRIBE is not answered by a PUBACK either.
func TestEachAnswerPassesOnce(t *testing.T) {
	l := newLink(nopConn{}, nopConn{}, time.Second)
	defer l.abort()
	l.checked = true
	write(t, l, "\x82\x06\x00\x05\x00\x01a\x00", "\x32\x06\x00\x01a\x00\x06x", "\xa2\x05\x00\x07\x00\x01a", "\x30\x04\x00\x01ax")
	for _, tt := range []struct {
		kind byte
		id   uint16
		want bool
	}{{typePuback, 5, false}, {typeSuback, 5, true}, {typeSuback, 5, false}, {typeSuback, 6, false}, {typePuback, 6, true}, {typePuback, 6, false},
		{typePuback, 7, false}, {typeUnsuback, 7, true}, {typePuback, 0, false}} {
		if _, ok := l.answered(tt.kind, tt.id); ok != tt.want {
			t.Errorf("an answer of type %d to %d passes: %v", tt.kind, tt.id, ok)
		}
	}
}

// Whoever may write to the agent's topics cannot stop it by a large message.
func TestALargeForeignMessageIsSkipped(t *testing.T) {
	s := brokertest.Mosquitto(t, brokertest.Conf{})
	foreign := newClient(t, Config{Brokers: []string{s.URL()}, ClientID: "foreign", Prefix: "t/v1"})
	f := connect(t, foreign)
	for _, below := range []string{"echo", "health", "room/state"} {
		large := Message{Topic: "t/v1/agent-1/" + below, Payload: make([]byte, MaxPayload), Retain: true}
		if r, err := f.Publish(large); err != nil || r.Err() != nil {
			t.Fatalf("retain: %v", err)
		}
	}
	c := newClient(t, testConfig(s.URL()))
	m := connect(t, c)
	if p := m.WaitProof(testContext(t)); p.State != ProofProven {
		t.Fatalf("proof is %+v: %v", p, m.Err())
	}
	if err := send(t, m, "room/sample", "x").Err(); err != nil {
		t.Error(err)
	}
	if st := c.Status(); st.Skipped != 3 || st.Connects != 1 {
		t.Errorf("%d messages were skipped on %d connections", st.Skipped, st.Connects)
	}
}

// A message of 3 MB with QoS 1 is skipped and acknowledged, or the broker would
// send nothing more.
func TestAFollowerSkipsALargeMessage(t *testing.T) {
	for _, url := range []string{"tcp://h", "ws://h"} {
		ctx, cancel := context.WithCancel(testContext(t))
		c := newClient(t, testConfig(url))
		acked := make(chan uint16, 1)
		c.open = func(context.Context, broker) (net.Conn, net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				for {
					p, err := packets.ReadPacket(far)
					if err != nil {
						return
					}
					if ack, ok := p.(*packets.PubackPacket); ok {
						acked <- ack.MessageID
						continue
					}
					for _, reply := range replies(p) {
						if reply.Write(far) != nil {
							return
						}
					}
					if _, ok := p.(*packets.SubscribePacket); ok {
						go func() {
							_, _ = io.WriteString(far, "\x32\xc5\x8d\xb7\x01\x00\x01a\x12\x34"+strings.Repeat("x", 3_000_000)+"\x30\x06\x00\x01bend")
						}()
					}
				}
			}()
			return near, near, nil
		}
		err := c.follow(ctx, c.brokers[0], []string{"#"}, func(string) {}, func(r Received) {
			if r.Topic != "b" || string(r.Payload) != "end" {
				t.Errorf("received %s with %d bytes", r.Topic, len(r.Payload))
			}
			cancel()
		})
		if err != nil {
			t.Fatal(err)
		}
		if id := <-acked; id != 0x1234 {
			t.Errorf("acknowledged %x", id)
		}
		cancel()
	}
}

// Whatever a broker sends, nothing panics.
func FuzzPacketsOfABroker(f *testing.F) {
	f.Add([]byte("\x20\x02\x00\x00\x90\x05\x00\x01\x00\x00\x00\x30\x06\x00\x01bend\x40\x02\x00\x01\xd0\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newLink(readerConn{bytes.NewReader(b)}, nopConn{}, time.Second)
		defer l.abort()
		l.checked, l.maxBody = true, 100
		l.asked[1] = question{answer: typeSuback, count: 1}
		for {
			p, err := packets.ReadPacket(l)
			if err != nil {
				return
			}
			if ack, ok := p.(*packets.SubackPacket); ok && len(ack.ReturnCodes) != 1 {
				t.Errorf("%d codes passed", len(ack.ReturnCodes))
			}
		}
	})
}

type readerConn struct{ io.Reader }

func (readerConn) Write(b []byte) (int, error)      { return len(b), nil }
func (readerConn) Close() error                     { return nil }
func (readerConn) LocalAddr() net.Addr              { return nil }
func (readerConn) RemoteAddr() net.Addr             { return nil }
func (readerConn) SetDeadline(time.Time) error      { return nil }
func (readerConn) SetReadDeadline(time.Time) error  { return nil }
func (readerConn) SetWriteDeadline(time.Time) error { return nil }
