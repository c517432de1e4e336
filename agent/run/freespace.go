package run

import (
	"sync"
	"time"
)

// freePatience bounds the wait for the answer of a disk: one that hangs holds up neither
// the health message nor the page, nor a stop.
const freePatience = time.Second

// freeSpace asks a disk how much room it has, one question at a time.
type freeSpace struct {
	mu    sync.Mutex
	asked *freeQuestion // the one that is not answered yet, nil = none
}

type freeQuestion struct {
	done  chan struct{}
	bytes *int64
}

// get is what ask answers, in bytes; nil = that is not known now.
func (f *freeSpace) get(ask func() (int64, error)) *int64 {
	f.mu.Lock()
	q := f.asked
	if q == nil {
		q = &freeQuestion{done: make(chan struct{})}
		f.asked = q
		go func() {
			if free, err := ask(); err == nil {
				q.bytes = &free
			}
			f.mu.Lock()
			f.asked = nil
			f.mu.Unlock()
			close(q.done)
		}()
	}
	f.mu.Unlock()
	select {
	case <-q.done:
		return q.bytes
	case <-time.After(freePatience):
		return nil
	}
}
