package publish

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// What a broker sends is checked before the MQTT library sees it. The library
// allocates what a packet announces, panics in a goroutine of its own at a
// SUBACK with more codes than were asked for, and completes the token of a
// PUBLISH on any packet that names its id. So only answers that were asked for
// pass, each once, and only in the form of MQTT 3.1.1; a message that is too
// large is skipped on the wire. The library cannot be reached by anything else.

// Types of MQTT packets: the upper half of their first byte.
const (
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingresp    = 13
	typeDisconnect  = 14
)

// rejected is the code in a SUBACK of a subscription that the broker rejects.
const rejected = 0x80

// maxSkippedTopic is the longest topic in bytes of a message that is looked at.
const maxSkippedTopic = 2048

// errMalformed is a packet that an MQTT 3.1.1 broker does not send.
var errMalformed = errors.New("not MQTT 3.1.1")

// question is a packet of ours that waits for its answer.
type question struct {
	answer byte // type of the packet that answers it
	count  int  // topics, of a SUBSCRIBE
}

// ask notes what the packet p asks for. It needs l.mu.
func (l *link) ask(p []byte) {
	_, size := binary.Uvarint(p[1:min(len(p), 5)])
	if size <= 0 {
		return
	}
	body := p[1+size:]
	switch {
	case p[0]>>4 == typePublish && p[0]&6 != 0:
		topic := 2 + int(binary.BigEndian.Uint16(body))
		l.asked[binary.BigEndian.Uint16(body[topic:])] = question{answer: typePuback}
	case p[0]>>4 == typeUnsubscribe:
		l.asked[binary.BigEndian.Uint16(body)] = question{answer: typeUnsuback}
	case p[0]>>4 == typeSubscribe:
		q := question{answer: typeSuback}
		for rest := body[2:]; len(rest) > 0; q.count++ {
			rest = rest[2+int(binary.BigEndian.Uint16(rest))+1:]
		}
		l.asked[binary.BigEndian.Uint16(body)] = q
	}
}

// answered takes the question that a packet of this type with this id answers.
func (l *link) answered(answer byte, id uint16) (q question, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q, ok = l.asked[id]; !ok || q.answer != answer {
		return q, false
	}
	delete(l.asked, id)
	return q, true
}

// check looks at the packet whose first header bytes are followed by body bytes.
// pass = the library may read it as it is; otherwise it is consumed, and what the
// library reads in its place, if anything, is in l.instead.
func (l *link) check(header, body int) (pass bool, err error) {
	start, err := l.in.Peek(header + min(body, 2))
	if err != nil {
		return false, err
	}
	kind := start[0] >> 4
	if !l.greeted && kind != typeConnack {
		return false, l.malformed("the first packet is of type %d", kind)
	}
	short := [2]byte{} // the id of an answer
	copy(short[:], start[header:])
	id := binary.BigEndian.Uint16(short[:])
	switch kind {
	case typeConnack:
		if body < 2 || short[1] > 5 || l.greeted {
			return false, l.malformed("a CONNACK of %d bytes with code %d", body, short[1])
		}
		l.greeted = true
		l.instead = append(l.instead[:0], typeConnack<<4, 2, short[0]&1, short[1])
	case typePingresp:
		l.instead = append(l.instead[:0], typePingresp<<4, 0)
	case typePublish:
		return l.checkPublish(start[0], header, body)
	case typePuback:
		if body != 2 {
			return false, l.malformed("a PUBACK of %d bytes", body)
		}
		if _, ok := l.answered(kind, id); ok {
			return true, nil
		}
		l.ignored.Add(1)
	case typeUnsuback:
		if _, ok := l.answered(kind, id); ok && body >= 2 {
			l.instead = append(l.instead[:0], typeUnsuback<<4, 2, short[0], short[1])
		}
	case typeSuback:
		return false, l.suback(id, header, body)
	case typePubrec, typePubrel, typePubcomp: // of QoS 2, which is never used
		l.ignored.Add(1)
	default:
		return false, l.malformed("a packet of type %d", kind)
	}
	return false, l.discard(header + body)
}

// suback makes of a SUBACK one with as many codes as were asked for: what is
// missing is a rejection.
func (l *link) suback(id uint16, header, body int) error {
	q, ok := l.answered(typeSuback, id)
	if !ok {
		l.ignored.Add(1)
		return l.discard(header + body)
	}
	codes, err := l.in.Peek(header + min(body, 2+q.count))
	if err != nil {
		return err
	}
	codes = codes[min(len(codes), header+2):]
	l.instead = append(l.instead[:0], typeSuback<<4, byte(2+q.count), byte(id>>8), byte(id))
	for n := range q.count {
		code := byte(rejected)
		if n < len(codes) {
			code = codes[n]
		}
		l.instead = append(l.instead, code)
	}
	return l.discard(header + body)
}

// checkPublish lets a message pass that is well formed and not too large. A
// large one is skipped, acknowledged if it asks for that, and counted: whoever
// may write to a topic that is read here could otherwise end the connection.
func (l *link) checkPublish(first byte, header, body int) (pass bool, err error) {
	start, err := l.in.Peek(header + min(body, 2))
	if err != nil {
		return false, err
	}
	qos := int(first >> 1 & 3)
	size := 2 // of what is before the payload
	if body >= 2 {
		size += int(binary.BigEndian.Uint16(start[header:]))
	}
	topic := size - 2
	if qos > 0 {
		size += 2
	}
	if qos > 1 || size > body || topic == 0 {
		return false, l.malformed("a PUBLISH of %d bytes with QoS %d and a topic of %d bytes", body, qos, topic)
	}
	if body <= l.maxBody && topic <= maxSkippedTopic {
		return true, nil
	}
	l.skipped.Add(1)
	if err = l.discard(header + 2 + topic); err != nil {
		return false, err
	}
	if qos == 1 {
		id, err := l.in.Peek(2)
		if err != nil {
			return false, err
		}
		_, _ = l.Write([]byte{typePuback << 4, 2, id[0], id[1]}) // a dead link shows in the next read
	}
	return false, l.discard(body - 2 - topic)
}

// discard drops n bytes. The bytes count as a sign of life as they come.
func (l *link) discard(n int) error {
	for n > 0 {
		done, err := l.in.Discard(min(n, l.in.Size()))
		n -= done
		if err != nil {
			return err
		}
		l.lastRead.Store(l.clock())
	}
	return nil
}

func (l *link) malformed(format string, args ...any) error {
	return l.abortBecause(fmt.Errorf("%w: "+format, append([]any{errMalformed}, args...)...))
}
