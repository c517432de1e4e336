// Package record turns polls and the agent's own events into records and commits
// them together with the state that made them.
//
// Promise: it alone gives numbers to records. A poll is accepted, with all its
// records, when its commit has returned. With a commit interval, polls are collected for
// that long and committed together, see Recorder.collectFor. While the disk accepts nothing the newest
// polls wait in memory, bounded. What is thrown away without a number is counted by
// device and announced (agent.missed), and so is each hole in the numbers (agent.gap);
// all that is announced goes out in bounded portions.
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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/buffer"
)

const (
	// retryEvery is the pause before a failed commit is tried again.
	retryEvery = 2 * time.Second
	// stopGrace is how long a stop waits for a store that does not come back.
	stopGrace = 2 * time.Second
	// tidyEvery is how often what time alone brings is looked at: ages, minutes,
	// clock.
	tidyEvery = 5 * time.Second
	// gatherFor is how long a poll waits at most for those of other endpoints that are under
	// way, to share a commit with them.
	gatherFor = 4 * time.Millisecond
)

// Store is what the recorder needs of the buffer.
type Store interface {
	Append(buffer.Batch) error
	MakeRoom(now time.Time, add int64) *buffer.Eviction
	Damage() []buffer.Damage
	Waits() bool
	Progress() (delivered, newest uint64)
	Peek(after uint64, maxItems, maxBytes int) ([]buffer.Item, error)
	Epoch() int64
}

// Recorder is the loop from polls and events to committed records. Submit, Announce,
// Stats, Echo and what asks about the identity are safe for concurrent use; what the
// loop works with belongs to Run alone.
type Recorder struct {
	Heartbeat host.Heartbeat // of Run

	reporter *report.Reporter
	store    Store
	newest   *Newest
	made     func(device, kind string, payload []byte)
	log      *slog.Logger
	repeats  *host.Repeats

	polls     chan *report.Poll
	events    chan Event
	mu        sync.Mutex // guards what follows up to the empty line
	stats     Stats
	missed    map[missedKey]*missed
	questions []question // of the drain about the identity, not answered yet

	underWay atomic.Int64  // polls that were under way when the newest one ended
	asked    chan struct{} // signals questions

	commitBytes int64         // bound of the payloads of one commit
	commitEvery time.Duration // for how long polls and events are collected, 0 = not at all

	committed committed // what the store holds
	identity  identity
	pending   pending                 // what it does not hold yet
	unsaved   map[string]report.State // while polls are collected, or the store accepts nothing: states up to the newest poll, by device
	stop      <-chan struct{}         // closed when Run has to end
	gaveUp    bool                    // the store did not come back within stopGrace after that
	forget    bool                    // the next commit keeps no gaps
	evictions evictions
	removed   removed
	now       func() host.Reading
	clock     host.Reading // as the clocks were looked at last
	damages   int          // how many damages of the store were seen
}

// Options are what a recorder is made of.
type Options struct {
	Reporter *report.Reporter
	Store    Store
	Saved    map[string][]byte // the states that the store holds
	States   map[string][]byte // of others, for the first commit; their keys begin with a dot
	Newest   *Newest
	// Made is told of each record that was committed, and of each sample that is shown
	// without; it must not wait. nil = nobody.
	Made     func(device, kind string, payload []byte)
	Devices  int   // how many endpoints are polled
	MaxBytes int64 // bound of the store, which bounds a commit; 0 = the default
	// CommitInterval is for how long polls and events are collected in memory until they
	// are committed together; 0 = a commit with each poll.
	CommitInterval time.Duration
	Copied         bool   // the store was made elsewhere: it begins a new epoch
	Unsaid         Unsaid // what the recorder before in this process could not announce
	Log            *slog.Logger
	Clock          func() host.Reading // nil = the wall clock and its monotonic reading alone
	Before         host.Reading        // when the run before committed last; the zero value = not known
}

