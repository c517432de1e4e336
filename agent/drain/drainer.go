// Package drain brings the store's records to the broker.
//
// Promise: oldest first, in order on each topic, and a record leaves the store only
// on the broker's positive acknowledgement; a timeout, a stop and a lost connection
// all mean "keep".
package drain

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
	"roomcall/publish"
)

const (
	// peekBytes bounds the payload bytes read from the store at one time.
	peekBytes = 1 << 20
	// signEvery is the longest time between two signs of life.
	signEvery = 10 * time.Second
	// steadyAfter is how long a connection lives before it counts as recovered.
	steadyAfter = time.Minute
	// sendRetry is the pause after the connection took no more.
	sendRetry = 100 * time.Millisecond
	// readRetry is the pause after the store could not be read.
	readRetry = 5 * time.Second
)

// Options are what a drainer works with.
type Options struct {
	Queue      *buffer.Queue
	Newest     *record.Newest
	Client     *publish.Client
	Window     int // records in flight at most
	ReplayRate int // records a second at most while catching up, 0 = no limit
	Announce   func(record.Event) bool
	Log        *slog.Logger
	Endpoints  int
}

// Drainer brings the store's records to the broker, oldest first, and removes
// a record only on the broker's positive acknowledgement. The newest sample of
// each device goes beside the queue to its state topic.
type Drainer struct {
	Options
	Heartbeat host.Heartbeat // of Run

	pace       pace
	proof      chan struct{} // signals a change of the delivery proof
	proofState publish.ProofState
	repeats    *host.Repeats
	stats      stats
	memory     *memory
	steady     time.Duration // suspectSteady

	suspect poison
	asked   uint64                       // the position that was announced as set aside last
	current atomic.Pointer[publish.Conn] // the connection of the moment, nil = none
}

// New makes a drainer; nothing runs yet. The client's OnProof must call Proof, and
// Client must be set before Run.
func New(o Options) *Drainer {
	return &Drainer{
		Options: o, pace: newPace(o.ReplayRate), proof: make(chan struct{}, 1), repeats: host.NewRepeats(o.Log),
		stats: stats{acked: map[string]uint64{}}, memory: newMemory(o.Endpoints), steady: suspectSteady,
	}
}

// Connected tells whether a broker accepts records now.
func (d *Drainer) Connected() bool { return d.Client.Status().State == publish.Connected }

// Run connects, drains and connects again until ctx ends. grace bounds what is
// done after that: settle what is in flight, say "offline", disconnect.
func (d *Drainer) Run(ctx context.Context, grace context.Context) {
	for ctx.Err() == nil {
		d.Heartbeat.Beat()
		conn, err := d.Client.Connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.repeats.Failed("connect to broker", err, "hint", health.Hint(err))
			}
			d.wait(ctx)
			continue
		}
		d.repeats.Worked("connect to broker")
		s := &session{Drainer: d, conn: conn}
		d.current.Store(conn)
		s.run(ctx, grace)
		d.current.Store(nil)
		if ctx.Err() != nil {
			if err := conn.Close(grace); err != nil {
				d.Log.Warn("leave the broker", "err", err)
			}
			s.settle() // what was confirmed while leaving
			return
		}
		d.lost(s)
		d.wait(ctx)
	}
}

// wait pauses before the next connection.
func (d *Drainer) wait(ctx context.Context) {
	t := time.NewTimer(d.Client.Backoff())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// lost looks at why a connection ended. A record that stood first in line when
// poisonAfter connections in a row were lost is set aside.
func (d *Drainer) lost(s *session) {
	var why *publish.Error
	if !errors.As(s.conn.Err(), &why) || why.Class == publish.ClassProbe {
		return
	}
	d.repeats.Failed("connection to broker", why, "hint", why.Hint)
	if why.Class != publish.ClassLost && why.Class != publish.ClassDropped || len(s.flight) == 0 {
		return // also given up for silence: that is the network's or the broker's fault, not a record's
	}
	head := s.flight[0]
	if d.suspect.waits(head.pos) && time.Since(s.began) < d.steady {
		return // the connection died by itself: the record was not even sent
	}
	if d.suspect.lost(head.pos, s.flight[len(s.flight)-1].pos) {
		d.quarantine(head, "connection lost 3 times in a row while this record was first in line")
	}
}

// quarantine sets a record aside so that the queue goes on. It is announced
// first: the record leaves the queue when the announcement is on disk, so that no
// kill can take one without the other.
func (d *Drainer) quarantine(r inflight, reason string) {
	if d.asked == r.pos {
		return
	}
	aside := func() {
		if err := d.Queue.Quarantine(r.pos, reason); err != nil && !errors.Is(err, buffer.ErrNotFound) {
			d.repeats.Failed("set record aside", err)
		}
	}
	if !d.Announce(quarantinedEvent(time.Now(), r, reason, aside)) {
		return
	}
	d.asked = r.pos
	d.Log.Error("record set aside", "lane", r.lane, "seq", r.num, "reason", reason,
		"hint", "the broker may limit the packet size; see 'roomcall buffer info'")
}

// quarantinedEvent announces a record that the broker does not accept.
func quarantinedEvent(at time.Time, r inflight, reason string, then func()) record.Event {
	device, kind, _ := strings.Cut(r.lane, "/")
	return record.Event{AgentEvent: report.AgentEvent{
		Type: "agent.quarantined", Device: device, Kind: kind,
		FirstSeq: r.num, LastSeq: r.num, Count: 1, Reason: reason,
	}, At: at, Then: then}
}

// Proof logs the result of a delivery proof, a lasting doubt as a warning only at
// its start, and announces a failed one once for as long as it lasts. "Pending",
// between two connections, decides nothing.
func (d *Drainer) Proof(p publish.Proof) {
	defer func() {
		select {
		case d.proof <- struct{}{}:
		default:
		}
	}()
	if p.State == publish.ProofPending {
		return
	}
	d.stats.mu.Lock()
	changed := d.proofState != p.State
	d.proofState = p.State
	d.stats.mu.Unlock()
	switch {
	case p.State == publish.ProofFailed:
		d.Log.Error("delivery proof failed, records are kept", "detail", p.Detail, "hint", p.Hint)
		if changed {
			d.Announce(record.Event{AgentEvent: report.AgentEvent{
				Type: "agent.undelivered", Reason: string(p.State), Text: p.Detail, Since: p.Since,
			}, At: time.Now()})
		}
	case p.State == publish.ProofUnproven && changed:
		d.Log.Warn("delivery unproven", "detail", p.Detail, "hint", p.Hint)
	default:
		d.Log.Info("delivery "+string(p.State), "detail", p.Detail)
	}
}

// Conn is the connection of the moment, nil = none.
func (d *Drainer) Conn() *publish.Conn { return d.current.Load() }

// Stats is what the broker confirmed since the start of this process.
type Stats struct {
	Acked       uint64
	AckedByKind map[string]uint64
}

// Stats is a snapshot.
func (d *Drainer) Stats() Stats {
	d.stats.mu.Lock()
	defer d.stats.mu.Unlock()
	return Stats{Acked: d.stats.total, AckedByKind: maps.Clone(d.stats.acked)}
}

type stats struct {
	mu    sync.Mutex
	acked map[string]uint64 // records by kind
	total uint64
}

func (s *stats) delivered(lane string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked[record.Kind(lane)]++
	s.total++
}
