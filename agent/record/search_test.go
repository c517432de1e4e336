package record

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/agent/report"
	"roomcall/buffer"
)

// rejecting is a recorder with n polls and an event, whose store rejects what it is told
// to, and what the store was asked: how many records and whether there were extras.
func rejecting(t *testing.T, n int, rejects func(buffer.Batch) bool) (r *Recorder, s *fakeStore, asked *[]string) {
	asked = &[]string{}
	s = &fakeStore{appendHook: func(b buffer.Batch) error {
		what := fmt.Sprint(len(b.Records))
		if b.State[".run"] != nil {
			what += " and extras"
		}
		*asked = append(*asked, what)
		if rejects(b) {
			return fmt.Errorf("append: %w", buffer.ErrRefused)
		}
		return nil
	}}
	r = recorderOver(t, s, nil)
	r.pending.keep(".run", []byte("x"))
	r.pending.holdEvent(started())
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range n {
		r.pending.hold(&report.Poll{Device: "room-1", At: at.Add(time.Duration(i) * time.Second / 100), Status: idleStatus})
	}
	return r, s, asked
}

func TestAStoreThatRejectsWhateverItIsGivenIsAskedAFewTimesAndAllKeepsItsPlace(t *testing.T) {
	r, _, asked := rejecting(t, 100, func(buffer.Batch) bool { return true })
	if r.commit(time.Now()) {
		t.Fatal("accepted")
	}
	if len(*asked) > 8+suspectsMax { // halves of a hundred, then one by one
		t.Errorf("asked %d times: %v", len(*asked), *asked)
	}
	if len(r.pending.events) != 1 || len(r.pending.polls) != 100 || r.missedTotal() != 0 {
		t.Errorf("%d events and %d polls are left, %d missed", len(r.pending.events), len(r.pending.polls), r.missedTotal())
	}
	if !slices.IsSortedFunc(r.pending.polls, func(a, b *report.Poll) int { return a.At.Compare(b.At) }) {
		t.Error("the polls are out of order")
	}
	if !errors.Is(r.Stats().Err, buffer.ErrRefused) {
		t.Errorf("it fails because of %v", r.Stats().Err)
	}
}

func TestWhatComesBesidePollsIsNoReasonToLeaveThemOut(t *testing.T) {
	r, s, asked := rejecting(t, 1, func(b buffer.Batch) bool { return b.State[".run"] != nil })
	r.pending.events = nil
	r.commit(time.Now())
	if len(s.lane("room-1/sample")) != 1 || r.missedTotal() != 0 {
		t.Errorf("the poll is left out: %v", *asked)
	}
}

func TestAfterTheRecordThatIsRejectedCommitsGrowAgain(t *testing.T) {
	r, s, asked := rejecting(t, 1500, func(b buffer.Batch) bool {
		return slices.ContainsFunc(b.Records, func(rec buffer.Record) bool { return strings.Contains(string(rec.Payload), `"agent.started"`) })
	})
	if !r.commit(time.Now()) || len(s.lane("room-1/sample")) != 1500 || r.missedTotal() != 1 {
		t.Fatalf("%d samples, %d missed", len(s.lane("room-1/sample")), r.missedTotal())
	}
	if len(*asked) > 30 {
		t.Errorf("asked %d times: %v", len(*asked), *asked)
	}
	alone := slices.Index(*asked, "1")
	if alone < 1 || strings.Contains(strings.Join((*asked)[1:alone], ","), "extras") {
		t.Errorf("extras while the record is looked for: %v", *asked)
	}
	if behind := (*asked)[max(alone, 0) : len(*asked)-1]; !strings.Contains(strings.Join(behind, ","), "extras") {
		t.Errorf("the extras wait until all is tried: %v", *asked)
	}
}
