package publish

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Receipt stands for one published message until it is settled.
type Receipt struct {
	msg     Message
	own     bool // a message of this package: birth, availability, proof
	done    chan struct{}
	err     error
	settled atomic.Bool
	written atomic.Int64  // clock() when its last byte went to the kernel, 0 = not yet
	echoed  chan struct{} // closed when the broker handed it back; nil = not asked for
	token   mqtt.Token    // guarded by Conn.mu until it is handed to the settler
}

// Done is closed when the receipt is settled.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Err is nil when the message was confirmed as Config.Confirm asks. It waits
// for Done.
func (r *Receipt) Err() error {
	<-r.done
	return r.err
}

func (r *Receipt) settle(err error) {
	if r.settled.CompareAndSwap(false, true) {
		r.err = err
		close(r.done)
	}
}

// confirmed tells whether everything that was asked for has come already.
func (r *Receipt) confirmed() bool {
	if r.token == nil {
		return false
	}
	select {
	case <-r.token.Done():
	default:
		return false
	}
	if r.token.Error() != nil {
		return false
	}
	if r.echoed == nil {
		return true
	}
	select {
	case <-r.echoed:
		return true
	default:
		return false
	}
}

// unechoed tells whether the broker acknowledged the message and has not handed
// it back.
func (r *Receipt) unechoed() bool {
	if r.token == nil || r.echoed == nil || r.confirmed() {
		return false
	}
	select {
	case <-r.token.Done():
		return r.token.Error() == nil
	default:
		return false
	}
}

// echoes finds the receipt of a message that the broker handed back.
type echoes struct {
	mu   sync.Mutex
	wait map[[sha256.Size]byte][]*Receipt
}

func echoKey(topic string, payload []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(topic))
	h.Write([]byte{0}) // no topic has a NUL
	h.Write(payload)
	return [sha256.Size]byte(h.Sum(nil))
}

func (e *echoes) expect(r *Receipt) {
	key := echoKey(r.msg.Topic, r.msg.Payload)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wait == nil {
		e.wait = map[[sha256.Size]byte][]*Receipt{}
	}
	e.wait[key] = append(e.wait[key], r)
}

func (e *echoes) came(topic string, payload []byte) {
	key := echoKey(topic, payload)
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.wait[key]
	if len(list) == 0 {
		return
	}
	close(list[0].echoed)
	if len(list) == 1 {
		delete(e.wait, key)
		return
	}
	e.wait[key] = list[1:]
}
