package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/cgi"
)

// recorder commits polls of simulated rooms to a store as the agent does, on a clock
// that the test moves: records and states in one transaction, evictions with their
// announcement, polls held in memory while the disk is full.
type recorder struct {
	t        testing.TB
	now      time.Time
	rnd      *rand.Rand
	q        *buffer.Queue
	reporter *report.Reporter
	names    []string
	states   map[string]report.State
	held     []report.Poll
	books    map[string]*book // by topic

	polls, refused, full, evicted int
}

// book is how far one topic has come: the last number accepted, evicted, delivered.
type book struct{ accepted, gone, delivered uint64 }

// heldMax is the most polls that wait in memory.
const heldMax = 2000

// day0 is the start of simulated time; the polls' timestamps begin here.
var day0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func newRecorder(t testing.TB, o buffer.Options, devices int) *recorder {
	t.Helper()
	r := &recorder{t: t, now: day0, rnd: rand.New(rand.NewPCG(7, 7)), states: map[string]report.State{}, books: map[string]*book{}}
	o.Now = func() time.Time { return r.now }
	var err error
	if r.q, err = buffer.Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.q.Close(); err != nil && !errors.Is(err, buffer.ErrFull) {
			t.Error(err)
		}
	})
	s := report.Settings{ClientID: clientID, Epoch: r.q.Epoch(), Kinds: []string{"sample", "stream", "event", "call", "minute"}}
	for i := range devices {
		r.names = append(r.names, fmt.Sprint("room-", i))
		s.Devices = append(s.Devices, report.Device{Name: r.names[i], PollInterval: 5 * time.Second, IdleInterval: 15 * time.Second})
	}
	if r.reporter, err = report.New(s); err != nil {
		t.Fatal(err)
	}
	return r
}

// poll simulates an answer of every room, in a call or not.
func (r *recorder) poll(inCall bool) {
	for _, d := range r.names {
		p := report.Poll{Device: d, At: r.now, Took: 20 * time.Millisecond, Status: r.answer(inCall)}
		r.held = append(r.held, p)
		r.polls++
	}
	if over := len(r.held) - heldMax; over > 0 {
		r.held = append(r.held[:0], r.held[over:]...)
		r.refused += over
	}
	r.commit()
}

func (r *recorder) answer(inCall bool) cgi.Status {
	s := cgi.Status{SourceAPI: "WEB_GetMultiCallStatusInfoAPI", Call: cgi.CallIdle}
	if !inCall {
		return s
	}
	stream := func() cgi.Stream {
		return cgi.Stream{Active: true, Codec: "H.264", BitrateKbps: cgi.Known(float64(500 + r.rnd.IntN(1500))),
			LossPct: cgi.Known(float64(r.rnd.IntN(20)) / 10), LossPackets: cgi.Known(float64(r.rnd.IntN(100))),
			JitterMs: cgi.Known(float64(r.rnd.IntN(40))), DelayMs: cgi.Known(float64(20 + r.rnd.IntN(100))),
			FPS: cgi.Known(30), Width: 1920, Height: 1080}
	}
	s.Call, s.JoinMinutes = cgi.CallActive, cgi.Known(float64(r.now.Sub(day0)/time.Minute)/2)
	s.AudioSend, s.AudioRecv = stream(), stream()
	s.VideoSend, s.VideoRecv = []cgi.Stream{stream()}, []cgi.Stream{stream(), stream()}
	return s
}

// commit writes the held polls, at most 500 in a transaction, as the agent does.
func (r *recorder) commit() {
	for len(r.held) > 0 {
		d := r.next(r.held[:min(len(r.held), 500)])
		err := r.q.Append(d.batch)
		if errors.Is(err, buffer.ErrFull) {
			r.full++
			return
		}
		if err != nil {
			r.t.Fatalf("at %v: %v", r.now, err)
		}
		r.accept(d)
	}
}

// commit is a batch with the states that it leads to.
type commit struct {
	batch  buffer.Batch
	states map[string]report.State
	polls  int
}

