package main

import (
	"net"
	"sync"
	"testing"
	"time"
)

// farLine forwards connections to target and delays every byte by delay in each
// direction; it does not limit the rate.
type farLine struct {
	target string
	delay  time.Duration
	wg     sync.WaitGroup
	mu     sync.Mutex
	ends   []net.Conn
}

// far returns the address of a line to target with this delay in each direction.
func far(tb testing.TB, target string, delay time.Duration) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f := &farLine{target: target, delay: delay}
	f.wg.Go(func() { f.accept(l) })
	tb.Cleanup(func() {
		l.Close()
		f.hangUp()
		f.wg.Wait()
	})
	return l.Addr().String()
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
		f.ends = append(f.ends, near, distant)
		f.mu.Unlock()
		f.wg.Go(func() { f.carry(near, distant) })
		f.wg.Go(func() { f.carry(distant, near) })
	}
}

func (f *farLine) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.ends {
		c.Close()
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