// New makes a recorder that goes on from the saved states. Its error says which
// of them cannot be read.
func New(o Options) (*Recorder, error) {
	r := &Recorder{
		reporter: o.Reporter, store: o.Store, newest: o.Newest, made: o.Made, log: o.Log, repeats: host.NewRepeats(o.Log),
		stats: Stats{AppendedByKind: map[string]uint64{}},
		polls: make(chan *report.Poll, max(64, 2*o.Devices)), events: make(chan Event, 64), asked: make(chan struct{}, 1),
		missed: map[missedKey]*missed{}, commitBytes: commitBytes,
		commitEvery: o.CommitInterval,
		committed:   committed{states: map[string]report.State{}, told: map[string]time.Time{}},
		pending:     pending{states: o.States},
		now:         o.Clock, clock: o.Before,
	}
	if r.made == nil {
		r.made = func(string, string, []byte) {}
	}
	if r.now == nil {
		r.now = func() host.Reading { return host.Reading{Wall: time.Now()} }
	}
	mostGone := int64(goneMax)
	if o.MaxBytes > 0 {
		r.commitBytes, mostGone = min(commitBytes, o.MaxBytes/commitShare), min(goneMax, o.MaxBytes/goneShare)
	}
	if err := r.restore(o.Saved); err != nil {
		return nil, err
	}
	if o.Unsaid.missed != nil {
		r.missed = o.Unsaid.missed
	}
	gone := r.findRemoved(o.Saved)
	r.goOffline() // what is there now may have been published, what follows was not
	switch {
	case r.identity.next != nil:
	case o.Copied:
		r.decideNewEpoch(time.Now(), ReasonCopied, 0, true)
	case gone > mostGone:
		r.decideNewEpoch(time.Now(), ReasonManyDevices, 0, true)
	}
	return r, nil
}

// restore goes on from the states that the store holds.
func (r *Recorder) restore(saved map[string][]byte) (err error) {
	for key, blob := range saved {
		what := "state of " + key
		switch key {
		case gapsKey:
			what, err = "gaps", json.Unmarshal(blob, &r.committed.gaps)
		case offlineKey:
			what, err = "what was published", json.Unmarshal(blob, &r.identity.offline)
		case newEpochKey:
			what, err = "new epoch", json.Unmarshal(blob, &r.identity.next)
		case partialKey:
			what, err = "progress of announcements", json.Unmarshal(blob, &r.committed.partial)
		case leftKey:
			what, err = "devices that left", json.Unmarshal(blob, &r.removed.uncleared)
		default:
			if strings.HasPrefix(key, ".") {
				continue // somebody else's: no device has such a name
			}
			r.committed.states[key], err = report.UnmarshalState(blob)
		}
		if err != nil {
			return fmt.Errorf("read %s from store: %w", what, err)
		}
	}
	delivered, last := r.store.Progress()
	for i := range r.committed.gaps {
		g := &r.committed.gaps[i]
		g.reached = delivered
		if g.Seq != 0 && g.Pos == 0 {
			g.Pos = last
		}
	}
	return nil
}

// Submit hands a poll to the recorder and says how many others are under way: it waits for
// them for gatherFor at most, to commit them together. Submit never blocks the poll loop.
// When the channel is full the poll is missed.
func (r *Recorder) Submit(p report.Poll, others int) {
	p.Status.Raw = nil // nobody reads it any more, and held polls stay small
	r.underWay.Store(int64(others))
	select {
	case r.polls <- &p:
	default:
		r.miss(p.Device, missedBusy, p.At)
	}
}

// Announce hands an event of the agent itself to the recorder; false = too many
// wait, and this one is missed.
func (r *Recorder) Announce(ev Event) bool {
	select {
	case r.events <- ev:
		return true
	default:
		r.miss(report.AgentDevice, missedBusy, ev.At)
		return false
	}
}