// next makes the commit of these polls.
func (r *recorder) next(polls []report.Poll) *commit {
	d := &commit{batch: buffer.Batch{State: map[string][]byte{}}, states: map[string]report.State{}, polls: len(polls)}
	state := func(key string) report.State {
		if st, ok := d.states[key]; ok {
			return st
		}
		return r.states[key]
	}
	size := int64(0)
	for _, p := range polls {
		st, out := r.reporter.Poll(state(p.Device), p)
		d.states[p.Device] = st
		size += d.add(out.Records)
	}
	if ev := r.q.MakeRoom(r.now, size); ev != nil {
		d.batch.Evict = ev
		for _, g := range ev.Gaps {
			st, records := r.reporter.AgentEvent(state(report.AgentDevice), r.now, report.AgentEvent{
				Type: "agent.gap", FirstSeq: g.First, LastSeq: g.Last, Count: g.Count, Reason: g.Reason})
			d.states[report.AgentDevice] = st
			d.add(records)
		}
	}
	for key, st := range d.states {
		blob, err := st.Marshal()
		if err != nil {
			r.t.Fatal(err)
		}
		d.batch.State[key] = blob
	}
	return d
}

func (d *commit) add(records []report.Record) (size int64) {
	for _, x := range records {
		size += int64(len(x.Payload)) + 200
		d.batch.Records = append(d.batch.Records, buffer.Record{
			Lane: x.Device + "/" + x.Kind, Num: x.Seq, Time: time.UnixMilli(x.TimeMs), Fresh: x.Fresh, Payload: x.Payload})
	}
	return size
}

// accept notes what is on disk now. The numbers of a topic must continue where they
// ended, and an eviction must begin where the previous one, or delivery, ended.
func (r *recorder) accept(d *commit) {
	for key, st := range d.states {
		r.states[key] = st
	}
	for _, x := range d.batch.Records {
		b := r.book(x.Lane)
		if b.accepted++; x.Num != b.accepted {
			r.t.Fatalf("%s: number %d was assigned after %d", x.Lane, x.Num, b.accepted-1)
		}
	}
	if d.batch.Evict != nil {
		for _, g := range d.batch.Evict.Gaps {
			b := r.book(g.Lane)
			if first := max(b.gone, b.delivered) + 1; g.First != first || g.Count != g.Last-g.First+1 {
				r.t.Fatalf("%s: %d to %d (%d) were evicted, the first that waited is %d", g.Lane, g.First, g.Last, g.Count, first)
			}
			b.gone = g.Last
			r.evicted += int(g.Count)
		}
	}
	r.held = append(r.held[:0], r.held[d.polls:]...)
}

func (r *recorder) book(topic string) *book {
	if r.books[topic] == nil {
		r.books[topic] = &book{}
	}
	return r.books[topic]
}

// deliver reads up to n records from the queue in order and acknowledges them. Every
// topic must continue right after what was delivered or evicted.
func (r *recorder) deliver(n int) (sent int) {
	for sent < n {
		items, err := r.q.Peek(0, min(100, n-sent), 1<<20)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(items) == 0 {
			break
		}
		for _, it := range items {
			b := r.book(it.Lane)
			if want := max(b.gone, b.delivered) + 1; it.Num != want {
				r.t.Fatalf("%s: number %d is next, want %d", it.Lane, it.Num, want)
			}
			b.delivered = it.Num
		}
		sent += len(items)
		if err := r.q.Ack(items[len(items)-1].Pos); err != nil {
			r.t.Logf("acknowledge: %v", err) // on a full disk the position is kept in memory
		}
	}
	return sent
}

// finish delivers everything and checks that every accepted record was delivered or
// evicted.
func (r *recorder) finish() (delivered uint64) {
	r.t.Helper()
	r.deliver(1 << 62)
	for name, b := range r.books {
		if max(b.gone, b.delivered) != b.accepted {
			r.t.Errorf("%s: %d accepted, but %d delivered and %d evicted", name, b.accepted, b.delivered, b.gone)
		}
		delivered += b.accepted
	}
	if n := len(r.q.Damage()); n > 0 {
		r.t.Errorf("%d segments were reported as damaged: %+v", n, r.q.Damage())
	}
	return delivered
}
