package poll

import (
	"errors"
	"sync"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/report"
	"roomcall/cgi"
)

// Stats is what is known of one endpoint's polls.
type Stats struct {
	// State is idle, in_call, unreachable, refused, busy, upgrading or error;
	// "" before the first poll and while the call state is unknown.
	State     string
	InCall    bool
	Model     string
	SourceAPI string
	// Err is of the newest poll; Advice is what to do about it, and without Err what to
	// look at all the same.
	Err    string
	Advice health.Advice
	// AdviceSince is since when there is that advice without an Err, zero = there is none.
	AdviceSince time.Time

	LastPoll time.Time     // end of the newest poll, with its monotonic reading
	LastOK   time.Time     // end of the newest good one
	NextPoll time.Time     // when the next is due
	Interval time.Duration // in force now
	Took     time.Duration // how long the newest poll took

	Polls    uint64
	Failures uint64
	Skipped  uint64 // ticks left out because a poll was still running
	// NotUnderstood counts the values of the newest poll that were there but
	// could not be read.
	NotUnderstood int
}

// stats guards a loop's Stats.
type stats struct {
	mu sync.Mutex
	s  Stats
}

// Stats is a snapshot.
func (p *Loop) Stats() Stats {
	p.stats.mu.Lock()
	defer p.stats.mu.Unlock()
	return p.stats.s
}

// done notes a finished poll, when the next is due and how many were skipped.
func (s *stats) done(p report.Poll, due time.Time, interval time.Duration, skipped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &s.s
	v.LastPoll, v.NextPoll, v.Interval, v.Took = p.At, due, interval, p.Took
	v.Polls++
	v.Skipped += uint64(skipped)
	v.NotUnderstood = len(p.Status.NotUnderstood)
	if p.Err != nil {
		v.Failures++
		v.InCall, v.AdviceSince = false, time.Time{}
		v.State, v.Err, v.Advice = cgi.KindError.String(), p.Err.Error(), health.AdviceOf(p.Err)
		var failure *cgi.Error
		if errors.As(p.Err, &failure) {
			v.State = failure.Kind.String()
		}
		return
	}
	v.LastOK, v.Err = p.At, ""
	before := v.Advice.Code
	v.Advice = health.Advice{}
	if w := p.Status.Warning(); w != nil {
		v.Advice = health.AdviceOf(w)
	}
	switch {
	case v.Advice.Code == "":
		v.AdviceSince = time.Time{}
	case v.Advice.Code != before || v.AdviceSince.IsZero():
		v.AdviceSince = p.At
	}
	v.SourceAPI = p.Status.SourceAPI
	if p.Status.Model != "" {
		v.Model = p.Status.Model
	}
	v.InCall = p.Status.Call == cgi.CallActive
	v.State = map[cgi.CallState]string{cgi.CallActive: "in_call", cgi.CallIdle: "idle"}[p.Status.Call]
}
