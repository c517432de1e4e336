package main

import (
	"fmt"
	"log/slog"
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// broker is an embedded MQTT broker that can be stopped and started on the same
// address. Its subscriber is inside it, so it misses nothing while the broker runs.
type broker struct {
	addr    string
	arrived func(topic string, payload []byte)
	server  *mqtt.Server
}

func newBroker(arrived func(topic string, payload []byte)) (*broker, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	b := &broker{addr: addr, arrived: arrived}
	return b, b.start()
}

func (b *broker) start() error {
	server := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(new(auth.AllowHook), nil); err != nil {
		return fmt.Errorf("prepare broker: %w", err)
	}
	if err := server.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: b.addr})); err != nil {
		return fmt.Errorf("open broker on %s: %w", b.addr, err)
	}
	take := func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		b.arrived(p.TopicName, p.Payload)
	}
	if err := server.Subscribe("roomcall/v1/#", 1, take); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := server.Serve(); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	b.server = server
	return nil
}

func (b *broker) stop() { _ = b.server.Close() }

// freeAddr returns a loopback address that nobody uses at the moment.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