// Run commits until ctx ends, then commits what is left.
func (r *Recorder) Run(ctx context.Context) {
	r.checkClock()
	r.stop = ctx.Done()
	r.Heartbeat.Beat()
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	retry := time.NewTimer(retryEvery)
	defer retry.Stop()
	collected := time.NewTimer(tidyEvery) // what is pending was collected long enough
	defer collected.Stop()
	failing := false // the last commit failed: the disk is asked again when it is time to
	for {
		select {
		case <-ctx.Done():
			r.collect()
			r.commit(time.Now())
			r.abandon()
			return
		case p := <-r.polls:
			r.hold(p)
		case ev := <-r.events:
			r.holdEvent(ev)
		case <-r.asked:
		case <-tidy.C:
		case <-collected.C:
		case <-retry.C:
			failing = false
		}
		r.collect() // what came meanwhile goes into the same commit
		r.Heartbeat.Beat()
		r.checkClock()
		r.checkDamage()
		r.answerAll(time.Now())
		if failing {
			r.count(func(s *Stats) { s.Held = len(r.pending.polls) })
			continue
		}
		if wait := r.collectFor(time.Now()); wait > 0 {
			if r.commitEvery > 0 {
				r.count(func(s *Stats) { s.Collected = len(r.pending.polls) })
			}
			collected.Reset(wait)
			continue
		}
		if !r.commit(time.Now()) {
			failing = true
			retry.Reset(retryEvery)
		}
		r.evictions.log(r.log, time.Now())
	}
}

// collect takes what waits in the channels.
func (r *Recorder) collect() {
	for {
		select {
		case p := <-r.polls:
			r.hold(p)
		case ev := <-r.events:
			r.holdEvent(ev)
		default:
			return
		}
	}
}

// collectFor is for how much longer what is pending is collected before it is committed:
// until the oldest has waited for the commit interval, a commit is full, or somebody
// waits for it: for an event to be on disk, or for a new epoch. A stop commits at once.
// Without an interval it is gathered for a moment while other polls are under way.
func (r *Recorder) collectFor(now time.Time) time.Duration {
	p := &r.pending
	waitedFor := func(ev Event) bool { return ev.Done != nil }
	if p.count() == 0 || p.count() >= commitMax || r.identity.next != nil || slices.ContainsFunc(p.events, waitedFor) {
		return 0
	}
	wait := r.commitEvery
	if wait == 0 && r.underWay.Load() > 0 {
		wait = gatherFor
	}
	return wait - now.Sub(p.since)
}

func (r *Recorder) hold(p *report.Poll) {
	for _, gone := range r.pending.hold(p) {
		r.miss(gone.Device, missedFailing, gone.At)
	}
	switch {
	case r.unsaved != nil:
		r.show(p)
	case r.commitEvery > 0:
		r.showPending()
	}
}

func (r *Recorder) holdEvent(ev Event) {
	for _, gone := range r.pending.holdEvent(ev) {
		r.miss(report.AgentDevice, missedFailing, gone.At)
		gone.done(false)
	}
}

// abandon notes what a stop leaves in memory, and logs all that is not announced.
func (r *Recorder) abandon() {
	for _, p := range r.pending.polls {
		r.miss(p.Device, missedStopped, p.At)
	}
	for _, ev := range r.pending.events {
		r.miss(report.AgentDevice, missedStopped, ev.At)
	}
	r.logUnsaid()
}

// showPending shows the newest state of each device although the store does not have it.
func (r *Recorder) showPending() {
	r.unsaved = map[string]report.State{}
	for _, p := range r.pending.polls {
		r.show(p)
	}
}

