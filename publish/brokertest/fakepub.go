package brokertest

import (
	"bytes"
	"fmt"
	"slices"
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
	if faults.CutAfter > 0 && s.taken >= faults.CutAfter || faults.AckAndCut != nil && faults.AckAndCut(m) {
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
	if m.Retain {
		s.f.retained[m.Topic] = m
	}
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
	if late := s.f.now().AckLate; late > 0 {
		s.later(late, func() { _ = s.write(p) })
		return nil
	}
	return s.write(p)
}

// later calls f after d unless the broker ends before.
func (s *session) later(d time.Duration, f func()) {
	s.f.wg.Go(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-s.f.end:
		}
	})
}

func (s *session) subscribe(p *packets.SubscribePacket) error {
	faults := s.f.now()
	ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	ack.MessageID = p.MessageID
	for i, filter := range p.Topics {
		if faults.CutSubscribe != nil && faults.CutSubscribe(filter) {
			return errCut
		}
		s.f.note(fmt.Sprintf("+%s %d", filter, p.Qoss[i]))
		code := byte(0)
		if faults.DenySuback {
			code = 0x80
		}
		ack.ReturnCodes = append(ack.ReturnCodes, code)
	}
	if !faults.DenySuback {
		s.filters = append(s.filters, p.Topics...)
	}
	if err := s.write(ack); err != nil || faults.DenySuback || faults.NoEcho {
		return err
	}
	for _, m := range s.f.kept(p.Topics) {
		if err := s.hand(m, true); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fake) note(subscription string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, subscription)
	f.signal()
}

// kept are the retained messages that a new subscription gets.
func (f *Fake) kept(filters []string) (all []Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for topic, m := range f.retained {
		if matchesAny(filters, topic) {
			all = append(all, m)
		}
	}
	return all
}

func (s *session) unsubscribe(p *packets.UnsubscribePacket) error {
	if s.f.now().CutUnsubscribe {
		return errCut
	}
	for _, filter := range p.Topics {
		s.f.note("-" + filter)
		s.filters = slices.DeleteFunc(s.filters, func(have string) bool { return have == filter })
	}
	ack := packets.NewControlPacket(packets.Unsuback).(*packets.UnsubackPacket)
	ack.MessageID = p.MessageID
	return s.write(ack)
}

// echo hands the message back, QoS 0, when this connection subscribed to it.
func (s *session) echo(m Message, faults Faults) error {
	if faults.NoEcho || !matchesAny(s.filters, m.Topic) {
		return nil
	}
	if faults.EchoDelay > 0 {
		s.later(faults.EchoDelay, func() { _ = s.hand(m, false) })
		return nil
	}
	return s.hand(m, false)
}

func (s *session) hand(m Message, retained bool) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Retain = m.Topic, m.Payload, retained
	return s.write(p)
}

// write sends a packet as the script twists it.
func (s *session) write(p packets.ControlPacket) error {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	out := b.Bytes()
	if twist := s.f.now().Twist; twist != nil {
		out = twist(p)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.conn.Write(out)
	return err
}

func matchesAny(filters []string, topic string) bool {
	return slices.ContainsFunc(filters, func(filter string) bool {
		f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
		for i, level := range f {
			switch {
			case level == "#":
				return true
			case i >= len(t) || level != "+" && level != t[i]:
				return false
			}
		}
		return len(f) == len(t)
	})
}
