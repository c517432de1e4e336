package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// An id stands for one content for ever, also when the store was restored from a
// backup, copied to a second machine, or lost and made again under a wrong clock. Such
// a store gives its next records numbers that were used before. So what the broker
// still holds of this client id (the retained states, the health, the echo) is compared
// with the store at each connect, before a record goes out:
//
//	the broker has our epoch and a higher number    the store is behind: it was restored, or
//	                                                a twin goes on from the same store
//	the broker has a higher epoch                   the store is older than another life of it,
//	                                                or a twin has a life of its own
//	anything else                                   the store is ours and up to date
//
// "Higher" is meant against what this life may have published: everything while a
// connection is up; while none is, what was there when the last one ended. That is kept
// in the store (offline), because what a restored store records before it first connects
// would otherwise hide that it was behind.
//
// In the first two cases the store begins a new life: a new epoch, higher than all that
// was seen, numbers from 1, no open calls. What waits and may have been
// published keeps its ids, because it is what was recorded then; what was recorded since
// is renumbered, because its ids may stand for something else. (What a backup has of the
// time between its last connection and itself so comes twice, under two ids.) Two twins see each
// other's epochs at each connect; so there is at most one new life an hour.

// lifeEvery is the shortest time between two new lives in one process.
const lifeEvery = time.Hour

// Reasons of a new life, in agent.store_reset.
const (
	ReasonReverted     = "reverted"       // the store is behind what was published
	ReasonSameClientID = "same_client_id" // another agent uses the client id
	ReasonCopied       = "copied"         // the store was made on another machine, or is a copy
)

// lifeKey is the key of a new life that is being made among the store's states; no
// device can have this name.
const lifeKey = ".life"

// life is a new life that is being made, in portions.
type life struct {
	Epoch  int64  `json:"epoch"`
	Reason string `json:"reason"`
	Keep   uint64 `json:"keep"` // up to this position the records keep their ids
	Upto   uint64 `json:"upto"` // the last record of the life before
}

// offlineKey is the key of offline among the store's states; no device can have this
// name. It is absent while a connection is up.
const offlineKey = ".offline"

// offline is what may have been published when the last connection ended.
type offline struct {
	Sure uint64            `json:"sure"` // position of the newest record then
	Seqs map[string]uint64 `json:"seqs"` // last numbers of samples and states then, by "<device>/<kind>"
}

// stateKinds are the kinds that the retained state topic gets its numbers from.
var stateKinds = []string{"sample", "state"}

// identity is what the recorder knows of its own identity.
type identity struct {
	offline *offline  // nil = a connection is up, or was when this process was started
	next    *life     // a new life that is being made, nil = none
	lastAt  time.Time // when this process made one last
	twinAt  time.Time // when it announced a twin last
	waiting []chan struct{}
}

// questionsMax bounds the questions that wait while the store does not answer. The
// newest stay: one connection asks after the other, the older ones are gone.
const questionsMax = 16

// comparison asks whether the store is behind what was published.
type comparison struct {
	seen     []report.Identity
	complete bool
	twin     bool // another agent uses the client id
	ended    bool // the connection is gone
	decided  chan struct{}
}

// Compare compares the store with what the broker holds of this client id, see above.
// What it returns is closed when that is decided and, where it had to be, the new life
// has begun: only then may records be sent. It never blocks.
// complete = the broker has shown all that it holds.
func (r *Recorder) Compare(seen []report.Identity, complete bool) (decided <-chan struct{}) {
	return r.ask(comparison{seen: seen, complete: complete})
}

// SameClientID tells that another agent uses the client id.
func (r *Recorder) SameClientID() { r.ask(comparison{twin: true}) }

// Offline tells that the connection of the last Compare has ended.
func (r *Recorder) Offline() { r.ask(comparison{ended: true}) }

func (r *Recorder) ask(c comparison) <-chan struct{} {
	c.decided = make(chan struct{})
	r.mu.Lock()
	r.comparisons = append(r.comparisons, c)
	if over := len(r.comparisons) - questionsMax; over > 0 {
		r.comparisons = slices.Delete(r.comparisons, 0, over)
	}
	r.mu.Unlock()
	select {
	case r.compare <- struct{}{}:
	default:
	}
	return c.decided
}

