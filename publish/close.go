package publish

import (
	"context"
	"errors"
	"time"
)

// Close says "offline" on the availability topic, waits for its PUBACK as long
// as ctx allows, and disconnects. Without that PUBACK the connection is cut
// instead, so that the broker publishes the will, "lost". Messages not handed
// over yet are not sent; everything without a confirmation settles with an
// error. It returns after the connection's goroutines ended, or when ctx ends.
func (m *Conn) Close(ctx context.Context) error {
	if !m.startClosing() {
		m.waitEnd(ctx)
		return nil
	}
	err := m.sayOffline(ctx)
	if err == nil {
		m.paho.Disconnect(250)
	}
	m.fail(&Error{Class: ClassClosed, Op: "publish to", Broker: m.broker.name, Err: errors.New("connection is closed")})
	m.waitEnd(ctx)
	return err
}

// startClosing stops the sending; false when somebody did so already.
func (m *Conn) startClosing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing || m.closed {
		return false
	}
	m.closing = true
	close(m.stop)
	return true
}

func (m *Conn) sayOffline(ctx context.Context) error {
	fail := func(err error) error {
		return &Error{Class: ClassLost, Op: "say offline to", Broker: m.broker.name, Err: err}
	}
	select {
	case <-m.sent:
	case <-m.lost:
		return fail(m.Err())
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	acked := make(chan error, 1)
	m.wg.Go(func() {
		token := m.paho.Publish(m.client.Topic(availability), 1, true, "offline")
		select {
		case <-token.Done():
			acked <- token.Error()
		case <-m.lost:
			acked <- m.Err()
		}
	})
	select {
	case err := <-acked:
		if err != nil {
			return fail(err)
		}
		return nil
	case <-ctx.Done():
		return fail(ctx.Err())
	}
}

func (m *Conn) waitEnd(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		m.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// retire closes in good order, without an "offline", to connect again at once.
// What was handed over already is acknowledged first, so nothing is sent twice.
func (m *Conn) retire(err error) {
	if !m.startClosing() {
		return
	}
	m.awaitAcks(m.client.cfg.PingTimeout)
	m.paho.Disconnect(250)
	m.fail(&Error{Class: ClassProbe, Op: "prove delivery to", Broker: m.broker.name, Err: err})
}

// leave closes without a word about availability and waits for the end.
func (m *Conn) leave() {
	if m.startClosing() {
		m.paho.Disconnect(250)
		m.fail(&Error{Class: ClassClosed, Op: "publish to", Broker: m.broker.name, Err: errors.New("connection is closed")})
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.client.cfg.WriteTimeout)
	defer cancel()
	m.waitEnd(ctx)
}

// awaitAcks waits for the newest message that was handed over. With Confirm
// "echo" there is nothing to wait for: the echo is silent.
func (m *Conn) awaitAcks(patience time.Duration) {
	if m.client.cfg.Confirm == ConfirmEcho {
		return
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-m.sent:
	case <-t.C:
		return
	}
	if r := m.newestSent(); r != nil {
		select {
		case <-r.done:
		case <-t.C:
		}
	}
}

func (m *Conn) newestSent() *Receipt {
	m.mu.Lock()
	defer m.mu.Unlock()
	var newest *Receipt
	for _, r := range m.flight {
		if r.token != nil {
			newest = r
		}
	}
	return newest
}
