package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

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

// store is what the recorder needs of the buffer.
type store interface {
	Append(buffer.Batch) error
	Due(now time.Time, add int64) *buffer.Eviction
	Damage() []buffer.Damage
	Waits() bool
}

// recorder alone gives numbers to records: it turns polls and the agent's own
// events into records and commits them together with the state that made them.
// A poll is accepted when its commit has returned. While the disk takes nothing
// the newest polls wait in memory, bounded; the reports are made again from the
// last committed state, so no number is used twice.
type recorder struct {
	reporter *report.Reporter
	store    store
	states   map[string]report.State
	round    *round
	polls    chan report.Poll
	events   chan agentEvent
	live     *live
	stats    *recordStats
	log      *slog.Logger
	repeats  *repeats
	beat     beat

	held       []report.Poll
	alone      bool // one poll a commit: the store has refused a batch
	failing    bool // the last commit failed
	heldEvents []agentEvent
	lastClock  time.Time // with its monotonic reading
	gaps       []announcedGap
	extra      map[string][]byte // states for the next commit
	damages    int               // how many damages were seen
	damaged    []buffer.Damage   // of those, what no commit has announced yet
	lastTick   int64             // the minute in which time alone was last reported
}

// submit hands a poll to the recorder; it never blocks the poll loop. When the
// channel is full the poll is not accepted, and that is counted.
func (r *recorder) submit(p report.Poll) {
	p.Status.Raw = nil
	defer r.round.end()
	select {
	case r.polls <- p:
	default:
		r.stats.refused(1)
	}
}

// announce hands an event of the agent itself to the recorder; false = there are
// too many, and it is not taken.
func (r *recorder) announce(ev agentEvent) bool {
	select {
	case r.events <- ev:
		return true
	default:
		r.stats.refused(1)
		r.repeats.failed("announce "+ev.Type, errors.New("too many events wait for the store"))
		return false
	}
}

// run commits until ctx ends, then commits what is left.
func (r *recorder) run(ctx context.Context) {
	r.lastClock = time.Now()
	r.beat.now()
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
		r.beat.now()
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
func (r *recorder) leave() {
	if n := len(r.held) + len(r.heldEvents); n > 0 {
		r.stats.refused(n)
		r.log.Error("stopped with polls that the store did not take; they are gone", "polls", len(r.held), "events", len(r.heldEvents))
	}
}

// gather waits until the polls of this round are in, at most linger.
func (r *recorder) gather(ctx context.Context) {
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

func (r *recorder) drainChannels() {
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
func (r *recorder) hold(p report.Poll) {
	r.held = append(r.held, p)
	if over := len(r.held) - heldMax; over > 0 {
		r.held = append(r.held[:0], r.held[over:]...)
		r.stats.refused(over)
	}
	r.stats.holding(len(r.held))
}

// holdEvents keeps events until they are committed; beyond eventsMax the oldest
// go.
func (r *recorder) holdEvents(list ...agentEvent) {
	r.heldEvents = append(r.heldEvents, list...)
	if over := len(r.heldEvents) - eventsMax; over > 0 {
		r.heldEvents = append(r.heldEvents[:0], r.heldEvents[over:]...)
		r.stats.refused(over)
	}
}

// commit writes all that is held, in as many transactions as that takes.
func (r *recorder) commit(now time.Time) bool {
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
func (r *recorder) drop(d *draft, err error) bool {
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
func (r *recorder) accept(d *draft) {
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
		r.live.set(s)
	}
	for _, ev := range done {
		if ev.then != nil {
			ev.then()
		}
	}
}

func (r *recorder) failed(err error) {
	r.stats.failed(err)
	hint := "polling goes on; samples wait in memory until the store takes them"
	if errors.Is(err, buffer.ErrFull) {
		hint = "free space on the disk that holds data_dir; " + hint
	}
	r.repeats.failed("write to store", err, "held", len(r.held), "hint", hint)
}

func (r *recorder) recovered() {
	r.stats.failed(nil)
	r.repeats.worked("write to store")
}

// checkClock announces a wall clock that parted from the monotonic one.
func (r *recorder) checkClock() {
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
func (r *recorder) checkDamage() {
	all := r.store.Damage()
	for _, d := range all[r.damages:] {
		r.log.Error("store damaged", "segment", d.Segment, "reason", d.Reason,
			"salvaged", d.Salvaged, "lost", d.Lost, "lost_known", !d.Reset, "kept_as", d.Aside)
		r.damaged = append(r.damaged, d)
	}
	r.damages = len(all)
}