// Decide goes on comparing after Run has ended, until ctx ends: a connection that comes
// up while the agent stops can still deliver what waits.
func (r *Recorder) Decide(ctx context.Context) {
	for {
		r.compareAll(time.Now())
		r.live(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-r.compare:
		}
	}
}

// compareAll decides what was asked.
func (r *Recorder) compareAll(now time.Time) {
	r.mu.Lock()
	list := r.comparisons
	r.comparisons = nil
	r.mu.Unlock()
	for _, c := range list {
		highest, behind := r.behind(c.seen)
		switch {
		case c.ended:
			r.identity.waiting = nil // nobody waits for it any more
			r.goOffline()
			continue
		case c.twin:
			r.twin(now)
			continue
		case behind:
			r.newLife(now, ReasonReverted, highest)
		}
		r.identity.waiting = append(r.identity.waiting, c.decided)
		r.count(func(s *Stats) { s.Compared, s.ComparedAll, s.ComparedAt = len(c.seen), c.complete, now })
	}
	if r.identity.next == nil && len(r.identity.waiting) > 0 {
		r.letGo()
	}
}

// twin announces that another agent uses the client id, and begins a new life, because
// it may go on from a copy of this store. At most once an hour.
func (r *Recorder) twin(now time.Time) {
	if !r.identity.twinAt.IsZero() && now.Sub(r.identity.twinAt) < lifeEvery {
		return
	}
	r.identity.twinAt = now
	r.newLife(now, ReasonSameClientID, 0)
	r.holdEvent(Event{At: now, AgentEvent: report.AgentEvent{
		Type: "agent.same_client_id", Reason: ReasonSameClientID,
		Text: "another client probably uses this client id: connections end soon after they begin, as if the broker disconnects each of two agents when the other one connects; give each agent its own [agent] client_id",
	}})
}

// Echo is what the broker keeps of this agent's identity, in the retained echo: the
// epoch and the position of the newest record, as JSON.
func (r *Recorder) Echo() []byte {
	_, newest := r.store.Progress()
	return fmt.Appendf(nil, `{"epoch":%d,"position":%d}`, r.store.Epoch(), newest)
}

// goOffline notes what may have been published; the next commit keeps it.
func (r *Recorder) goOffline() {
	if r.identity.offline != nil {
		return
	}
	o := &offline{Seqs: map[string]uint64{}}
	_, o.Sure = r.store.Progress()
	for device, st := range r.committed.states {
		for _, kind := range stateKinds {
			if seq := st.Last(kind); seq > 0 {
				o.Seqs[device+"/"+kind] = seq
			}
		}
	}
	blob, err := json.Marshal(o)
	if err == nil {
		r.identity.offline = o
		r.pending.keep(offlineKey, blob)
	}
}

// letGo allows the connections that wait to send, and keeps first that from now on
// everything may be published. A disk that accepts nothing does not hold them up.
func (r *Recorder) letGo() {
	if r.identity.offline != nil {
		r.identity.offline = nil
		delete(r.pending.extra, offlineKey)
		if err := r.write(buffer.Batch{State: map[string][]byte{offlineKey: nil}}); err != nil {
			r.repeats.Failed("keep in the store that a broker is connected", err)
			r.pending.keep(offlineKey, nil) // the next commit does
		} else {
			r.repeats.Worked("keep in the store that a broker is connected")
		}
	}
	for _, c := range r.identity.waiting {
		close(c)
	}
	r.identity.waiting = nil
}

// behind returns the highest epoch that was seen, and whether the store is behind.
func (r *Recorder) behind(seen []report.Identity) (highest int64, behind bool) {
	own := r.reporter.Epoch()
	_, newest := r.store.Progress()
	for _, id := range seen {
		highest = max(highest, id.Epoch)
		known := r.committed.states[id.Device].Last(id.Kind)
		position := newest
		if o := r.identity.offline; o != nil {
			known, position = o.Seqs[id.Device+"/"+id.Kind], o.Sure
		}
		behind = behind || id.Epoch > own || id.Epoch == own && (id.Seq > known || id.Position > position)
	}
	return highest, behind
}

