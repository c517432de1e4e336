// Package record turns polls and the agent's own events into records and commits
// them together with the state that made them.
//
// Promise: it alone gives numbers to records; a poll is accepted, with all its
// records, when its commit has returned; while the disk takes nothing the newest
// polls wait in memory, bounded, and what had to go is counted.
package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	// heldMax bounds the polls held in memory while the disk takes nothing.
	heldMax = 2000
	// commitMax and commitBytes bound the polls and events of one commit; one
	// poll more may come on top of the bytes.
	commitMax   = 500
	commitBytes = 4 << 20
	// eventsMax bounds the events held in the same case.
	eventsMax = 1000
	// retryEvery is the pause before a failed commit is tried again.
	retryEvery = 2 * time.Second
	// tidyEvery is the pace of what time alone brings: ages, minutes, clock.
	tidyEvery = 5 * time.Second
)

// Store is what the recorder needs of the buffer.
type Store interface {
	Append(buffer.Batch) error
	Due(now time.Time, add int64) *buffer.Eviction
	Damage() []buffer.Damage
	Waits() bool
}

// Recorder alone gives numbers to records: it turns polls and the agent's own
// events into records and commits them together with the state that made them.
// A poll is accepted when its commit has returned. While the disk takes nothing
// the newest polls wait in memory, bounded; the reports are made again from the
// last committed state, so no number is used twice.
type Recorder struct {
	Heartbeat host.Heartbeat // of Run

	reporter *report.Reporter
	store    Store
	states   map[string]report.State
	round    round
	polls    chan report.Poll
	events   chan Event
	newest   *Newest
	stats    stats
	log      *slog.Logger
	repeats  *host.Repeats

	held       []report.Poll
	alone      bool // one poll a commit: the store has refused a batch
	failing    bool // the last commit failed
	heldEvents []Event
	lastClock  time.Time // with its monotonic reading
	gaps       []announcedGap
	extra      map[string][]byte // states for the next commit
	damages    int               // how many damages were seen
	damaged    []buffer.Damage   // of those, what no commit has announced yet
	lastTick   int64             // the minute in which time alone was last reported
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
}

