package record

import (
	"encoding/json"
	"fmt"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// checkDamage takes note of what was found broken in the store. The next commit
// announces it; the store keeps its report until then.
func (r *Recorder) checkDamage() {
	all := r.store.Damage()
	for _, d := range all[r.damages:] {
		r.log.Error("store damaged", "segment", d.Segment, "reason", d.Reason,
			"salvaged", d.Salvaged, "lost", d.Lost, "lost_known", !d.Reset, "kept_as", d.KeptAs)
		r.pending.damage = append(r.pending.damage, d)
	}
	r.damages = len(all)
}

// partialKey is the key of partial among the store's states; no device can have this
// name.
const partialKey = ".damage"

// partial says how many announcements of a damage are committed, while they are not
// all: a damage can name thousands of gaps, and a commit is bounded.
type partial struct {
	Segment string    `json:"segment"`
	At      time.Time `json:"at"`
	Done    int       `json:"done"`
}

// damage announces damages, going on where the last commit ended. The store keeps
// its report until the batch with the last announcement is committed.
func (b *batch) damage(list []buffer.Damage) (err error) {
	portion := announceMax
	for _, d := range list {
		all := damageEvents(d)
		done := 0
		if b.partial.Segment == d.Segment && b.partial.At.Equal(d.At) {
			done = min(b.partial.Done, len(all))
		}
		n := min(portion, len(all)-done)
		for _, ev := range all[done : done+n] {
			seq := b.event(ev)
			if ev.Type == "agent.gap" && len(b.gaps) < rememberMax {
				b.gaps = append(b.gaps, gap{Topic: topicOf(ev.Device, ev.Kind), First: ev.FirstSeq, Last: ev.LastSeq,
					Count: ev.Count, Reason: ev.Reason, Seq: seq})
				b.gapsChanged = true
			}
		}
		portion -= n
		if done+n < len(all) {
			b.partial = partial{d.Segment, d.At, done + n}
			break
		}
		b.partial = partial{}
		b.out.Damage = append(b.out.Damage, d)
	}
	if b.partial == b.last.partial {
		return nil
	}
	b.out.State[partialKey] = nil // removes it
	if b.partial != (partial{}) {
		b.out.State[partialKey], err = json.Marshal(b.partial)
	}
	return err
}

// LostText tells how many records a broken file lost. With the newest state gone
// (reset) nothing tells how many there were: the number is only the least.
func LostText(lost uint64, reset bool) string {
	switch {
	case reset && lost == 0:
		return "how many are lost is not known"
	case reset:
		return fmt.Sprintf("at least %d lost", lost)
	default:
		return fmt.Sprintf("%d lost", lost)
	}
}

// damageEvents announce a broken segment: what was salvaged and, topic by topic
// as far as that is known, what was not.
func damageEvents(d buffer.Damage) []Event {
	text := fmt.Sprintf("%s: %d records salvaged, %s", d.Segment, d.Salvaged, LostText(d.Lost, d.Reset))
	if d.KeptAs != "" {
		text += "; the broken file is kept as " + d.KeptAs
	}
	out := []Event{{AgentEvent: report.AgentEvent{Type: "agent.store_damaged", Count: d.Lost, Reason: d.Reason, Detail: text}, At: d.At}}
	for _, g := range d.Gaps {
		out = append(out, gapEvent(d.At, g))
	}
	if d.Reset {
		out = append(out, Event{AgentEvent: report.AgentEvent{
			Type: "agent.store_reset", Reason: d.Reason,
		}, At: d.At})
	}
	return out
}
