package publish

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"roomcall/publish/brokertest"
)

// The drain: small messages to a real mosquitto with 100 in flight, beside a
// bare publisher on the same library with the same window. Run with
//
//	go test -run '^$' -bench Drain -benchtime 100000x ./publish
const benchWindow = 100

var benchPayload = bytes.Repeat([]byte("x"), 200)

func benchLinks(b *testing.B, run func(b *testing.B, url string)) {
	for name, net := range map[string]brokertest.Network{"loopback": {}, "rtt=20ms": {Latency: 10 * time.Millisecond}} {
		b.Run(name, func(b *testing.B) {
			s := brokertest.Mosquitto(b, brokertest.Conf{Extra: []string{"log_type error"}})
			url := s.URL()
			if net != (brokertest.Network{}) {
				url = "tcp://" + brokertest.NewProxy(b, s.Addr(), net).Addr()
			}
			run(b, url)
		})
	}
}

func BenchmarkDrain(b *testing.B) {
	benchLinks(b, func(b *testing.B, url string) {
		m := connect(b, newClient(b, testConfig(url)))
		m.WaitProof(testContext(b))
		msg := Message{Topic: m.client.Topic("room/sample"), Payload: benchPayload}
		window := make(chan *Receipt, benchWindow)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if len(window) == benchWindow {
				if err := (<-window).Err(); err != nil {
					b.Fatal(err)
				}
			}
			r, err := m.Publish(msg)
			if err != nil {
				b.Fatal(err)
			}
			window <- r
		}
		for range len(window) {
			if err := (<-window).Err(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
}

func BenchmarkDrainBarePaho(b *testing.B) {
	benchLinks(b, func(b *testing.B, url string) {
		o := mqtt.NewClientOptions().AddBroker(url).SetClientID("bare").SetProtocolVersion(4).SetAutoReconnect(false).SetWriteTimeout(time.Second)
		c := mqtt.NewClient(o)
		if t := c.Connect(); !t.WaitTimeout(patience) || t.Error() != nil {
			b.Fatal(t.Error())
		}
		defer c.Disconnect(250)
		window := make(chan mqtt.Token, benchWindow)
		awaitOldest := func() {
			if t := <-window; !t.WaitTimeout(patience) || t.Error() != nil {
				b.Fatal(t.Error())
			}
		}
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if len(window) == benchWindow {
				awaitOldest()
			}
			window <- c.Publish("bare/sample", 1, false, benchPayload)
		}
		for range len(window) {
			awaitOldest()
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
}

// countedConn counts what goes over the wire in both directions.
type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// A reconnect with TLS handshake, login, availability, proof and clean end to mosquitto,
// which has a chain of one ECDSA certificate: what goes over TCP (without its headers).
//
//	go test -run '^$' -bench ReconnectTLS -benchtime 20x ./publish
func BenchmarkReconnectTLS(b *testing.B) {
	ca := brokertest.NewCA(b)
	s := brokertest.Mosquitto(b, brokertest.Conf{CA: ca})
	for _, resumed := range []bool{false, true} {
		b.Run(map[bool]string{false: "new", true: "resumed"}[resumed], func(b *testing.B) {
			cfg := testConfig(s.URL())
			cfg.CAFile = ca.File
			var wire atomic.Int64
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := DialTCP(ctx, network, addr)
				return countedConn{conn, &wire}, err
			}
			c := newClient(b, cfg)
			once := func() {
				m, err := c.Connect(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				m.WaitProof(testContext(b))
				if err := m.Close(testContext(b)); err != nil {
					b.Fatal(err)
				}
			}
			once()
			wire.Store(0)
			for b.Loop() {
				if !resumed {
					c.sessions = nil
				}
				once()
			}
			b.ReportMetric(float64(wire.Load())/float64(b.N), "B-wire/op")
		})
	}
}
