package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/report"
	"roomcall/buffer"
)

// An id stands for one content for ever, also when the store was restored from a
// backup, copied to a second machine, or lost and made again under a wrong clock. Such
// a store numbers its next records as others were numbered before. So at each connect,
// before a record goes out, the store is compared with what the broker still holds of
// this client id: the retained states, the health, the echo.
//
//	what the broker has           what it means
//	our epoch, a higher number    the store is behind: it was restored, or a twin goes on
//	                              from the same store
//	a higher epoch                the store is older than one that used this client id
//	                              after it, or a twin has an epoch of its own
//	anything else                 the store is ours and up to date
//
// "Higher" means higher than what may have been published. While a connection is up
// that is everything; while none is, it is what was there when the last one ended. The
// store keeps that (offline), because what a restored store records before it first
// connects would otherwise hide that it was behind.
//
// In the first two cases the store begins a new epoch, higher than all that were seen:
// numbers start at 1, and what was open is closed with the next poll of its device. Of the records that wait, those that may
// have been published keep their ids, because they are what those ids stand for; later
// ones are renumbered, because their ids may stand for something else. An example:
//
//  1. Epoch E. Positions 1 to 100 are published; the connection ends. offline = 100.
//  2. 101 to 110 are recorded offline. The data folder is backed up.
//  3. The agent connects, publishes 101 to 110, records and publishes up to 150. The
//     echo at the broker says: epoch E, position 150.
//  4. The backup is put back. The store ends at 110 again, with offline = 100, and
//     records 111 to 120 under numbers that the records of step 3 had.
//  5. It connects. The echo is above 100, so the store is behind. A new epoch F begins:
//     of what waits, positions up to 100 would keep their ids, 101 to 120 are renumbered.
//  6. They are written behind themselves, as 121 to 140, in portions; the same commits
//     take 101 to 120 out. Then the connection may send.
//
// 101 to 110 so reach consumers twice, under an id of E and one of F: nothing tells
// whether they were published. Two twins see each other's epochs at each connect; so a
// higher epoch of somebody else, whose ids are not ours, leads to a new one at most once
// an hour. A higher number of our own epoch always does.

// newEpochEvery is the shortest time between two new epochs of one recorder for which
// nothing speaks but a higher epoch or the suspicion of a twin.
const newEpochEvery = time.Hour

// Reasons of a new epoch, in agent.store_reset.
const (
	ReasonReverted     = "reverted"       // the store is behind what was published
	ReasonSameClientID = "same_client_id" // another agent uses the client id
	ReasonCopied       = "copied"         // the store was made on another machine, or is a copy
	ReasonManyDevices  = "many_devices"   // of devices that have left the config too much is kept, see goneMax
)

// newEpochKey is the key, among the store's states, of a new epoch that is being made;
// no device can have this name.
const newEpochKey = ".life"

// newEpoch is a new epoch that is being made, in portions.
type newEpoch struct {
	Epoch  int64  `json:"epoch"`
	Reason string `json:"reason"`
	Keep   uint64 `json:"keep"` // up to this position the records keep their ids
	Upto   uint64 `json:"upto"` // the last record of the old epoch
}

// offlineKey is the key of offline among the store's states; no device can have this
// name. It is absent while a connection is up.
const offlineKey = ".offline"

// offline is what may have been published when the last connection ended.
type offline struct {
	Sure uint64            `json:"sure"` // position of the newest record then
	Seqs map[string]uint64 `json:"seqs"` // last numbers of samples and states then, by topic
}

// stateKinds are the kinds that the retained state topic gets its numbers from.
var stateKinds = []string{"sample", "state"}

// identity is what the recorder knows of its own identity.
type identity struct {
	offline *offline  // nil = a connection is up
	next    *newEpoch // a new epoch that is being made, nil = none
	lastAt  time.Time // when this process made one last
	twinAt  time.Time // when it announced a twin last
	waiting []chan struct{}
}

// questionsMax bounds the questions that wait while the store does not answer. The
// newest stay: one connection asks after the other, the older ones are gone.
const questionsMax = 16

// question is one about the identity.
type question struct {
	answer   func(now time.Time)
	newEpoch func() bool // the answer may begin a new epoch; nil = it never does
}

