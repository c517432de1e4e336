// Package record turns polls and the agent's own events into records and commits
// them together with the state that made them.
//
// Promise: it alone gives numbers to records. A poll is accepted, with all its
// records, when its commit has returned. While the disk accepts nothing the newest
// polls wait in memory, bounded, and what had to go is counted.
//
//	polls ──Submit──▶ ┌─────────┐  next batch: reports from the   ┌────────┐
//	                  │ pending │ ─ committed state, evictions, ─▶ │ buffer │
//	events ─Announce▶ └─────────┘   minutes that are over         └────────┘
//	                       ▲                                           │ fsync returned
//	                       └── what the batch held is dropped,  ◀──────┘
//	                           its states are the committed ones,
//	                           its samples are the newest
package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/buffer"
)

const (
	// linger is how long a commit waits for the other polls of its round.
	linger = 100 * time.Millisecond
	// retryEvery is the pause before a failed commit is tried again.
	retryEvery = 2 * time.Second
	// tidyEvery is how often what time alone brings is looked at: ages, minutes,
	// clock.
	tidyEvery = 5 * time.Second
)

// Store is what the recorder needs of the buffer.
type Store interface {
	Append(buffer.Batch) error
	Due(now time.Time, add int64) *buffer.Eviction
	Damage() []buffer.Damage
	Waits() bool
}

// Recorder is the loop from polls and events to committed records. Submit,
// Announce, Begin, Cancel and Stats are safe for concurrent use; what the loop
// works with belongs to Run alone.
type Recorder struct {
	Heartbeat host.Heartbeat // of Run

	reporter *report.Reporter
	store    Store
	newest   *Newest
	log      *slog.Logger
	repeats  *host.Repeats

	round  round
	polls  chan report.Poll
	events chan Event
	mu     sync.Mutex
	stats  Stats // guarded by mu

	committed committed // what the store holds
	pending   pending   // what it does not hold yet
	now       func() host.Reading
	clock     host.Reading // as the clocks were looked at last
	damages   int          // how many damages of the store were seen
}

// Options are what a recorder is made of.
type Options struct {
	Reporter *report.Reporter
	Store    Store
	Saved    map[string][]byte // the states that the store holds
	Extra    map[string][]byte // states of others, for the first commit; their keys begin with a dot
	Newest   *Newest
	Devices  int // how many endpoints are polled
	Log      *slog.Logger
	Clock    func() host.Reading // nil = the wall clock and its monotonic reading alone
	Before   host.Reading        // when the run before committed last; the zero value = not known
}

// New makes a recorder that goes on from the saved states. Its error says which
// of them cannot be read.
func New(o Options) (*Recorder, error) {
	r := &Recorder{
		reporter: o.Reporter, store: o.Store, newest: o.Newest, log: o.Log, repeats: host.NewRepeats(o.Log),
		stats: Stats{AppendedByKind: map[string]uint64{}},
		polls: make(chan report.Poll, max(64, 2*o.Devices)), events: make(chan Event, 64),
		committed: committed{states: map[string]report.State{}},
		pending:   pending{extra: o.Extra},
		now:       o.Clock, clock: o.Before,
	}
	if r.now == nil {
		r.now = func() host.Reading { return host.Reading{Wall: time.Now()} }
	}
	for key, blob := range o.Saved {
		if key == gapsKey {
			if err := json.Unmarshal(blob, &r.committed.gaps); err != nil {
				return nil, fmt.Errorf("read announced gaps from store: %w", err)
			}
		}
		if strings.HasPrefix(key, ".") {
			continue // no device has such a name
		}
		st, err := report.UnmarshalState(blob)
		if err != nil {
			return nil, fmt.Errorf("read state of %s from store: %w", key, err)
		}
		r.committed.states[key] = st
	}
	return r, nil
}

// round counts the polls under way, so that those that belong together go into
// one commit.
type round struct {
	mu      sync.Mutex
	running int
}

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

// Begin tells that a poll is under way; its result follows with Submit, or Cancel
// tells that there is none.
func (r *Recorder) Begin() { r.round.add(1) }

// Cancel tells that a poll that was begun has no result.
func (r *Recorder) Cancel() { r.round.add(-1) }

// Submit hands a poll to the recorder; it never blocks the poll loop. When the
// channel is full the poll is not accepted, and that is counted.
func (r *Recorder) Submit(p report.Poll) {
	p.Status.Raw = nil // nobody reads it any more, and held polls stay small
	defer r.round.add(-1)
	select {
	case r.polls <- p:
	default:
		r.lose(1)
	}
}

// Announce hands an event of the agent itself to the recorder; false = too many
// wait, and this one is lost.
func (r *Recorder) Announce(ev Event) bool {
	select {
	case r.events <- ev:
		return true
	default:
		r.lose(1)
		r.repeats.Failed("announce "+ev.Type, errors.New("too many events wait for the store"))
		return false
	}
}

