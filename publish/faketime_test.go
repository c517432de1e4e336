package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
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

// pipeBroker is a broker at the other end of a pipe, for fake time. It counts
// what it receives.
type pipeBroker struct {
	mu     sync.Mutex
	faults pipeFaults
	dialed []string // brokers, in order
	pings  int
	echoes int
	said   []string // payloads that are not echoes
	conns  []net.Conn
}

type pipeFaults struct {
	refuse, hang, noConnack, noEcho bool
	pause                           time.Duration // before each read of at most 16 KiB
	replyPause                      time.Duration // before each reply
	ackPause                        time.Duration // before each PUBACK, the rest goes on
	connackPause                    time.Duration
	echoPause, subackPause          time.Duration
	late                            time.Duration // everything is so late, in order
	mute                            string        // messages on topics with this ending are not acknowledged, "" = all are
}

func (p *pipeBroker) set(f pipeFaults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// cut ends all connections.
func (p *pipeBroker) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *pipeBroker) count() (pings, echoes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pings, p.echoes
}

// open is for Client.open.
func (p *pipeBroker) open(ctx context.Context, b broker) (net.Conn, net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults.hang {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	p.dialed = append(p.dialed, b.addr)
	if p.faults.refuse {
		return nil, nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	}
	near, far := net.Pipe()
	p.conns = append(p.conns, far)
	go answer(slowConn{far, p}, p.silent)
	return near, near, nil
}

// slowConn is the broker's end of a narrow link.
type slowConn struct {
	net.Conn
	p *pipeBroker
}

func (s slowConn) Read(b []byte) (int, error) {
	s.p.mu.Lock()
	pause := s.p.faults.pause
	s.p.mu.Unlock()
	time.Sleep(pause)
	return s.Conn.Read(b)
}

func (s slowConn) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	pause, faults := s.p.faults.replyPause, s.p.faults
	s.p.mu.Unlock()
	later := map[byte]time.Duration{typeConnack: faults.connackPause, typePuback: faults.ackPause, typePublish: faults.echoPause,
		typeSuback: faults.subackPause}[b[0]>>4]
	later = max(later, faults.late)
	if later > 0 {
		b = bytes.Clone(b)
		time.AfterFunc(later, func() { _, _ = s.Conn.Write(b) })
		return len(b), nil
	}
	time.Sleep(pause)
	return s.Conn.Write(b)
}

func (p *pipeBroker) silent(packet packets.ControlPacket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch packet := packet.(type) {
	case *packets.ConnectPacket:
		return p.faults.noConnack
	case *packets.PingreqPacket:
		p.pings++
	case *packets.PublishPacket:
		if p.faults.mute != "" && strings.HasSuffix(packet.TopicName, p.faults.mute) {
			return true
		}
		if strings.HasSuffix(packet.TopicName, "/echo") {
			p.echoes++
			if p.faults.noEcho {
				packet.TopicName = "not handed back"
			}
			break
		}
		p.said = append(p.said, string(packet.Payload))
	}
	return false
}

// newPipeClient is called in fake time. At the end of the test the broker's end of each
// connection wakes up from a pause of at most an hour: none may be left asleep.
func newPipeClient(t *testing.T, cfg Config) (*Client, *pipeBroker) {
	p := &pipeBroker{}
	t.Cleanup(func() { time.Sleep(2 * time.Hour) })
	if cfg.Brokers == nil {
		cfg.Brokers = []string{"tcp://h"}
	}
	cfg.ClientID = "a"
	cfg.Rand = func() float64 { return 0.999999 }
	c := newClient(t, cfg)
	c.open = p.open
	return c, p
}

// After each connect, and every hour.
func TestDeliveryIsProvenEveryHourWithTheDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		connect(t, c)
		time.Sleep(time.Second)
		for hour := range 4 {
			synctest.Wait()
			if _, n := p.count(); n != hour+1 {
				t.Fatalf("after %d hours delivery was proven %d times, want %d", hour, n, hour+1)
			}
			time.Sleep(time.Hour)
		}
	})
}

// A proof that failed is repeated every minute: records wait for it.
func TestFailedProofIsRepeatedEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		m := connect(t, c)
		synctest.Wait()
		p.set(pipeFaults{noEcho: true})
		<-m.Lost() // after an hour, to ask by MQTT 5, of which the pipe knows nothing
		wantClass(t, m.Err(), ClassProbe)
		m = connect(t, c)
		synctest.Wait()
		if s := c.Status().Proof.State; s != ProofFailed || m.Deliverable() {
			t.Fatalf("proof is %s, deliverable %v", s, m.Deliverable())
		}
		_, before := p.count()
		time.Sleep(5 * time.Minute)
		if _, n := p.count(); n-before < 4 {
			t.Errorf("%d proofs in 5 minutes", n-before)
		}
		p.set(pipeFaults{})
		time.Sleep(retryFailed + c.cfg.ProofTimeout)
		synctest.Wait()
		if s := c.Status().Proof.State; s != ProofProven || !m.Deliverable() {
			t.Errorf("a minute after the rights came back the proof is %s", s)
		}
	})
}