// New makes a recorder that goes on from the saved states. Its error says which
// of them cannot be read.
func New(o Options) (*Recorder, error) {
	r := &Recorder{
		reporter: o.Reporter,
		store:    o.Store,
		states:   map[string]report.State{},
		polls:    make(chan report.Poll, max(64, 2*o.Devices)),
		events:   make(chan Event, 64),
		newest:   o.Newest,
		stats:    stats{appended: map[string]uint64{}},
		log:      o.Log,
		repeats:  host.NewRepeats(o.Log),
		extra:    o.Extra,
	}
	for key, blob := range o.Saved {
		if key == gapsKey {
			if err := json.Unmarshal(blob, &r.gaps); err != nil {
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
		r.states[key] = st
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
	p.Status.Raw = nil
	defer r.round.add(-1)
	select {
	case r.polls <- p:
	default:
		r.stats.refused(1)
	}
}

// Announce hands an event of the agent itself to the recorder; false = there are
// too many, and it is not taken.
func (r *Recorder) Announce(ev Event) bool {
	select {
	case r.events <- ev:
		return true
	default:
		r.stats.refused(1)
		r.repeats.Failed("announce "+ev.Type, errors.New("too many events wait for the store"))
		return false
	}
}

// Run commits until ctx ends, then commits what is left.
func (r *Recorder) Run(ctx context.Context) {
	r.lastClock = time.Now()
	r.Heartbeat.Beat()
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	retry := time.NewTimer(retryEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			r.drainChannels()
			r.commit(time.Now())
			r.leave()
			return
		case p := <-r.polls:
			r.hold(p)
			r.gather(ctx)
		case ev := <-r.events:
			r.holdEvents(ev)
		case <-tidy.C:
		case <-retry.C:
			r.failing = false
		}
		r.Heartbeat.Beat()
		r.checkClock()
		r.checkDamage()
		if r.failing {
			continue // the disk is asked again when it is time to
		}
		if !r.commit(time.Now()) {
			r.failing = true
			retry.Reset(retryEvery)
		}
	}
}

// leave says what the store took to the last not.
func (r *Recorder) leave() {
	if n := len(r.held) + len(r.heldEvents); n > 0 {
		r.stats.refused(n)
		r.log.Error("stopped with polls that the store did not take; they are gone", "polls", len(r.held), "events", len(r.heldEvents))
	}
}

// gather waits until the polls of this round are in, at most linger.
func (r *Recorder) gather(ctx context.Context) {
	limit := time.NewTimer(linger)
	defer limit.Stop()
	for {
		r.drainChannels()
		if r.round.idle() && len(r.polls) == 0 {
			return
		}
		select {
		case p := <-r.polls:
			r.hold(p)
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *Recorder) drainChannels() {
	for {
		select {
		case p := <-r.polls:
			r.hold(p)
		case ev := <-r.events:
			r.holdEvents(ev)
		default:
			return
		}
	}
}

// hold keeps a poll until it is committed; beyond heldMax the oldest goes.
func (r *Recorder) hold(p report.Poll) {
	r.held = append(r.held, p)
	if over := len(r.held) - heldMax; over > 0 {
		r.held = append(r.held[:0], r.held[over:]...)
		r.stats.refused(over)
	}
	r.stats.holding(len(r.held))
}

// holdEvents keeps events until they are committed; beyond eventsMax the oldest
// go.
func (r *Recorder) holdEvents(list ...Event) {
	r.heldEvents = append(r.heldEvents, list...)
	if over := len(r.heldEvents) - eventsMax; over > 0 {
		r.heldEvents = append(r.heldEvents[:0], r.heldEvents[over:]...)
		r.stats.refused(over)
	}
}

// commit writes all that is held, in as many transactions as that takes.
func (r *Recorder) commit(now time.Time) bool {
	for {
		draft, err := r.draft(now)
		if err == nil && draft.empty() {
			break
		}
		if err == nil {
			err = r.store.Append(draft.batch)
		}
		if errors.Is(err, buffer.ErrRefused) && r.drop(draft, err) {
			continue
		}
		if err != nil {
			r.failed(err)
			return false
		}
		r.accept(draft)
	}
	r.alone = false
	r.recovered()
	return true
}

// drop finds the poll whose records the store refuses, and leaves it out: it can
// never be accepted, and must not stand before the others. False = it is no poll.
func (r *Recorder) drop(d *draft, err error) bool {
	if !r.alone && len(r.held) > 0 {
		r.alone = true
		return true
	}
	if d.polls == 0 {
		return false
	}
	r.log.Error("poll left out: the store cannot take its records", "device", r.held[0].Device, "err", err)
	r.held = append(r.held[:0], r.held[1:]...)
	r.stats.refused(1)
	return true
}

// accept makes the draft's states the current ones and shows its samples.
func (r *Recorder) accept(d *draft) {
	for key, st := range d.states {
		r.states[key] = st
	}
	r.lastTick = d.minute
	r.gaps, r.extra = d.gaps, nil
	r.damaged = r.damaged[len(d.batch.Damage):]
	r.held = append(r.held[:0], r.held[d.polls:]...)
	done := slices.Clone(r.heldEvents[:d.events])
	r.heldEvents = append(r.heldEvents[:0], r.heldEvents[d.events:]...)
	r.stats.accepted(d.batch.Records)
	r.stats.gone(d.batch.Evict)
	r.stats.holding(len(r.held))
	for _, s := range d.samples {
		r.newest.Set(s)
	}
	for _, ev := range done {
		if ev.Then != nil {
			ev.Then()
		}
	}
}

func (r *Recorder) failed(err error) {
	r.stats.failed(err)
	hint := "polling goes on; samples wait in memory until the store takes them"
	if errors.Is(err, buffer.ErrFull) {
		hint = "free space on the disk that holds data_dir; " + hint
	}
	r.repeats.Failed("write to store", err, "held", len(r.held), "hint", hint)
}

func (r *Recorder) recovered() {
	r.stats.failed(nil)
	r.repeats.Worked("write to store")
}

// checkClock announces a wall clock that parted from the monotonic one.
func (r *Recorder) checkClock() {
	now := time.Now()
	step := report.ClockStep(r.lastClock, now)
	r.lastClock = now
	if step == 0 {
		return
	}
	r.stats.stepped(now, step)
	r.log.Warn("wall clock stepped", "by", step)
	r.holdEvents(clockEvent(now, step))
}

// checkDamage takes note of what was found broken in the store. The next commit
// announces it; the store keeps its report until then.
func (r *Recorder) checkDamage() {
	all := r.store.Damage()
	for _, d := range all[r.damages:] {
		r.log.Error("store damaged", "segment", d.Segment, "reason", d.Reason,
			"salvaged", d.Salvaged, "lost", d.Lost, "lost_known", !d.Reset, "kept_as", d.Aside)
		r.damaged = append(r.damaged, d)
	}
	r.damages = len(all)
}