// Run commits until ctx ends, then commits what is left.
func (r *Recorder) Run(ctx context.Context) {
	r.checkClock()
	r.Heartbeat.Beat()
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	retry := time.NewTimer(retryEvery)
	defer retry.Stop()
	failing := false // the last commit failed: the disk is asked again when it is time to
	for {
		select {
		case <-ctx.Done():
			r.collect()
			r.commit(time.Now())
			if n := r.pending.count(); n > 0 {
				r.lose(n)
				r.log.Error("stopped while the store accepted nothing; polls and events in memory are lost", "count", n)
			}
			return
		case p := <-r.polls:
			r.lose(r.pending.hold(p))
			r.gather(ctx)
		case ev := <-r.events:
			r.lose(r.pending.holdEvent(ev))
		case <-tidy.C:
		case <-retry.C:
			failing = false
		}
		r.Heartbeat.Beat()
		r.checkClock()
		r.checkDamage()
		if failing {
			r.count(func(s *Stats) { s.Held = len(r.pending.polls) })
			continue
		}
		if !r.commit(time.Now()) {
			failing = true
			retry.Reset(retryEvery)
		}
	}
}

// gather waits until the polls of this round are in, at most linger.
func (r *Recorder) gather(ctx context.Context) {
	limit := time.NewTimer(linger)
	defer limit.Stop()
	for {
		r.collect()
		if r.round.idle() && len(r.polls) == 0 {
			return
		}
		select {
		case p := <-r.polls:
			r.lose(r.pending.hold(p))
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// collect takes what waits in the channels.
func (r *Recorder) collect() {
	for {
		select {
		case p := <-r.polls:
			r.lose(r.pending.hold(p))
		case ev := <-r.events:
			r.lose(r.pending.holdEvent(ev))
		default:
			return
		}
	}
}

// commit writes all that is pending, in as many transactions as that takes: each
// but the last holds a poll or an event, whatever the store wants to evict. It
// returns false when the store accepted nothing more; what is left stays pending.
//
// A batch that the store rejects (a record or the states are too large for it) can
// never be accepted. Then the polls and events go one by one until the one is
// found; that one is lost, and the others are kept.
func (r *Recorder) commit(now time.Time) bool {
	limit := commitMax
	for {
		b, err := r.batch(now, limit)
		if err == nil && b.empty() {
			r.count(func(s *Stats) { s.Err, s.Held = nil, 0 })
			r.repeats.Worked("write to store")
			return true
		}
		if err == nil {
			err = r.store.Append(b.batch)
		}
		switch {
		case err == nil:
			r.accept(b)
			if b.polls+b.events == 0 { // what time alone brings is looked at again soon
				return true
			}
		case errors.Is(err, buffer.ErrRefused) && limit > 1 && b.polls+b.events > 0:
			limit = 1
		case errors.Is(err, buffer.ErrRefused) && b.polls+b.events > 0:
			what := r.pending.dropFirst(b)
			r.lose(1)
			limit = commitMax
			r.log.Error("left out, because the store cannot accept it", "what", what, "err", err)
		default:
			r.count(func(s *Stats) { s.Err, s.Held = err, len(r.pending.polls) })
			hint := "polling goes on; samples wait in memory until the store accepts them"
			if errors.Is(err, buffer.ErrFull) {
				hint = "free space on the disk that holds data_dir; " + hint
			}
			r.repeats.Failed("write to store", err, "held", len(r.pending.polls), "hint", hint)
			return false
		}
	}
}

// accept makes a committed batch's states the current ones, drops from pending what
// it held, and shows its samples.
func (r *Recorder) accept(b *batch) {
	maps.Copy(r.committed.states, b.states)
	r.committed.gaps, r.committed.minute = b.gaps, b.minute
	done := r.pending.accepted(b)
	r.count(func(s *Stats) {
		for _, rec := range b.batch.Records {
			s.AppendedByKind[Kind(rec.Lane)]++
		}
		s.Appended += uint64(len(b.batch.Records))
		if ev := b.batch.Evict; ev != nil {
			for _, g := range ev.Gaps {
				s.Evicted += g.Count
			}
		}
	})
	for _, s := range b.samples {
		r.newest.Set(s)
	}
	for _, ev := range done {
		if ev.OnDisk != nil {
			ev.OnDisk()
		}
	}
}

// checkClock announces a wall clock that was set, also between the run before and
// this one. A machine that slept is no such thing.
func (r *Recorder) checkClock() {
	now := r.now()
	e := host.Between(r.clock, now)
	r.clock = now
	if e.Slept > 0 {
		r.log.Info("the machine slept", "for", e.Slept.Round(time.Second))
	}
	if e.Step == 0 {
		return
	}
	r.count(func(s *Stats) { s.ClockSteps++; s.LastStep, s.StepBy = now.Wall, e.Step })
	r.log.Warn("wall clock stepped", "by", e.Step, "at_least", e.Restarted)
	r.lose(r.pending.holdEvent(clockEvent(now.Wall, e)))
}

// checkDamage takes note of what was found broken in the store. The next commit
// announces it; the store keeps its report until then.
func (r *Recorder) checkDamage() {
	all := r.store.Damage()
	for _, d := range all[r.damages:] {
		r.log.Error("store damaged", "segment", d.Segment, "reason", d.Reason,
			"salvaged", d.Salvaged, "lost", d.Lost, "lost_known", !d.Reset, "kept_as", d.Aside)
		r.pending.damage = append(r.pending.damage, d)
	}
	r.damages = len(all)
}
