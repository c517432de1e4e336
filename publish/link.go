package publish

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxInbound bounds a packet from the broker: our own largest message
	// handed back, plus topic and header.
	maxInbound = MaxPayload + maxTopic + 16
	// writeChunk is what one write deadline covers, so that a large message on
	// a slow link is not taken for a dead link.
	writeChunk = 16 << 10
)

var errGivenUp = errors.New("connection given up")

// link is the byte stream below the MQTT library. It adds what the library
// lacks: a deadline on every write (a PINGREQ behind a stuck publish would
// wait for ever), fewer reads and writes, a bound on inbound packets, the time of the
// last read, and an end that the library takes for a lost connection.
type link struct {
	net.Conn
	raw          net.Conn
	in           *bufio.Reader
	frame        frame
	writeTimeout time.Duration
	began        time.Time
	writing      sync.Mutex
	ended        atomic.Pointer[error] // why it was aborted, nil = it was not
	lastRead     atomic.Int64          // clock()
	held         []byte                // PUBLISH packets not written yet, at most writeChunk bytes
	// another is asked with a PUBLISH at hand: true when one more follows at once,
	// or the link ends. written is called after a write of everything so far;
	// publish = its last packet was a PUBLISH for which another was not true.
	another func() bool
	written func(publish bool)
}

// clock counts nanoseconds on the monotonic clock, from 1: wall clock jumps do
// not matter.
func (l *link) clock() int64 { return int64(time.Since(l.began)) + 1 }

func newLink(conn, raw net.Conn, writeTimeout time.Duration) *link {
	l := &link{Conn: conn, raw: raw, in: bufio.NewReader(conn), writeTimeout: writeTimeout, began: time.Now(),
		another: func() bool { return false }, written: func(bool) {}}
	l.lastRead.Store(l.clock())
	return l
}

// Read hands out bytes of well-sized packets only.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if n > 0 {
		l.lastRead.Store(l.clock())
		if ferr := l.frame.check(p[:n]); ferr != nil {
			l.abortFor(ferr)
			return 0, ferr
		}
	}
	return n, l.reason(err)
}

// Write sends one MQTT packet. A PUBLISH that another one follows at once waits
// for it, so that a burst takes few writes. The first error ends the link: the
// MQTT library goes on with the next packet after a failed one, which would then
// overtake it, or stand in the middle of it.
func (l *link) Write(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if first := l.ended.Load(); first != nil {
		return 0, *first
	}
	if len(l.held)+len(p) > writeChunk {
		if err := l.push(nil, false); err != nil {
			return 0, err
		}
	}
	publish := len(p) > 0 && p[0]>>4 == 3
	if publish && len(p) <= writeChunk && l.another() {
		l.held = append(l.held, p...)
		return len(p), nil
	}
	if err := l.push(p, publish); err != nil {
		return 0, err
	}
	return len(p), nil
}

// push writes what is held, then p, together when both are there.
func (l *link) push(p []byte, publish bool) error {
	if len(l.held) > 0 {
		p = append(l.held, p...)
		l.held = p[:0]
	}
	for len(p) > 0 {
		if err := l.Conn.SetWriteDeadline(time.Now().Add(l.writeTimeout)); err != nil {
			return l.abortFor(err)
		}
		n, err := l.Conn.Write(p[:min(writeChunk, len(p))])
		if err != nil {
			return l.abortFor(err)
		}
		p = p[n:]
	}
	l.written(publish)
	return nil
}

// SetWriteDeadline does nothing: Write sets its own deadlines.
func (l *link) SetWriteDeadline(time.Time) error { return nil }

// ping sends a PINGREQ unless a write is under way, which has its own deadline.
func (l *link) ping() {
	if !l.writing.TryLock() {
		return
	}
	defer l.writing.Unlock()
	if l.Conn.SetWriteDeadline(time.Now().Add(l.writeTimeout)) == nil {
		_, _ = l.Conn.Write([]byte{0xC0, 0}) // a dead link shows in the missing answer
	}
}

// abort ends the stream at once, without TLS or websocket farewell.
func (l *link) abort() { _ = l.abortFor(errGivenUp) }

// abortFor aborts and gives the reason of the first abort.
func (l *link) abortFor(err error) error {
	if l.ended.CompareAndSwap(nil, &err) {
		l.raw.Close()
		l.Conn.Close()
	}
	return *l.ended.Load()
}

// reason replaces err, of a socket that we closed, by why we closed it. The
// MQTT library takes "use of closed network connection" for its own doing.
func (l *link) reason(err error) error {
	if first := l.ended.Load(); err != nil && first != nil {
		return *first
	}
	return err
}

// frame follows the packet borders of a byte stream and refuses a packet that
// announces more than maxInbound bytes; the MQTT library would allocate it.
type frame struct {
	state int // 0 = at a header byte, 1 = in the length, 2 = in the body
	shift uint
	left  int
}

func (f *frame) check(p []byte) error {
	for len(p) > 0 {
		switch f.state {
		case 0:
			f.state, f.shift, f.left = 1, 0, 0
			p = p[1:]
		case 1:
			f.left |= int(p[0]&0x7F) << f.shift
			more := p[0]&0x80 != 0
			f.shift += 7
			p = p[1:]
			if f.left > maxInbound || more && f.shift > 21 {
				return fmt.Errorf("broker announced a packet of over %d bytes", maxInbound)
			}
			if !more {
				f.enterBody()
			}
		case 2:
			n := min(f.left, len(p))
			f.left -= n
			p = p[n:]
			f.enterBody()
		}
	}
	return nil
}

func (f *frame) enterBody() {
	f.state = 2
	if f.left == 0 {
		f.state = 0
	}
}