// show makes a poll's sample the newest although the store does not have it.
func (r *Recorder) show(p *report.Poll) {
	st, there := r.unsaved[p.Device]
	if !there {
		st = r.committed.states[p.Device]
	}
	st, out := r.reporter.Poll(st, *p)
	r.unsaved[p.Device] = st
	var committed report.State // none while a new epoch begins: the numbers may be those of the old one
	if r.identity.next == nil {
		committed = r.committed.states[p.Device]
	}
	sample := report.MarkUnrecorded(out.Sample, committed)
	r.newest.Set(Sample{Device: p.Device, Payload: sample, Shows: out.Shows, Standing: out.Standing, At: p.At, Fresh: freshIntervals * out.Interval})
	r.made(p.Device, "sample", sample)
}

// commit writes all that is pending, in as many transactions as that takes: each
// but the last holds a poll or an event, whatever the store wants to evict. It
// returns false when the store accepted nothing more; what is left stays pending.
// Of a batch that the store rejects, only what is to blame is left out, see search.
func (r *Recorder) commit(now time.Time) bool {
	if r.gaveUp || !r.finishNewEpoch(now) {
		return false
	}
	s := search{pending: &r.pending, limit: commitMax, extras: true}
	for {
		b, err := r.makeBatch(now, s.limit, s.extras)
		if err == nil && b.empty() {
			switch {
			case !s.extras:
				s.extras = true
				continue
			case r.pending.count() > 0: // it came while the batch was made
				continue
			case len(s.suspects) > 0:
				return r.failing(s.putBack())
			}
			r.working()
			return true
		}
		if err == nil {
			r.pending.inPolls, r.pending.inEvents = b.polls, b.events
			err = r.write(b.out)
			r.pending.inPolls, r.pending.inEvents = 0, 0
		}
		switch {
		case err == nil:
			r.Heartbeat.Beat()
			r.accept(b, now, s.extras)
			s.accepted()
		case errors.Is(err, buffer.ErrRefused) && s.rejected(b, err):
		case errors.Is(err, buffer.ErrRefused) && b.items() == 0 && len(b.gaps) > 0:
			// what it is told to keep is too much: the eviction goes on without
			r.log.Error("forgot gaps that were not announced, because the store cannot keep them", "gaps", len(b.gaps), "err", err)
			r.forget = true
		default:
			s.putBack()
			return r.failing(err)
		}
		r.leaveOut(s.culprits())
		if err == nil && b.items() == 0 && r.pending.count() == 0 { // what time alone brings is looked at again soon
			r.working()
			return true
		}
	}
}

// write hands a batch to the store.
func (r *Recorder) write(b buffer.Batch) error {
	return r.onDisk(func() error { return r.store.Append(b) })
}

// makeRoom asks the store what has to be evicted for a batch, of which nothing is dropped
// meanwhile.
func (r *Recorder) makeRoom(b *batch, now time.Time) (*buffer.Eviction, error) {
	r.pending.inPolls, r.pending.inEvents = b.polls, b.events
	defer func() { r.pending.inPolls, r.pending.inEvents = 0, 0 }()
	var ev *buffer.Eviction
	add := b.out.Room() + b.stateBytes()
	err := r.onDisk(func() error { ev = r.store.MakeRoom(now, add); return nil })
	if err != nil {
		return nil, err
	}
	return ev, nil
}

