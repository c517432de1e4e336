package publish

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxInbound bounds a packet from the broker: our own largest message
	// handed back, plus topic and header.
	maxInbound = MaxPayload + maxTopic + 16
	// writeChunk is what one write deadline covers, so that a large message on
	// a slow link is not mistaken for a dead link. The sender waits while more
	// than this is buffered.
	writeChunk = 16 << 10
)

var errGivenUp = errors.New("connection given up")

// link is the byte stream below the MQTT library, with a write buffer that a
// goroutine of its own empties at the end of a burst: it needs few writes, and
// the library never blocks in one.
// It adds what the library lacks: a deadline on every write (a PINGREQ behind a
// stuck publish would wait for ever), a bound on inbound packets, the time of
// the last read, and an end that the library recognises as a lost connection.
type link struct {
	net.Conn
	raw          net.Conn // the socket below, which closes at once
	writeTimeout time.Duration
	began        time.Time
	lastRead     atomic.Int64 // clock()

	// Of the goroutine that reads; see check.
	in      *bufio.Reader
	left    int           // bytes of the packet that is being read
	instead []byte        // to be read before that
	checked bool          // packets are checked: MQTT 3.1.1
	greeted bool          // the CONNACK has come
	maxBody int           // bytes of a message that is not skipped, topic included
	skipped atomic.Uint64 // messages that were too large
	ignored atomic.Uint64 // answers that nobody asked for

	mu       sync.Mutex          // guards everything below
	changed  sync.Cond           // something below has changed
	out      []byte              // accepted, not being written yet
	urgent   bool                // out is to be written at once
	writing  bool                // what was in out before is being written
	accepted uint64              // PUBLISH packets so far
	burst    uint64              // so many of them come together
	written  uint64              // PUBLISH packets that the kernel has completely
	err      error               // why the link ended, nil = it is up
	asked    map[uint16]question // by packet id
}

func newLink(conn, raw net.Conn, writeTimeout time.Duration) *link {
	l := &link{Conn: conn, raw: raw, in: bufio.NewReader(conn), writeTimeout: writeTimeout, began: time.Now(),
		maxBody: maxInbound, asked: map[uint16]question{}}
	l.changed.L = &l.mu
	l.lastRead.Store(l.clock())
	go l.writeOut()
	return l
}

// clock counts nanoseconds on the monotonic clock, from 1: wall clock jumps do
// not matter.
func (l *link) clock() int64 { return int64(time.Since(l.began)) + 1 }

// Read returns bytes of one packet after the other, of those that check lets
// pass.
func (l *link) Read(p []byte) (n int, err error) {
	for err == nil && l.left == 0 && len(l.instead) == 0 {
		l.left, err = l.nextPacket()
	}
	switch {
	case err != nil:
	case len(l.instead) > 0:
		n = copy(p, l.instead)
		l.instead = l.instead[n:]
	default:
		n, err = l.in.Read(p[:min(len(p), l.left)])
		l.left -= n
	}
	if err == nil {
		l.lastRead.Store(l.clock())
		return n, nil
	}
	// For a socket that we closed the error is why we closed it: the MQTT
	// library mistakes "use of closed network connection" for its own doing.
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		err = l.err
	}
	return n, err
}

// nextPacket returns the size of the packet that comes next: a byte, up to 4
// bytes of length, the body. 0 = it is not to be read.
func (l *link) nextPacket() (int, error) {
	for header := 2; header <= 5; header++ {
		b, err := l.in.Peek(header)
		if err != nil {
			return 0, err
		}
		if b[header-1]&0x80 != 0 {
			continue
		}
		body, _ := binary.Uvarint(b[1:])
		switch {
		case l.checked:
			if pass, err := l.check(header, int(body)); !pass {
				return 0, err
			}
		case body > maxInbound:
			return 0, l.abortBecause(fmt.Errorf("broker announced a packet of over %d bytes", maxInbound))
		}
		return header + int(body), nil
	}
	return 0, l.malformed("a length of over 4 bytes")
}

// Write accepts one MQTT packet, from the MQTT 5 library in parts. Only a
// DISCONNECT waits until it is written: the library closes the connection right
// after it. Nothing is accepted after
// an error: the next packet would overtake the one that failed, or end up in
// the middle of it.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || len(p) == 0 {
		return 0, l.err
	}
	l.out = append(l.out, p...)
	if l.checked {
		l.ask(p)
	}
	if p[0]>>4 == typePublish {
		l.accepted++
	} else {
		l.urgent = true
	}
	if l.due() {
		l.changed.Broadcast()
	}
	for p[0]>>4 == typeDisconnect && l.err == nil && (l.writing || len(l.out) > 0) {
		l.changed.Wait()
	}
	return len(p), l.err
}

// due tells whether out is to be written: a burst at its end, or when it fills
// a chunk.
func (l *link) due() bool {
	return len(l.out) > 0 && (l.urgent || l.accepted >= l.burst || len(l.out) >= writeChunk)
}

// expect tells that PUBLISH packets follow each other at once up to this number.
func (l *link) expect(burst uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.burst = burst
	if l.due() {
		l.changed.Broadcast()
	}
}

// writeOut writes what is accepted, until the link ends.
func (l *link) writeOut() {
	var p []byte
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for l.err == nil && !l.due() {
			l.changed.Wait()
		}
		if l.err != nil {
			return
		}
		if cap(p) > 4*writeChunk {
			p = nil // do not keep the room of a large message
		}
		p, l.out = l.out, p[:0]
		last := l.accepted
		l.urgent, l.writing = false, true
		l.mu.Unlock()
		err := l.writeChunks(p)
		if err != nil {
			_ = l.abortBecause(err)
		}
		l.mu.Lock()
		l.writing = false
		if err == nil {
			l.written = last
		}
		l.changed.Broadcast()
	}
}

func (l *link) writeChunks(p []byte) error {
	for chunk := range slices.Chunk(p, writeChunk) {
		if err := l.Conn.SetWriteDeadline(time.Now().Add(l.writeTimeout)); err != nil {
			return err
		}
		if _, err := l.Conn.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

// SetWriteDeadline does nothing: each write sets its own deadline.
func (l *link) SetWriteDeadline(time.Time) error { return nil }

// waitRoom waits until less than a chunk is buffered. False = the link ended.
func (l *link) waitRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && len(l.out) >= writeChunk {
		l.changed.Wait()
	}
	return l.err == nil
}

// progress returns how many PUBLISH packets the kernel has, and whether
// nothing is left to write.
func (l *link) progress() (publishes uint64, idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written, !l.writing && len(l.out) == 0
}

// ping sends a PINGREQ.
func (l *link) ping() { _, _ = l.Write([]byte{0xC0, 0}) } // a dead link shows in the missing answer

// Close ends the stream with the farewell of TLS or websocket.
func (l *link) Close() error {
	l.end(net.ErrClosed)
	return l.Conn.Close()
}

// abort ends the stream at once, without any farewell.
func (l *link) abort() { _ = l.abortBecause(errGivenUp) }

// abortBecause aborts and returns the reason of the first end.
func (l *link) abortBecause(err error) error {
	first := l.end(err)
	l.raw.Close()
	l.Conn.Close()
	return first
}

// why is the reason of the end, nil while the link is up.
func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// end notes why the link ended and returns the first reason.
func (l *link) end(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		l.changed.Broadcast()
	}
	return l.err
}