// newLife decides on a new life, which the next commit begins.
func (r *Recorder) newLife(now time.Time, reason string, highest int64) {
	if r.identity.next != nil || !r.identity.lastAt.IsZero() && now.Sub(r.identity.lastAt) < lifeEvery {
		return
	}
	_, newest := r.store.Progress()
	keep := newest
	if o := r.identity.offline; o != nil && reason != ReasonCopied { // nothing was recorded since the copy
		keep = min(o.Sure, newest)
	}
	r.identity.lastAt = now
	r.identity.next = &life{
		Epoch:  buffer.NewEpoch(now, max(highest, r.reporter.Epoch())),
		Reason: reason, Keep: keep, Upto: newest,
	}
	r.log.Error("this store's numbers may be in use elsewhere: a new epoch begins", "reason", reason,
		"epoch", r.identity.next.Epoch, "hint", "a restored backup, a copied disk, or a second agent with this client_id; see docs/operate.md")
}

// live begins the new life that was decided on: what waits is written again behind
// itself, portion by portion, and leaves its old place with the same commit. After a
// kill it goes on where it was. It returns false when the store accepted nothing.
func (r *Recorder) live(now time.Time) bool {
	for l := r.identity.next; l != nil; l = r.identity.next {
		b, states, last, err := r.portion(l)
		if err == nil {
			err = r.write(b)
		}
		if err != nil {
			return r.failing(err)
		}
		r.Heartbeat.Beat()
		r.committed.states = states
		if last {
			r.identity.next, r.unsaved = nil, nil
			// announcements that wait have new numbers and places, and go out by themselves
			r.committed.gaps = slices.DeleteFunc(r.committed.gaps, func(g gap) bool { return g.Seq != 0 })
			r.count(func(s *Stats) { s.Life, s.LifeAt = l.Reason, now })
			r.holdEvent(Event{At: now, AgentEvent: report.AgentEvent{
				Type: "agent.store_reset", Reason: l.Reason,
				Text: "numbers start again under a new epoch, because those of the old one may be in use elsewhere (" + l.Reason + "); calls and incidents of the old epoch are over",
			}})
			if len(r.identity.waiting) > 0 {
				r.letGo()
			}
		}
	}
	return true
}

// portion is the next commit of a new life, the states that it leads to, and whether
// it is the last one.
func (r *Recorder) portion(l *life) (b buffer.Batch, states map[string]report.State, last bool, err error) {
	if r.reporter.Epoch() != l.Epoch {
		r.reporter = r.reporter.WithEpoch(l.Epoch)
	}
	began := r.store.Epoch() == l.Epoch
	b = buffer.Batch{Epoch: l.Epoch, State: map[string][]byte{}}
	states = map[string]report.State{}
	if began {
		maps.Copy(states, r.committed.states)
	} else {
		for device := range r.committed.states {
			b.State[device] = nil
		}
	}
	items, err := r.store.Peek(0, commitMax, int(r.commitBytes))
	if err != nil {
		return b, nil, false, err
	}
	upto := uint64(0)
	for _, it := range items {
		if it.Pos > l.Upto {
			break
		}
		upto = it.Pos
		rec := it.Record
		if it.Pos > l.Keep {
			device := Device(it.Lane)
			st, seq, payload, err := r.reporter.Renumber(states[device], it.Payload)
			if err != nil {
				r.log.Error("a record keeps its old id", "err", err)
			} else {
				states[device], rec.Num, rec.Payload = st, seq, payload
			}
		}
		b.Records = append(b.Records, rec)
	}
	if upto > 0 {
		b.Evict = buffer.Replaced(upto)
	}
	last = upto == 0 || upto == l.Upto
	for device, st := range states {
		blob, failed := st.Marshal()
		b.State[device], err = blob, errors.Join(err, failed)
	}
	b.State[lifeKey] = nil // it is done
	if !last {
		blob, failed := json.Marshal(l)
		b.State[lifeKey], err = blob, errors.Join(err, failed)
	}
	if err != nil {
		return b, nil, false, fmt.Errorf("begin a new epoch: %w", err)
	}
	return b, states, last, nil
}
