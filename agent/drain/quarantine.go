package drain

import (
	"errors"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/buffer"
)

// quarantining is the record that is being quarantined, or was last.
//
//	wanted ──▶ asked ──▶ announced ──▶ done
//	   ▲         │           └── the store failed: again after readRetry
//	   └─────────┘ the announcement was lost
//
// An event of the agent's own begins as announced: its announcement would be the next
// such event, and the broker that rejects the one rejects the other, without an end.
type quarantining struct {
	inflight
	reason string
	step   step
	tried  time.Time // when the store failed to quarantine it
}

type step int

const (
	stepWanted    step = iota // its announcement is not under way
	stepAsked                 // the recorder has its announcement
	stepAnnounced             // its announcement is on disk: the store may quarantine it
	stepDone                  // it is in the quarantine
)

// quarantine takes a record out of the queue so that the queue goes on, once its
// announcement is on disk: so no kill can take the record without the announcement.
// What fails is tried again when this is called again.
func (d *Drainer) quarantine(r inflight, reason string) {
	d.mu.Lock()
	q := &d.quarantining
	if q.pos != r.pos {
		*q = quarantining{inflight: r, reason: reason}
		if r.topic == record.OwnEvents {
			q.step = stepAnnounced
		}
	}
	announce := q.step == stepWanted
	if announce {
		q.step = stepAsked
	}
	d.mu.Unlock()
	if announce {
		d.announceQuarantine(r, reason)
	}
	d.finishQuarantine()
}

// announceQuarantine hands the announcement to the recorder, whose goroutine only notes
// here what became of it: the store is the drain loop's to wait for.
func (d *Drainer) announceQuarantine(r inflight, reason string) {
	settled := func(onDisk bool) {
		d.mu.Lock()
		if d.quarantining.pos == r.pos {
			d.quarantining.step = stepWanted
			if onDisk {
				d.quarantining.step = stepAnnounced
			}
		}
		d.mu.Unlock()
		select {
		case d.announced <- struct{}{}:
		default:
		}
	}
	if !d.Announce(record.Event{
		At: time.Now(),
		AgentEvent: report.AgentEvent{
			Type: "agent.quarantined", Device: record.Device(r.topic), Kind: record.Kind(r.topic),
			FirstSeq: r.seq, LastSeq: r.seq, Count: 1, Reason: reason,
		},
		Done: settled,
	}) {
		settled(false)
		return
	}
	d.Log.Error("the broker does not accept a record: it goes to the quarantine", "topic", r.topic, "seq", r.seq, "reason", reason)
}

// finishQuarantine has the store quarantine the record that is announced, if one is.
func (d *Drainer) finishQuarantine() {
	d.mu.Lock()
	q := d.quarantining
	d.mu.Unlock()
	if q.step != stepAnnounced || time.Since(q.tried) < readRetry {
		return
	}
	if err := d.Queue.Quarantine(q.pos, q.reason); err != nil && !errors.Is(err, buffer.ErrNotFound) {
		q.tried = time.Now()
		d.repeats.Failed("quarantine record", err)
	} else {
		q.step = stepDone
		d.repeats.Worked("quarantine record")
		d.Log.Error("record quarantined", "position", q.pos, "reason", q.reason, "hint", health.English.HintFor("store_quarantined", nil))
	}
	d.mu.Lock()
	d.quarantining = q
	d.mu.Unlock()
}