// Compare compares the store with what the broker holds of this client id, see above.
// What it returns is closed when that is decided and, where it had to be, the new epoch
// has begun: only then may records be sent. It never blocks.
// complete = the broker has shown all that it holds.
func (r *Recorder) Compare(seen []report.Identity, complete bool) (decided <-chan struct{}) {
	done := make(chan struct{})
	behind := func() bool { _, behind, _ := r.behind(seen); return behind }
	r.ask(question{newEpoch: behind, answer: func(now time.Time) {
		if highest, behind, inUse := r.behind(seen); behind {
			r.decideNewEpoch(now, ReasonReverted, highest, inUse)
		}
		r.identity.waiting = append(r.identity.waiting, done)
		r.count(func(s *Stats) { s.Compared, s.ComparedAll, s.ComparedAt = len(seen), complete, now })
	}})
	return done
}

// SameClientID tells that another agent uses the client id.
func (r *Recorder) SameClientID() {
	r.ask(question{answer: r.twin, newEpoch: func() bool { return true }})
}

// Offline tells that the connection of the last Compare has ended.
func (r *Recorder) Offline() {
	r.ask(question{answer: func(time.Time) {
		r.identity.waiting = nil // nobody waits for it any more
		r.goOffline()
	}})
}

// ask has the recorder's loop answer a question about its identity.
func (r *Recorder) ask(q question) {
	r.mu.Lock()
	r.questions = append(r.questions, q)
	if over := len(r.questions) - questionsMax; over > 0 {
		r.questions = slices.Delete(r.questions, 0, over)
	}
	r.mu.Unlock()
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// Decide goes on comparing after Run has ended, until ctx ends: a connection that comes
// up while the agent stops can still deliver what waits.
func (r *Recorder) Decide(ctx context.Context) {
	for {
		r.answerAll(time.Now())
		r.finishNewEpoch(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
		}
	}
}

// answerAll answers what was asked.
func (r *Recorder) answerAll(now time.Time) {
	r.mu.Lock()
	list := r.questions
	r.questions = nil
	r.mu.Unlock()
	for _, q := range list {
		q.answer(now)
	}
	if r.identity.next == nil && len(r.identity.waiting) > 0 {
		r.letGo()
	}
}

// answerInMemory answers what was asked while the disk hangs, up to what asks for a new
// epoch: that, and what was asked after it, waits for the commit under way, whose
// records would belong to neither epoch.
func (r *Recorder) answerInMemory(now time.Time) {
	for r.identity.next == nil {
		r.mu.Lock()
		if len(r.questions) == 0 || r.questions[0].newEpoch != nil && r.questions[0].newEpoch() {
			r.mu.Unlock()
			break
		}
		q := r.questions[0]
		r.questions = r.questions[1:]
		r.mu.Unlock()
		q.answer(now)
	}
	if r.identity.next == nil {
		r.release()
	}
}

// twin announces that another agent uses the client id, and begins a new epoch, because
// it may go on from a copy of this store. At most once an hour.
func (r *Recorder) twin(now time.Time) {
	if !r.identity.twinAt.IsZero() && now.Sub(r.identity.twinAt) < newEpochEvery {
		return
	}
	r.identity.twinAt = now
	r.decideNewEpoch(now, ReasonSameClientID, 0, false)
	r.holdEvent(Event{At: now, AgentEvent: report.AgentEvent{
		Type: "agent.same_client_id", Reason: ReasonSameClientID,
	}})
}

// Echo is what the broker keeps of this agent's identity, in the retained echo: the
// epoch and the position of the newest record, as JSON.
func (r *Recorder) Echo() []byte {
	_, last := r.store.Progress()
	return fmt.Appendf(nil, `{"epoch":%d,"position":%d}`, r.store.Epoch(), last)
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
				o.Seqs[topicOf(device, kind)] = seq
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
// everything may be published. A disk that accepts nothing, or hangs, does not hold
// them up: then the next commit keeps it.
func (r *Recorder) letGo() {
	if r.identity.offline != nil {
		r.goOnline()
		online := map[string][]byte{offlineKey: nil}
		if err := r.write(buffer.Batch{State: online}); err != nil {
			r.repeats.Failed("keep in the store that a broker is connected", err)
		} else {
			r.repeats.Worked("keep in the store that a broker is connected")
			r.pending.kept(online)
		}
	}
	r.release()
}

// goOnline notes that everything may be published; the next commit keeps it.
func (r *Recorder) goOnline() {
	r.identity.offline = nil
	r.pending.keep(offlineKey, nil)
}

// release allows the connections that wait to send.
func (r *Recorder) release() {
	if r.identity.offline != nil && len(r.identity.waiting) > 0 {
		r.goOnline()
	}
	for _, c := range r.identity.waiting {
		close(c)
	}
	r.identity.waiting = nil
}

// behind returns the highest epoch that was seen, whether the store is behind, and
// whether it is so within its own epoch: its next ids are in use.
func (r *Recorder) behind(seen []report.Identity) (highest int64, behind, inUse bool) {
	own := r.reporter.Epoch()
	_, last := r.store.Progress()
	for _, id := range seen {
		highest = max(highest, id.Epoch)
		known, position := r.committed.states[id.Device].Last(id.Kind), last
		if o := r.identity.offline; o != nil {
			known, position = o.Seqs[topicOf(id.Device, id.Kind)], o.Sure
		}
		inUse = inUse || id.Epoch == own && (id.Seq > known || id.Position > position)
		behind = behind || inUse || id.Epoch > own
	}
	return highest, behind, inUse
}

// decideNewEpoch decides on a new epoch, which the next commit begins.
// Without must there is at most one in newEpochEvery.
func (r *Recorder) decideNewEpoch(now time.Time, reason string, highest int64, must bool) {
	if r.identity.next != nil {
		return
	}
	if !must && !r.identity.lastAt.IsZero() && now.Sub(r.identity.lastAt) < newEpochEvery {
		r.log.Warn("another epoch is in use under this client id; no new one begins, because one began within the hour",
			"reason", reason, "highest", highest, "own", r.reporter.Epoch())
		return
	}
	_, last := r.store.Progress()
	keep := last
	if o := r.identity.offline; o != nil && reason != ReasonCopied { // nothing was recorded since the copy
		keep = min(o.Sure, last)
	}
	r.identity.lastAt = now
	r.identity.next = &newEpoch{
		Epoch:  buffer.NewEpoch(now, max(highest, r.reporter.Epoch())),
		Reason: reason, Keep: keep, Upto: last,
	}
	r.log.Error("a new epoch begins: "+health.English.Why(reason), "reason", reason,
		"epoch", r.identity.next.Epoch, "hint", health.English.HintFor("store_new_epoch", nil))
}

// finishNewEpoch begins the new epoch that was decided on, or goes on with it: what
// waits is written again behind itself, portion by portion, and leaves its old place
// with the same commit. After a kill it goes on where it was. It returns false when the store accepted nothing.
func (r *Recorder) finishNewEpoch(now time.Time) bool {
	for e := r.identity.next; e != nil; e = r.identity.next {
		b, states, last, err := r.portion(e, now)
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
			r.count(func(s *Stats) {
				s.NewEpoch, s.NewEpochAt = e.Reason, now
				s.Appended++ // the announcement
				s.AppendedByKind["event"]++
			})
			if len(r.identity.waiting) > 0 {
				r.letGo()
			}
		}
	}
	return true
}

// portion is the next commit of a new epoch, the states that it leads to, and whether
// it is the last one: that announces the new epoch, so that no kill can take the one
// without the other.
func (r *Recorder) portion(e *newEpoch, now time.Time) (b buffer.Batch, states map[string]report.State, last bool, err error) {
	if r.reporter.Epoch() != e.Epoch {
		r.reporter = r.reporter.WithEpoch(e.Epoch)
	}
	began := r.store.Epoch() == e.Epoch
	b = buffer.Batch{Epoch: e.Epoch, State: map[string][]byte{}}
	states = map[string]report.State{}
	if began {
		maps.Copy(states, r.committed.states)
	} else {
		for device, st := range r.committed.states {
			b.State[device] = nil
			if open, is := r.reporter.Carry(st, device, r.store.Epoch()); is {
				states[device] = open
			}
		}
	}
	var items []buffer.Item
	err = r.onDisk(func() (err error) {
		items, err = r.store.Peek(0, commitMax, int(r.commitBytes))
		return err
	})
	if err != nil {
		return b, nil, false, err
	}
	upto := uint64(0)
	for _, it := range items {
		if it.Pos > e.Upto {
			break
		}
		upto = it.Pos
		rec := it.Record
		if it.Pos > e.Keep {
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
	last = upto == 0 || upto == e.Upto
	if last {
		st, records := r.reporter.AgentEvent(states[report.AgentDevice], now, report.AgentEvent{
			Type: "agent.store_reset", Reason: e.Reason,
		})
		states[report.AgentDevice] = st
		for _, rec := range records {
			b.Records = append(b.Records, stored(rec))
		}
	}
	for device, st := range states {
		blob, failed := st.Marshal()
		b.State[device], err = blob, errors.Join(err, failed)
	}
	b.State[newEpochKey] = nil // it is done
	if !last {
		blob, failed := json.Marshal(e)
		b.State[newEpochKey], err = blob, errors.Join(err, failed)
	}
	if err != nil {
		return b, nil, false, fmt.Errorf("begin a new epoch: %w", err)
	}
	return b, states, last, nil
}