// onDisk does what reads or writes the store. While that does not return, polls and
// events go on waiting in memory, and after a while the newest states are shown as if
// the store accepted nothing, and connections may send what it has. There is no sign of
// life meanwhile, so that the watchdog sees a disk that hangs for good; a stop waits
// stopGrace for it.
func (r *Recorder) onDisk(do func() error) error {
	if r.gaveUp {
		return errHangs
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	late := time.NewTimer(retryEvery)
	defer late.Stop()
	stop, giveUp := r.stop, (<-chan time.Time)(nil)
	asked := (<-chan struct{})(nil) // what returns soon is waited for
	for {
		select {
		case err := <-done:
			return err
		case p := <-r.polls:
			r.hold(p)
		case ev := <-r.events:
			r.holdEvent(ev)
		case <-late.C:
			r.failing(errHangs)
			asked = r.asked
			r.answerInMemory(time.Now())
		case <-asked:
			r.answerInMemory(time.Now())
		case <-stop:
			stop, giveUp = nil, time.After(stopGrace)
		case <-giveUp:
			r.gaveUp = true
			return errHangs
		}
	}
}

// errHangs: the store does not come back.
var errHangs = errors.New("the disk does not answer")

// working notes that the store accepts what it is given.
func (r *Recorder) working() {
	r.count(func(s *Stats) { s.Err, s.FailingSince, s.Held, s.Collected = nil, time.Time{}, 0, 0 })
	r.repeats.Worked("write to store")
	r.unsaved = nil
}

// failing notes that the store accepts nothing, and shows the newest state of each
// device all the same. It returns false.
func (r *Recorder) failing(err error) bool {
	r.count(func(s *Stats) {
		if s.Err == nil {
			s.FailingSince = r.now().Wall
		}
		s.Err, s.Held, s.Collected = err, len(r.pending.polls), 0
	})
	code := health.StoreCode(health.Buffer{Cause: StoreCause(err)})
	r.repeats.Failed("write to store", err, "held", len(r.pending.polls),
		"hint", health.English.HintFor(code, nil)+"; "+health.English.HintFor("store_holds", nil))
	if r.unsaved == nil {
		r.showPending()
	}
	return false
}

// StoreCause tells why the store accepts nothing, in the words of host.DiskCause,
// or "no_answer" for a disk that hangs.
func StoreCause(err error) string {
	switch {
	case errors.Is(err, buffer.ErrFull):
		return "full"
	case errors.Is(err, errHangs):
		return "no_answer"
	}
	return host.DiskCause(err)
}

// leaveOut gives up what the store can never accept.
func (r *Recorder) leaveOut(list []suspect) {
	for _, s := range list {
		what := ""
		if s.event != nil {
			what = "event " + s.event.Type
			r.miss(report.AgentDevice, missedRejected, s.event.At)
			s.event.done(false)
		} else {
			what = "poll of " + s.poll.Device
			r.miss(s.poll.Device, missedRejected, s.poll.At)
		}
		r.repeats.Failed("store "+what, s.err, "what", what, "hint", health.English.HintFor("store_rejected", nil))
	}
}

// accept makes a committed batch's states the current ones, drops from pending what
// it held, and shows its samples.
func (r *Recorder) accept(b *batch, now time.Time, extras bool) {
	maps.Copy(r.committed.states, b.states)
	_, last := r.store.Progress()
	for i := range b.gaps {
		if g := &b.gaps[i]; g.Seq != 0 && g.Pos == 0 {
			g.Pos = last
		}
	}
	r.committed.gaps, r.committed.partial, r.committed.minute = b.gaps, b.partial, b.minute
	maps.DeleteFunc(r.committed.told, func(_ string, at time.Time) bool { return now.Sub(at) >= announceEvery })
	for _, key := range b.told {
		r.committed.told[key] = now
	}
	r.left(b)
	r.saidMissed(b.missed, now)
	done := r.pending.accepted(b, extras)
	r.forget = r.forget && !extras
	evicted := uint64(0)
	if ev := b.out.Evict; ev != nil {
		for _, g := range ev.Gaps {
			evicted += g.Count
			r.evictions.add(g)
		}
	}
	r.count(func(s *Stats) {
		for _, rec := range b.out.Records {
			s.AppendedByKind[Kind(rec.Lane)]++
		}
		s.Appended += uint64(len(b.out.Records))
		s.Evicted += evicted
	})
	for _, s := range b.samples {
		if r.newest.Set(s) {
			r.made(s.Device, "sample", s.Payload)
		}
	}
	for _, rec := range b.out.Records {
		if kind := Kind(rec.Lane); kind != "sample" {
			r.made(Device(rec.Lane), kind, rec.Payload)
		}
	}
	for _, ev := range done {
		ev.done(true)
	}
}
