package main

import (
	"net"
	"sync"
	"testing"
	"time"
)

// farLine forwards connections to target and delays every byte by delay in each
// direction; it does not limit the rate. While it is shut, nobody listens at its address.
type farLine struct {
	addr, target string
	delay        time.Duration
	wg           sync.WaitGroup
	mu           sync.Mutex
	listener     net.Listener
	ends         []net.Conn
}

// far returns the address of a line to target with this delay in each direction.
func far(tb testing.TB, target string, delay time.Duration) string {
	tb.Helper()
	f := newFarLine(tb, target, delay)
	f.open(tb)
	return f.addr
}

// newFarLine makes a line that is shut.
func newFarLine(tb testing.TB, target string, delay time.Duration) *farLine {
	tb.Helper()
	f := &farLine{addr: freeAddr(tb), target: target, delay: delay}
	tb.Cleanup(f.shut)
	return f
}

func (f *farLine) open(tb testing.TB) {
	tb.Helper()
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		tb.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listener, f.ends = l, nil
	f.wg.Go(func() { f.accept(l) })
}

// shut ends what goes over the line and waits for it.
func (f *farLine) shut() {
	f.mu.Lock()
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
	for _, c := range f.ends {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *farLine) accept(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		distant, err := net.Dial("tcp", f.target)
		if err != nil {
			near.Close()
			continue
		}
		f.mu.Lock()
		if f.listener != l { // shut meanwhile
			f.mu.Unlock()
			near.Close()
			distant.Close()
			return
		}
		f.ends = append(f.ends, near, distant)
		f.mu.Unlock()
		f.wg.Go(func() { f.carry(near, distant) })
		f.wg.Go(func() { f.carry(distant, near) })
	}
}

// carry copies from one end to the other until either is closed.
func (f *farLine) carry(from, to net.Conn) {
	type piece struct {
		data []byte
		due  time.Time
	}
	pieces := make(chan piece, 4096)
	f.wg.Go(func() {
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				from.Close()
			}
		}
	})
	defer close(pieces)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(f.delay)}
		}
		if err != nil {
			return
		}
	}
}
