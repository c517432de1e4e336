// Package poll asks the endpoints: one loop for each, at its own pace.
//
// Promise: one poll of an endpoint at a time and never one queued behind another;
// an endpoint that does not answer delays no other. Every result, good or bad,
// goes to the recorder, but for the poll that a stop cuts off.
package poll

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/cgi"
)

const (
	// A tick is shared by pollGroup endpoints, by more where there would be more than
	// pollGroups ticks in an interval. A burst costs less CPU than the same polls spread
	// out, and goes into one commit; but in a larger one the first answers wait until the
	// others are worked on.
	pollGroup  = 9
	pollGroups = 20
	// pollSlots bounds the polls that are worked on at one time. One that waits for
	// its endpoint longer than slotPatience costs nothing and leaves its slot to
	// others, so that silent endpoints delay no other.
	pollSlots    = 128
	slotPatience = 100 * time.Millisecond
	// After backoffAfter failures in a row the pause between polls of an endpoint that
	// does not answer begins to grow: from its interval to backoffTimes intervals, but
	// to backoffMin at least and backoffMax at most, and never below the interval.
	backoffAfter = 3
	backoffTimes = 4
	backoffMin   = 10 * time.Second
	backoffMax   = time.Minute
	// keepAliveEvery is the longest silence within a session; the vendor asks
	// for less than 60 s.
	keepAliveEvery = 45 * time.Second
)

// Endpoint is what a loop needs of a device.
type Endpoint interface {
	Poll(ctx context.Context) (cgi.Status, error)
	KeepAlive(ctx context.Context) error
	Close(ctx context.Context) error
}

// Recorder is where the results go, each with how many other polls are under way.
type Recorder interface {
	Submit(p report.Poll, others int)
}

// Config is one endpoint and its pace.
type Config struct {
	Device      string
	Endpoint    Endpoint
	InCallEvery time.Duration // interval in a call
	IdleEvery   time.Duration // interval outside a call
	Timeout     time.Duration // one request
}

// Loop polls one endpoint at its own pace: one poll at a time, on ticks that all
// endpoints with the same interval share. A tick that comes while a poll is under
// way is skipped and counted, never queued. It waits for nothing but the endpoint.
type Loop struct {
	Config
	Heartbeat host.Heartbeat // of Run

	slots    chan struct{} // shared bound of polls under way
	origin   time.Time     // shared start of all ticks, monotonic
	share    float64       // the group's place within an interval, 0 <= share < 1
	recorder Recorder
	stats    stats
	repeats  *host.Repeats
	interval time.Duration
	due      time.Time // when the next poll is; zero = at once
	failures int       // unreachable polls in a row
	inCall   bool      // at the last poll that could tell
	polled   bool      // the first poll was made
}

// New makes a loop for each endpoint; nothing runs yet. A group is of neighbours by name:
// so are the pages that hold their states.
func New(list []Config, r Recorder, log *slog.Logger) []*Loop {
	var names []string
	for _, c := range list {
		names = append(names, c.Device)
	}
	slices.Sort(names)
	slots := make(chan struct{}, pollSlots)
	spread := shares(len(list))
	repeats := host.NewRepeats(log)
	origin := time.Now().Add(-rand.N(time.Minute)) // a phase of its own for each agent
	var out []*Loop
	for _, c := range list {
		i, _ := slices.BinarySearch(names, c.Device)
		out = append(out, &Loop{Config: c, slots: slots, origin: origin, share: spread[i], recorder: r, repeats: repeats})
	}
	return out
}

// Run polls until ctx ends. The first poll starts at once.
func (p *Loop) Run(ctx context.Context) {
	p.interval = p.IdleEvery
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		var wait time.Duration
		var step sync.WaitGroup
		step.Go(func() { wait = p.step(ctx) }) // so that the deep stack of a poll ends with it
		step.Wait()
		p.Heartbeat.Expect(wait)
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// step does what is due, a poll or a keep-alive, and says how long to wait.
func (p *Loop) step(ctx context.Context) time.Duration {
	if time.Until(p.due) > 0 {
		p.keepAlive(ctx)
	} else if !p.poll(ctx) {
		return 0
	}
	return min(max(time.Until(p.due), 0), keepAliveEvery)
}

// keepAlive refreshes the session; a failure shows in the next poll.
func (p *Loop) keepAlive(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	p.Heartbeat.Expect(p.Timeout)
	_ = p.Endpoint.KeepAlive(ctx)
}

// poll makes one poll and hands its result on. It returns false when ctx ended.
func (p *Loop) poll(ctx context.Context) bool {
	p.Heartbeat.Beat()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	leave := sync.OnceFunc(func() { <-p.slots })
	defer time.AfterFunc(slotPatience, leave).Stop()
	start := time.Now()
	limit := max(p.Timeout, p.interval)
	p.Heartbeat.Expect(limit)
	limited, cancel := context.WithTimeout(ctx, limit)
	status, err := p.Endpoint.Poll(limited)
	cancel()
	leave()
	ended := host.Now()
	at := ended.Wall
	if ctx.Err() != nil {
		return false
	}
	p.adapt(status, err)
	due, skipped := p.next(start, at)
	p.due, p.polled = due, true
	result := report.Poll{Device: p.Device, At: at, Boot: ended.Boot, Took: at.Sub(start), Status: status, Err: err}
	p.note(result)
	p.stats.done(result, due, max(p.interval, due.Sub(at)), skipped)
	p.recorder.Submit(result, len(p.slots))
	return true
}

// note logs an endpoint's failures: once, then now and then, then the recovery.
func (p *Loop) note(result report.Poll) {
	subject := "poll of " + p.Device
	if result.Err == nil {
		p.repeats.Worked(subject)
		return
	}
	p.repeats.Failed(subject, result.Err, "hint", health.English.Hint(result.Err))
}

// adapt chooses the interval from what the poll told. An unknown call state
// changes nothing.
func (p *Loop) adapt(status cgi.Status, err error) {
	var failure *cgi.Error
	if errors.As(err, &failure) && failure.Kind == cgi.KindUnreachable {
		p.failures++
		return
	}
	p.failures = 0
	switch {
	case err != nil:
	case status.Call == cgi.CallActive:
		p.interval, p.inCall = p.InCallEvery, true
	case status.Call == cgi.CallIdle && p.inCall: // the next poll confirms it soon
		p.inCall = false
	case status.Call == cgi.CallIdle:
		p.interval = p.IdleEvery
	}
}

// next says when the next poll is due and how many ticks the last one missed.
func (p *Loop) next(start, at time.Time) (due time.Time, skipped int) {
	if p.failures > backoffAfter {
		return at.Add(p.pause()), 0
	}
	due, skipped = nextTick(p.origin, start, at, p.interval, p.share)
	if !p.polled && due.Sub(at) < p.interval/2 {
		due = due.Add(p.interval) // the first poll was made at once, beside the ticks
	}
	return due, skipped
}

// pause is the wait before the next poll while the endpoint stays unreachable:
// it doubles from the interval to its bound, with jitter so that rooms do not
// keep step.
func (p *Loop) pause() time.Duration {
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

// shares spreads n endpoints over an interval in a few even groups.
func shares(n int) []float64 {
	groups := min((n+pollGroup-1)/pollGroup, pollGroups)
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(i*groups/n) / float64(groups)
	}
	return out
}
