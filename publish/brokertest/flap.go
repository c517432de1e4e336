package brokertest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Flap stops and starts the broker at random instants until the returned function
// is called, which leaves it running: it is up for at most up at a time, and down
// for at most down beside its start.
func (s *Server) Flap(seed uint64, up, down time.Duration) (steady func()) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	ctx, cancel := context.WithCancel(context.Background())
	pause := func(atMost time.Duration) {
		select {
		case <-time.After(time.Duration(rnd.Int64N(int64(atMost)))):
		case <-ctx.Done():
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			pause(up)
			s.Stop()
			pause(down)
			s.Start()
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}