// What is under way when the connection is closed to ask the broker is
// acknowledged first, so that it is not sent twice.
func TestAskingTheBrokerLosesNoAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{ProofTimeout: 100 * time.Millisecond})
		p.set(pipeFaults{noEcho: true, replyPause: 500 * time.Millisecond})
		m := connect(t, c)
		time.Sleep(1200 * time.Millisecond) // CONNACK and online are there, the rest is on its way
		var receipts []*Receipt
		for range 10 {
			receipts = append(receipts, send(t, m, "room/sample", "x"))
		}
		<-m.Lost()
		wantClass(t, m.Err(), ClassProbe)
		for n, r := range receipts {
			if r.Err() != nil {
				t.Errorf("message %d: %v", n, r.Err())
			}
		}
	})
}

// The broker's answer by MQTT 5 counts for an hour, a denial for 10 minutes: so
// long the records may wait after the access list is fixed in a way that no
// echo shows.
func TestAnswerOfTheBrokerExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			state ProofState
			keep  time.Duration
		}{{ProofUnproven, time.Hour}, {ProofFailed, 10 * time.Minute}} {
			d := newDelivery()
			d.brokerAnswered("h", Proof{State: tt.state})
			time.Sleep(tt.keep - time.Second)
			if d.connected("h"); d.proof.State != tt.state {
				t.Errorf("%s is forgotten before %v", tt.state, tt.keep)
			}
			if known, _ := d.noEcho("h"); !known {
				t.Errorf("%s: the broker is asked again before %v", tt.state, tt.keep)
			}
			time.Sleep(time.Second)
			if d.connected("h"); d.proof.State != ProofPending {
				t.Errorf("%s is remembered after %v", tt.state, tt.keep)
			}
			if known, _ := d.noEcho("h"); known {
				t.Errorf("%s: the broker is not asked again after %v", tt.state, tt.keep)
			}
			d.brokerAnswered("h", Proof{State: tt.state})
			d.echoReturned("h")
			if known, _ := d.noEcho("h"); known {
				t.Errorf("%s counts although an echo came after it", tt.state)
			}
		}
	})
}

func TestIdleConnectionStaysUpWithTheDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{ProofInterval: 24 * time.Hour})
		m := connect(t, c)
		time.Sleep(time.Hour)
		synctest.Wait()
		if isClosed(m.Lost()) {
			t.Errorf("lost: %v", m.Err())
		}
		if n, _ := p.count(); n < 200 {
			t.Errorf("%d pings in an hour of silence", n)
		}
	})
}

// With the defaults one write may need 10 s.
func TestWriteThatHangsIsNoticedWithTheDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		m := connect(t, c)
		synctest.Wait()
		p.set(pipeFaults{pause: time.Hour})
		send(t, m, "room/sample", "into the read that goes on")
		synctest.Wait()
		r := send(t, m, "room/sample", "stuck")
		began := time.Now()
		<-m.Lost()
		if took := time.Since(began); took > c.cfg.WriteTimeout {
			t.Errorf("noticed after %v, want at most %v", took, c.cfg.WriteTimeout)
		}
		wantClass(t, r.Err(), ClassLost)
	})
}

// A stop does not wait for the queue: what is not handed over stays with the
// caller.
func TestCloseDoesNotSendTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		m := connect(t, c)
		synctest.Wait()
		p.set(pipeFaults{pause: 100 * time.Millisecond})
		for range 50 {
			send(t, m, "room/sample", strings.Repeat("x", writeChunk))
		}
		if err := m.Close(testContext(t)); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := len(p.said); n > 25 || p.said[n-1] != "offline" {
			t.Errorf("%d of 50 messages came, the last is %.20q; want the few that were under way, then offline", n, p.said[n-1])
		}
	})
}

// With the defaults a chunk may need 10 s and the acknowledgement 20 s; the
// message as a whole may need longer.
func TestLargeMessagePassesANarrowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		m := connect(t, c)
		synctest.Wait()
		p.set(pipeFaults{pause: 420 * time.Millisecond})
		began := time.Now()
		r, err := m.Publish(Message{Topic: "big", Payload: make([]byte, MaxPayload)})
		if err != nil || r.Err() != nil {
			t.Errorf("large message: %v, %v", err, m.Err())
		}
		if took := time.Since(began); took < c.cfg.AckTimeout {
			t.Errorf("it took %v: the test did not test", took)
		}
		p.set(pipeFaults{})
	})
}

