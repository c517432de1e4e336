package main

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"roomcall/agent/report"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/cgi"
)

// pollStats is what is known of one endpoint's polls, for status and readiness.
type pollStats struct {
	mu   sync.Mutex
	view web.Endpoint
	next time.Time // monotonic
}

func (s *pollStats) nextPoll() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// done takes a finished poll, when the next is due and how many were skipped.
func (s *pollStats) done(p report.Poll, due time.Time, interval time.Duration, skipped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &s.view
	s.next = due
	v.LastPoll, v.NextPoll, v.IntervalS = p.At, due, interval.Seconds()
	v.PollMs = float64(p.Took.Microseconds()) / 1000
	v.Polls++
	v.Skipped += uint64(skipped)
	v.NotUnderstood = len(p.Status.NotUnderstood)
	if p.Err != nil {
		v.Failures++
		v.InCall = false
		v.State, v.Err, v.Hint = failureText(p.Err)
		return
	}
	v.LastOK, v.Err, v.Hint = p.At, "", ""
	v.SourceAPI = p.Status.SourceAPI
	if p.Status.Model != "" {
		v.Model = p.Status.Model
	}
	v.InCall = p.Status.Call == cgi.CallActive
	v.State = callWord(p.Status.Call)
}

func callWord(c cgi.CallState) string {
	switch c {
	case cgi.CallActive:
		return "in_call"
	case cgi.CallIdle:
		return "idle"
	default:
		return ""
	}
}

func failureText(err error) (state, text, hint string) {
	var failure *cgi.Error
	if errors.As(err, &failure) {
		return failure.Kind.String(), failure.Error(), failure.Hint
	}
	return cgi.KindError.String(), err.Error(), ""
}

// snapshot is the endpoint's part of the status; newest is its newest accepted
// sample, which brings the call and its grade.
func (s *pollStats) snapshot(newest json.RawMessage) web.Endpoint {
	s.mu.Lock()
	v := s.view
	s.mu.Unlock()
	v.Sample = newest
	var meaning struct {
		CallID       string `json:"call_id"`
		Grade        string `json:"grade"`
		GradeReasons string `json:"grade_reasons"`
	}
	if v.Err == "" && newest != nil && json.Unmarshal(newest, &meaning) == nil {
		v.CallID, v.Grade, v.GradeReasons = meaning.CallID, meaning.Grade, meaning.GradeReasons
	}
	return v
}

// recordStats counts what the recorder did.
type recordStats struct {
	mu       sync.Mutex
	appended map[string]uint64 // records by kind
	total    uint64
	lost     uint64 // polls and events that were never accepted
	evicted  uint64 // records that a limit removed undelivered
	held     int
	err      error
	steps    uint64
	lastStep time.Time
	stepBy   time.Duration
}

func newRecordStats() *recordStats { return &recordStats{appended: map[string]uint64{}} }

func (s *recordStats) accepted(records []buffer.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range records {
		s.appended[laneKind(rec.Lane)]++
	}
	s.total += uint64(len(records))
}

// refused counts polls or events that could not be held until the disk takes
// them; they were never accepted.
func (s *recordStats) refused(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += uint64(n)
}

// gone counts the records of a committed eviction.
func (s *recordStats) gone(ev *buffer.Eviction) {
	if ev == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range ev.Gaps {
		s.evicted += g.Count
	}
}

func (s *recordStats) holding(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = n
}

func (s *recordStats) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *recordStats) stepped(at time.Time, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps++
	s.lastStep, s.stepBy = at, by
}

// deliveryStats counts what the drain got acknowledged.
type deliveryStats struct {
	mu    sync.Mutex
	acked map[string]uint64 // records by kind
	total uint64
}

func newDeliveryStats() *deliveryStats { return &deliveryStats{acked: map[string]uint64{}} }

func (s *deliveryStats) delivered(lane string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked[laneKind(lane)]++
	s.total++
}

// fill adds what the drain knows.
func (s *deliveryStats) fill(st *web.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Buffer.Acked, st.Broker.Acked = s.total, s.total
	st.Buffer.AckedByKind = maps.Clone(s.acked)
}

// laneKind is the kind in "<device>/<kind>".
func laneKind(lane string) string {
	_, kind, _ := strings.Cut(lane, "/")
	return kind
}
