package brokertest

import (
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func (s *session) publish(p *packets.PublishPacket) error {
	m := Message{Topic: p.TopicName, Payload: p.Payload, Retain: p.Retain, Conn: s.number}
	faults := s.f.now()
	s.taken++
	if faults.CutBefore > 0 && s.taken >= faults.CutBefore || faults.Reject != nil && faults.Reject(m) {
		return errCut
	}
	ack := p.Qos == 1 && (faults.Ack == nil || faults.Ack(m))
	s.keep(m, ack)
	if err := s.echo(m, faults); err != nil {
		return err
	}
	if ack {
		if err := s.puback(p.MessageID, faults.AckDelay); err != nil {
			return err
		}
	}
	if faults.CutAfter > 0 && s.taken >= faults.CutAfter {
		return errCut
	}
	return nil
}

// keep books the message before its PUBACK leaves, so that whoever saw the
// PUBACK also finds the message here.
func (s *session) keep(m Message, ack bool) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.got = append(s.f.got, m)
	if ack {
		s.f.acked[string(m.Payload)] = true
	}
	s.f.signal()
}

func (s *session) puback(id uint16, delay time.Duration) error {
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.f.end:
			return errCut
		}
	}
	p := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	p.MessageID = id
	return p.Write(s.conn)
}

func (s *session) subscribe(p *packets.SubscribePacket) error {
	ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	ack.MessageID = p.MessageID
	for range p.Topics {
		code := byte(0)
		if s.f.now().DenySuback {
			code = 0x80
		}
		ack.ReturnCodes = append(ack.ReturnCodes, code)
	}
	if !s.f.now().DenySuback {
		s.filters = append(s.filters, p.Topics...)
	}
	return ack.Write(s.conn)
}

// echo hands the message back, QoS 0, when this connection subscribed to it.
func (s *session) echo(m Message, faults Faults) error {
	if faults.NoEcho {
		return nil
	}
	for _, filter := range s.filters {
		if filter == m.Topic || strings.HasSuffix(filter, "#") && strings.HasPrefix(m.Topic, filter[:len(filter)-1]) {
			p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			p.TopicName, p.Payload = m.Topic, m.Payload
			return p.Write(s.conn)
		}
	}
	return nil
}
