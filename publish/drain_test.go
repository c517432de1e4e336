package publish

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"roomcall/publish/brokertest"
)

// drainer sends numbered records as the agent does: a window in order, and
// after a loss again from the first that was not confirmed.
type drainer struct {
	t      *testing.T
	client *Client
	total  int
	acked  int // all records below are confirmed
	sent   int // messages handed to a connection, again ones included
	conns  int
}

func (d *drainer) run() {
	for d.acked < d.total {
		m, err := d.client.Connect(testContext(d.t))
		if err != nil {
			d.pause()
			continue
		}
		d.conns++
		d.drain(m)
		if d.acked == d.total {
			_ = m.Close(testContext(d.t))
		}
		waitDone(d.t, "end of the connection", m.Lost())
		waitGoroutines(d.t, m)
		d.pause()
	}
}

func (d *drainer) pause() {
	timer := time.NewTimer(d.client.Backoff())
	defer timer.Stop()
	<-timer.C
}

func (d *drainer) drain(m *Conn) {
	var window []*Receipt
	next := d.acked
	for {
		for next < d.total && len(window) < 100 {
			r, err := m.Publish(Message{Topic: d.client.Topic("room/sample"), Payload: []byte(numbered(next))})
			if err != nil {
				break
			}
			window = append(window, r)
			next++
			d.sent++
		}
		if len(window) == 0 || window[0].Err() != nil {
			return
		}
		window = window[1:]
		d.acked++
	}
}

// checkArrived compares what a subscriber got with what was confirmed: every
// record, first occurrences in order.
func checkArrived(t *testing.T, got []string, total int) {
	t.Helper()
	seen := map[string]bool{}
	next := 0
	for _, s := range got {
		if seen[s] {
			continue
		}
		seen[s] = true
		if s != numbered(next) {
			t.Fatalf("record %s came first where %s was due", s, numbered(next))
		}
		next++
	}
	if next != total {
		t.Errorf("%d of %d records arrived", next, total)
	}
}

// disturb does something to the network again and again until it is stopped.
func disturb(p *brokertest.Proxy, calm brokertest.Network, every time.Duration, what func(*rand.Rand)) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		r := rand.New(rand.NewPCG(3, 3))
		timer := time.NewTimer(every)
		defer timer.Stop()
		for {
			select {
			case <-end:
				return
			case <-timer.C:
				what(r)
				timer.Reset(time.Duration(r.Int64N(int64(2 * every))))
			}
		}
	})
	return func() { close(end); wg.Wait(); p.Set(calm) } // as it began: toxiproxy changes a latency under the readers
}

func TestDrainOverABadNetworkLosesNothingAndKeepsTheOrder(t *testing.T) {
	frozen := false
	tests := []struct {
		name    string
		network brokertest.Network
		every   time.Duration
		fault   func(*brokertest.Proxy, *rand.Rand)
	}{
		{"resets", brokertest.Network{}, 30 * time.Millisecond, func(p *brokertest.Proxy, _ *rand.Rand) { p.Cut() }},
		{"latency and resets", brokertest.Network{Latency: 5 * time.Millisecond}, 30 * time.Millisecond, func(p *brokertest.Proxy, _ *rand.Rand) { p.Cut() }},
		{"narrow with resets", brokertest.Network{BitsPerSec: 8_000_000}, 30 * time.Millisecond, func(p *brokertest.Proxy, _ *rand.Rand) { p.Cut() }},
		{"freezes", brokertest.Network{}, 150 * time.Millisecond, func(p *brokertest.Proxy, _ *rand.Rand) {
			frozen = !frozen
			p.Set(brokertest.Network{Freeze: frozen})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brokertest.Mosquitto(t, brokertest.Conf{Extra: []string{"max_queued_messages 0", "log_type error"}})
			sub := brokertest.Subscribe(t, brokertest.Subscription{URL: s.URL(), Filter: "t/v1/agent-1/room/sample"})
			proxy := brokertest.NewProxy(t, s.Addr(), tt.network)
			cfg := testConfig("tcp://" + proxy.Addr())
			cfg.AckTimeout, cfg.WriteTimeout, cfg.ConnectTimeout = 100*time.Millisecond, 100*time.Millisecond, 200*time.Millisecond
			d := &drainer{t: t, client: newClient(t, cfg), total: soak(4000, 50000)}
			stop := disturb(proxy, tt.network, tt.every, func(r *rand.Rand) { tt.fault(proxy, r) })
			defer stop()
			d.run()
			last := numbered(d.total - 1)
			got := sub.Wait(func(got []brokertest.Message) bool {
				return len(got) > 0 && string(got[len(got)-1].Payload) == last
			})
			arrived := texts(got, "t/v1/agent-1/room/sample")
			checkArrived(t, arrived, d.total)
			if n := len(arrived) - d.total; n > 100*d.conns {
				t.Errorf("%d duplicates over %d connections: more than a window each", n, d.conns)
			}
			t.Logf("%d records, %d connections, %d sent, %d duplicates arrived, 0 lost", d.total, d.conns, d.sent, len(arrived)-d.total)
		})
	}
}

func TestBrokerLimitsOnTheSizeOfAMessage(t *testing.T) {
	big := strings.Repeat("x", 5000)
	t.Run("message_size_limit is acknowledged and dropped, confirm echo notices", func(t *testing.T) {
		s := brokertest.Mosquitto(t, brokertest.Conf{Extra: []string{"message_size_limit 1000"}})
		plain := connect(t, newClient(t, testConfig(s.URL())))
		if err := send(t, plain, "room/sample", big).Err(); err != nil {
			t.Errorf("mosquitto did not acknowledge: %v", err)
		}
		cfg := testConfig(s.URL())
		cfg.ClientID, cfg.Confirm, cfg.AckTimeout = "agent-2", ConfirmEcho, 200*time.Millisecond
		echo := connect(t, newClient(t, cfg))
		echo.WaitProof(testContext(t))
		wantClass(t, send(t, echo, "room/sample", big).Err(), ClassDropped)
	})
	t.Run("max_packet_size cuts the connection", func(t *testing.T) {
		s := brokertest.Mosquitto(t, brokertest.Conf{Extra: []string{"max_packet_size 1000"}})
		m := connect(t, newClient(t, testConfig(s.URL())))
		// One at a time: the reset that ends the connection may overtake the
		// PUBACKs of messages before the large one.
		if err := send(t, m, "room/sample", "small").Err(); err != nil {
			t.Errorf("the small one: %v", err)
		}
		wantClass(t, send(t, m, "room/sample", big).Err(), ClassLost)
	})
}