func TestAFleetBeginsAtAllBrokersOfItsList(t *testing.T) {
	brokers, first := []string{"tcp://a", "tcp://b", "tcp://c"}, map[int]int{}
	for i := range 300 {
		id := fmt.Sprintf("room-%d", i)
		c := newClient(t, Config{Brokers: brokers, ClientID: id})
		if again := newClient(t, Config{Brokers: brokers, ClientID: id}); again.next != c.next {
			t.Fatalf("%s begins at %d, then at %d", id, c.next, again.next)
		}
		first[c.next]++
	}
	for i := range brokers {
		if first[i] < 60 {
			t.Errorf("%d of 300 begin at broker %d", first[i], i)
		}
	}
}

// The next broker of the list comes after a failed connect and after a
// connection that was lost within a minute, the same after one that lived.
func TestBrokerListIsGoneThroughAfterFailuresAndEarlyLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{Brokers: []string{"tcp://a", "tcp://b", "tcp://c"}})
		c.next = 0
		lose := func(lived time.Duration) {
			m := connect(t, c)
			time.Sleep(lived)
			p.cut()
			<-m.Lost()
		}
		lose(time.Second)      // at a
		lose(2 * time.Minute)  // at b
		lose(59 * time.Second) // at b again
		p.set(pipeFaults{refuse: true})
		_, err := c.Connect(testContext(t)) // at c
		wantClass(t, err, ClassUnreachable)
		p.set(pipeFaults{})
		lose(time.Minute) // at a
		lose(time.Second) // at a again
		if got, want := strings.Join(p.dialed, " "), "a:1883 b:1883 b:1883 c:1883 a:1883 a:1883"; got != want {
			t.Errorf("brokers tried: %s, want %s", got, want)
		}
	})
}

// How long there has been no connection does not begin anew with each try.
func TestSinceIsTheLossAndNotTheLastTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		m := connect(t, c)
		up := c.Status().Since
		time.Sleep(time.Hour)
		if got := c.Status().Since; got != up {
			t.Errorf("connected since %v, was %v", got, up)
		}
		p.cut()
		<-m.Lost()
		lost := time.Now()
		p.set(pipeFaults{refuse: true})
		for range 3 {
			time.Sleep(time.Minute)
			_, err := c.Connect(testContext(t))
			wantClass(t, err, ClassUnreachable)
		}
		if got := c.Status().Since; got != lost {
			t.Errorf("after three tries it is not connected since %v, was lost at %v", got, lost)
		}
	})
}

func TestConnectGivesUpAfter15SecondsWithTheDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, faults := range []pipeFaults{{noConnack: true}, {hang: true}} {
			c, p := newPipeClient(t, Config{})
			p.set(faults)
			began := time.Now()
			_, err := c.Connect(testContext(t))
			wantClass(t, err, ClassUnreachable)
			if took := time.Since(began); took != 15*time.Second {
				t.Errorf("it took %v, want 15s", took)
			}
		}
	})
}

// Whoever is thrown out can always connect: a broker that is away in between
// speaks against a second client.
func TestAFailedConnectClearsTheSuspicionOfASecondClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		lose := func() Class {
			m := connect(t, c)
			time.Sleep(time.Second) // proven, nothing in flight
			p.cut()
			<-m.Lost()
			return classOf(m.Err())
		}
		lose()
		lose()
		p.set(pipeFaults{refuse: true})
		_, err := c.Connect(testContext(t))
		wantClass(t, err, ClassUnreachable)
		p.set(pipeFaults{})
		for n, want := range []Class{ClassLost, ClassLost, ClassSameID} {
			if got := lose(); got != want {
				t.Errorf("loss %d after the failed connect is %s, want %s", n+1, got, want)
			}
		}
	})
}

func TestBackoffGrowsWithFailedConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newPipeClient(t, Config{})
		p.set(pipeFaults{refuse: true})
		for _, want := range []time.Duration{4, 8, 16} {
			_, err := c.Connect(testContext(t))
			wantClass(t, err, ClassUnreachable)
			if got := c.Backoff().Round(time.Second); got != want*time.Second {
				t.Errorf("wait is %v, want %v", got, want*time.Second)
			}
		}
		c.backoff.closedOnPurpose()
		if got := c.Backoff(); got != 0 {
			t.Errorf("the wait before asking the broker is %v, want none", got)
		}
		_, err := c.Connect(testContext(t))
		wantClass(t, err, ClassUnreachable)
		if got := c.Backoff().Round(time.Second); got != 32*time.Second {
			t.Errorf("after that the wait is %v, want 32s", got)
		}
	})
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
		ack.MessageID, ack.ReturnCodes = p.MessageID, make([]byte, len(p.Topics))
		return []packets.ControlPacket{ack}
	case *packets.UnsubscribePacket:
		ack := packets.NewControlPacket(packets.Unsuback).(*packets.UnsubackPacket)
		ack.MessageID = p.MessageID
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
