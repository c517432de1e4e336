package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"roomcall/agent/report"
	"roomcall/cgi"
)

const (
	// pollGroup is how many endpoints share one tick. A burst of this size
	// costs less CPU than the same polls spread out, and goes into one commit.
	pollGroup = 50
	// pollSlots bounds the polls under way at one time.
	pollSlots = 128
	// backoffMax bounds the pause between polls of an endpoint that does not
	// answer, unless its own interval is longer; so do backoffTimes intervals,
	// but for pauses below backoffMin.
	backoffMin   = 10 * time.Second
	backoffMax   = time.Minute
	backoffTimes = 4
	// backoffAfter failures in a row the pause begins to grow.
	backoffAfter = 3
	// keepAliveEvery is the longest silence within a session; the vendor asks
	// for less than 60 s.
	keepAliveEvery = 45 * time.Second
)

// endpoint is what the poll loop needs of a device.
type endpoint interface {
	Poll(ctx context.Context) (cgi.Status, error)
	KeepAlive(ctx context.Context) error
	Close(ctx context.Context) error
}

// poller polls one endpoint at its own pace: one poll at a time, on ticks that
// all endpoints with the same interval share. A tick that comes while a poll is
// under way is skipped and counted, never queued. It waits for nothing but the
// endpoint.
type poller struct {
	device   string
	client   endpoint
	inCall   time.Duration // interval in a call
	idle     time.Duration // interval outside a call
	timeout  time.Duration // one request
	slots    chan struct{} // shared bound of polls under way
	origin   time.Time     // shared start of all ticks, monotonic
	share    float64       // the group's place within an interval, 0 <= share < 1
	deliver  func(report.Poll)
	round    *round
	stats    *pollStats
	repeats  *repeats
	interval time.Duration
	failures int // unreachable polls in a row
	polls    int
}

// run polls until ctx ends. The first poll starts at once.
func (p *poller) run(ctx context.Context) {
	p.interval = p.idle
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := p.step(ctx)
		timer.Reset(wait)
	}
}

// step does what is due, a poll or a keep-alive, and says how long to wait.
func (p *poller) step(ctx context.Context) time.Duration {
	if due := p.stats.nextPoll(); time.Until(due) > 0 {
		p.keepAlive(ctx)
	} else if !p.poll(ctx) {
		return 0
	}
	next := time.Until(p.stats.nextPoll())
	return min(max(next, 0), keepAliveEvery)
}

// keepAlive refreshes the session; a failure shows in the next poll.
func (p *poller) keepAlive(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	_ = p.client.KeepAlive(ctx)
}

// poll makes one poll and hands its result on. It returns false when ctx ended.
func (p *poller) poll(ctx context.Context) bool {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	p.round.begin()
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, max(p.timeout, p.interval))
	status, err := p.client.Poll(limited)
	cancel()
	<-p.slots
	at := time.Now()
	if ctx.Err() != nil {
		p.round.end()
		return false
	}
	p.adapt(status, err)
	due, skipped := p.next(start, at)
	result := report.Poll{Device: p.device, At: at, Took: at.Sub(start), Status: status, Err: err}
	p.note(result)
	p.stats.done(result, due, max(p.interval, due.Sub(at)), skipped)
	p.deliver(result)
	return true
}

// note logs an endpoint's failures: once, then now and then, then the recovery.
func (p *poller) note(result report.Poll) {
	subject := "poll of " + p.device
	if result.Err == nil {
		p.repeats.worked(subject)
		return
	}
	p.repeats.failed(subject, result.Err, "hint", hintOf(result.Err))
}

// adapt chooses the interval from what the poll told. An unknown call state
// changes nothing.
func (p *poller) adapt(status cgi.Status, err error) {
	var failure *cgi.Error
	if errors.As(err, &failure) && failure.Kind == cgi.KindUnreachable {
		p.failures++
		return
	}
	p.failures = 0
	switch {
	case err != nil:
	case status.Call == cgi.CallActive:
		p.interval = p.inCall
	case status.Call == cgi.CallIdle:
		p.interval = p.idle
	}
}

// next says when the next poll is due and how many ticks the last one missed.
func (p *poller) next(start, at time.Time) (due time.Time, skipped int) {
	if p.failures > backoffAfter {
		return at.Add(p.pause()), 0
	}
	due, skipped = nextTick(p.origin, start, at, p.interval, p.share)
	if p.polls == 0 && due.Sub(at) < p.interval/2 {
		due = due.Add(p.interval) // the first poll was made at once, beside the ticks
	}
	p.polls++
	return due, skipped
}

// pause is the wait before the next poll while the endpoint stays unreachable:
// it doubles from the interval to its bound, with jitter so that rooms do not
// keep step.
func (p *poller) pause() time.Duration {
	limit := max(min(max(backoffTimes*p.interval, backoffMin), backoffMax), p.interval)
	grown := p.interval << min(p.failures-backoffAfter, 10)
	if grown > limit || grown <= 0 {
		grown = limit
	}
	jittered := grown/2 + rand.N(grown/2+1)
	return max(jittered, p.interval)
}

// nextTick gives the first tick after now and how many ticks since the poll's
// start went by unused. Ticks lie at origin + share*interval + k*interval.
func nextTick(origin, start, now time.Time, interval time.Duration, share float64) (due time.Time, skipped int) {
	first := origin.Add(time.Duration(share * float64(interval)))
	index := func(t time.Time) int64 {
		d := t.Sub(first)
		if d < 0 {
			return -1
		}
		return int64(d / interval)
	}
	at, now64 := index(start), index(now)
	due = first.Add(time.Duration(now64+1) * interval)
	return due, int(now64 - at)
}

// round counts the polls under way, so that the recorder can put those that
// belong together into one commit.
type round struct {
	mu      sync.Mutex
	running int
}

func (r *round) begin() { r.add(1) }
func (r *round) end()   { r.add(-1) }

func (r *round) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running += n
}

// idle tells that no poll is under way.
func (r *round) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running == 0
}

// shares spreads n endpoints over an interval in a few even groups.
func shares(n int) []float64 {
	groups := (n + pollGroup - 1) / pollGroup
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(i%groups) / float64(groups)
	}
	return out
}
