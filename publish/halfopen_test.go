package publish

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"roomcall/publish/brokertest"
)

// The promise: with the default settings a half-open link is noticed within
// 30 s. Fake time, a pipe as network.
func TestHalfOpenLinkIsNoticedWithin30SecondsWithTheDefaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		silent func(packets.ControlPacket) bool // not answered
		send   bool
		want   time.Duration
	}{
		{"idle", func(p packets.ControlPacket) bool { _, ping := p.(*packets.PingreqPacket); return ping }, false, 25 * time.Second},
		{"one message in flight", func(p packets.ControlPacket) bool {
			pub, ok := p.(*packets.PublishPacket)
			return ok && string(pub.Payload) == "stuck"
		}, true, 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, Config{Brokers: []string{"tcp://h"}, ClientID: "a"})
				c.open = func(context.Context, broker) (net.Conn, net.Conn, error) {
					near, far := net.Pipe()
					go answer(far, tt.silent)
					return near, near, nil
				}
				m := connect(t, c)
				synctest.Wait()
				began := time.Now()
				if tt.send {
					send(t, m, "room/sample", "stuck")
				}
				<-m.Lost()
				if took := time.Since(began); took < tt.want || took > tt.want+2*time.Second {
					t.Errorf("noticed after %v, want %v", took, tt.want)
				}
				waitGoroutines(t, m)
			})
		})
	}
}

// answer is a broker on a pipe that leaves some packets unanswered.
func answer(conn net.Conn, silent func(packets.ControlPacket) bool) {
	defer conn.Close()
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		if silent(p) {
			continue
		}
		for _, reply := range replies(p) {
			if reply.Write(conn) != nil {
				return
			}
		}
	}
}

func replies(p packets.ControlPacket) []packets.ControlPacket {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return []packets.ControlPacket{packets.NewControlPacket(packets.Connack)}
	case *packets.PingreqPacket:
		return []packets.ControlPacket{packets.NewControlPacket(packets.Pingresp)}
	case *packets.SubscribePacket:
		ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		ack.MessageID, ack.ReturnCodes = p.MessageID, []byte{0}
		return []packets.ControlPacket{ack}
	case *packets.PublishPacket:
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = p.MessageID
		if !strings.HasSuffix(p.TopicName, "/echo") {
			return []packets.ControlPacket{ack}
		}
		echo := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		echo.TopicName, echo.Payload = p.TopicName, p.Payload
		return []packets.ControlPacket{ack, echo}
	}
	return nil
}

// logText is a log that may be read while the library still writes to it.
type logText struct {
	mu   sync.Mutex
	text []byte
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func TestNoSecretInTheLibrarysLog(t *testing.T) {
	var out logText
	f := brokertest.NewFake(t, brokertest.Faults{})
	cfg := testConfig(f.URL())
	cfg.Username, cfg.Password = "agent", secret
	cfg.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := newClient(t, cfg)
	m := connect(t, c)
	f.Cut()
	waitDone(t, "loss", m.Lost())
	waitGoroutines(t, m)
	f.Set(brokertest.Faults{Refuse: 4})
	_, err := c.Connect(testContext(t))
	wantClass(t, err, ClassRefusedLogin)
	routePahoLogs(slog.New(slog.DiscardHandler)) // the library may still be saying goodbye
	if text := out.String(); text == "" || strings.Contains(text, secret) {
		t.Errorf("log: %q", text)
	}
}
