package publish

import (
	"context"
	"errors"
)

// Close publishes "offline" on the availability topic, unless the broker ends the
// connection at that, waits for its PUBACK as
// long as ctx allows, and disconnects. Without that PUBACK the connection is cut
// instead, so that the broker publishes the will, "lost". Messages not handed
// over yet are not sent; everything without a confirmation completes with an
// error. It returns after the connection's goroutines ended, or when ctx ends.
func (m *Conn) Close(ctx context.Context) error {
	var last *Receipt
	if !m.client.quiet && !m.client.refuses(m.broker, ExtraOnline) {
		last = &Receipt{msg: m.client.availability("offline"), own: true}
	}
	err := m.shutDown(ctx, m.fault(ClassClosed, errors.New("connection is closed"), ""), last)
	ended := make(chan struct{})
	go func() {
		m.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return err
}

// shutDown ends the connection in good order, once: sending stops, last (nil =
// nothing) goes behind what was handed over, and the acknowledgement of that is
// awaited as long as ctx allows, so that nothing is sent twice. Then comes the
// DISCONNECT, but not when last was not acknowledged.
func (m *Conn) shutDown(ctx context.Context, why *Error, last *Receipt) error {
	m.mu.Lock()
	if m.closing || m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closing, m.last = true, last
	close(m.stop)
	m.mu.Unlock()
	err := m.awaitNewest(ctx)
	if err == nil || last == nil {
		m.paho.Disconnect(250)
	}
	m.fail(why)
	if err != nil && last != nil {
		return &Error{Class: ClassLost, Op: "publish offline to", Broker: m.broker.name, Err: err}
	}
	return nil
}

// awaitNewest waits until the sending has ended and the newest message is
// acknowledged.
func (m *Conn) awaitNewest(ctx context.Context) error {
	select {
	case <-m.sent:
	case <-m.lost:
		return m.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	m.mu.Lock()
	newest, last := m.newest, m.last
	m.mu.Unlock()
	switch {
	case last != nil && newest != last:
		return errGivenUp // the link ended before
	case newest == nil:
		return nil
	}
	select {
	case <-newest.token.Done():
		return newest.token.Error()
	case <-m.lost:
		return m.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fail is the one end of a connection, lost or closed: it happens once, and
// everything in flight completes, with nil only where the confirmation has come
// already.
func (m *Conn) fail(err *Error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	flight := m.flight
	m.flight = nil
	m.mu.Unlock()
	m.link.abort()
	m.client.connectionEnded(m, err, flight)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
	for _, r := range flight {
		if r.isConfirmed() {
			m.client.countAcked(r)
			r.complete(nil)
			continue
		}
		r.complete(err)
	}
	m.cancel()
	close(m.lost)
}

func lostError(m *Conn, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if why := m.link.why(); errors.Is(why, errMalformed) { // the library does not pass it on everywhere
		err = why
	}
	if errors.Is(err, errMalformed) { // no record is to blame
		return &Error{Class: ClassProtocol, Op: "stay connected to", Broker: m.broker.name, Err: err, Hint: hintNoAnswer}
	}
	return &Error{Class: ClassLost, Op: "stay connected to", Broker: m.broker.name, Err: err,
		Hint: hintLost}
}
