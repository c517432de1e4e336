package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

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

// drainer brings the store's records to the broker, oldest first, and removes
// a record only on the broker's positive acknowledgement. The newest sample of
// each device goes beside the queue to its state topic.
type drainer struct {
	queue    *buffer.Queue
	client   *publish.Client
	live     *live
	window   int
	pace     pace
	proof    chan struct{} // signals a change of the delivery proof
	announce func(agentEvent) bool
	log      *slog.Logger
	repeats  *repeats
	beat     beat
	stats    *deliveryStats
	memory   *memory
	steady   time.Duration // suspectSteady

	suspect poison
	asked   uint64                       // the position that was announced as set aside last
	current atomic.Pointer[publish.Conn] // the connection of the moment, nil = none
}

// connected tells whether a broker takes records now.
func (d *drainer) connected() bool { return d.client.Status().State == publish.Connected }

// run connects, drains and connects again until ctx ends. grace bounds what is
// done after that: settle what is in flight, say "offline", disconnect.
func (d *drainer) run(ctx context.Context, grace context.Context) {
	for ctx.Err() == nil {
		d.beat.now()
		conn, err := d.client.Connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.repeats.failed("connect to broker", err, "hint", hintOf(err))
			}
			d.wait(ctx)
			continue
		}
		d.repeats.worked("connect to broker")
		s := &session{drainer: d, conn: conn}
		d.current.Store(conn)
		s.run(ctx, grace)
		d.current.Store(nil)
		if ctx.Err() != nil {
			if err := conn.Close(grace); err != nil {
				d.log.Warn("leave the broker", "err", err)
			}
			s.settle() // what was confirmed while leaving
			return
		}
		d.lost(s)
		d.wait(ctx)
	}
}

// wait pauses before the next connection.
func (d *drainer) wait(ctx context.Context) {
	t := time.NewTimer(d.client.Backoff())
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// lost looks at why a connection ended. A record that stood first in line when
// poisonAfter connections in a row were lost is set aside.
func (d *drainer) lost(s *session) {
	var why *publish.Error
	if !errors.As(s.conn.Err(), &why) || why.Class == publish.ClassProbe {
		return
	}
	d.repeats.failed("connection to broker", why, "hint", hintOf(why))
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
func (d *drainer) quarantine(r inflight, reason string) {
	if d.asked == r.pos {
		return
	}
	aside := func() {
		if err := d.queue.Quarantine(r.pos, reason); err != nil && !errors.Is(err, buffer.ErrNotFound) {
			d.repeats.failed("set record aside", err)
		}
	}
	if !d.announce(quarantinedEvent(time.Now(), r, reason, aside)) {
		return
	}
	d.asked = r.pos
	d.log.Error("record set aside", "lane", r.lane, "seq", r.num, "reason", reason,
		"hint", "the broker may limit the packet size; see 'roomcall buffer info'")
}
