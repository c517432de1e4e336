package publish

import (
	"crypto/sha256"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Receipt stands for one published message until it is complete.
type Receipt struct {
	msg    Message
	own    bool   // a message of this package: birth, availability, proof
	record bool   // neither that nor a state: the window counts it
	extra  Extra  // that it is, "" = none
	number uint64 // on its connection, from 1
	done   chan struct{}
	err    error
	sent   time.Time     // to the library; Conn.mu guards it
	token  mqtt.Token    // nil until it is handed to the library; Conn.mu guards it until then
	echoed chan struct{} // closed when the broker handed it back; nil = not asked for
}

// Done is closed when the receipt is complete.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Err is nil when the message was confirmed as Config.Confirm asks. It waits
// for Done.
func (r *Receipt) Err() error {
	<-r.done
	return r.err
}

// complete is called once, by the one that took the receipt out of flight.
func (r *Receipt) complete(err error) {
	r.err = err
	close(r.done)
}

func (r *Receipt) isAcked() bool {
	return r.token != nil && isClosed(r.token.Done()) && r.token.Error() == nil
}

// isConfirmed tells whether everything that was asked for has come already.
func (r *Receipt) isConfirmed() bool {
	return r.isAcked() && (r.echoed == nil || isClosed(r.echoed))
}

// onlyEchoMissing tells whether the broker acknowledged the message and has not
// handed it back.
func (r *Receipt) onlyEchoMissing() bool { return r.isAcked() && !r.isConfirmed() }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// echoes are the messages that the broker has to hand back, by topic and
// payload, the oldest first where both are equal.
type echoes map[[sha256.Size]byte][]*Receipt

func echoKey(topic string, payload []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(topic))
	h.Write([]byte{0}) // no topic has a NUL
	h.Write(payload)
	return [sha256.Size]byte(h.Sum(nil))
}

func (e echoes) expect(r *Receipt) {
	key := echoKey(r.msg.Topic, r.msg.Payload)
	e[key] = append(e[key], r)
}

func (e echoes) returned(topic string, payload []byte) {
	if len(e) == 0 {
		return
	}
	key := echoKey(topic, payload)
	list := e[key]
	switch len(list) {
	case 0:
		return
	case 1:
		delete(e, key)
	default:
		e[key] = list[1:]
	}
	close(list[0].echoed)
}
