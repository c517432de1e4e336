package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/report"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/cgi"
)

// newTestRecorder makes the recorder of a config over a store, as the agent does.
func newTestRecorder(t *testing.T, cfg *config.Config, q *buffer.Queue) *recorder {
	t.Helper()
	a := &agent{cfg: cfg, log: slog.New(slog.DiscardHandler), queue: q, live: newLive(len(cfg.Endpoints))}
	for _, step := range []func() error{a.makeReporter, a.makeRecorder} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return a.recorder
}

// logText collects log lines.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *logText) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// fakeEndpoint answers polls by a script and notes when it was asked.
type fakeEndpoint struct {
	answer func(n int) (cgi.Status, time.Duration, error) // n from 0; how long it takes

	mu     sync.Mutex
	polls  []time.Time
	alive  []time.Time
	open   int
	doubly bool // two polls at one time
}

func (e *fakeEndpoint) Poll(ctx context.Context) (cgi.Status, error) {
	e.mu.Lock()
	n := len(e.polls)
	e.polls = append(e.polls, time.Now())
	e.open++
	e.doubly = e.doubly || e.open > 1
	e.mu.Unlock()
	defer func() { e.mu.Lock(); e.open--; e.mu.Unlock() }()
	st, took, err := e.answer(n)
	select {
	case <-time.After(took):
		return st, err
	case <-ctx.Done():
		return cgi.Status{}, &cgi.Error{Kind: cgi.KindUnreachable, Reason: "timeout", Err: ctx.Err()}
	}
}

func (e *fakeEndpoint) KeepAlive(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.alive = append(e.alive, time.Now())
	return nil
}

func (e *fakeEndpoint) Close(context.Context) error { return nil }

// asked gives the times of the polls since start.
func (e *fakeEndpoint) asked(start time.Time) []time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []time.Duration
	for _, at := range e.polls {
		out = append(out, at.Sub(start))
	}
	return out
}

var (
	idleStatus   = cgi.Status{Call: cgi.CallIdle, SourceAPI: "WEB_GetMultiCallStatusInfoAPI"}
	activeStatus = cgi.Status{
		Call: cgi.CallActive, SourceAPI: "WEB_GetMultiCallStatusInfoAPI",
		AudioSend: cgi.Stream{Active: true, BitrateKbps: cgi.Known(64)},
	}
	errUnreachable = &cgi.Error{Kind: cgi.KindUnreachable, Reason: "connection_refused", Err: errors.New("refused")}
)

// newTestPoller polls e every 5 s in a call and every 15 s outside, on ticks
// that began an hour and 2 s ago.
func newTestPoller(e endpoint, deliver func(report.Poll)) *poller {
	return &poller{
		device: "room-1", client: e, inCall: 5 * time.Second, idle: 15 * time.Second, timeout: 8 * time.Second,
		slots: make(chan struct{}, 2), origin: time.Now().Add(-time.Hour - 2*time.Second),
		deliver: deliver, round: &round{}, repeats: newRepeats(slog.New(slog.DiscardHandler)), stats: &pollStats{view: web.Endpoint{Device: "room-1"}},
	}
}

// fakeStore keeps batches; hooks make it fail, block or evict.
type fakeStore struct {
	appendHook func(buffer.Batch) error
	due        func() *buffer.Eviction
	damage     func() []buffer.Damage

	mu      sync.Mutex
	batches []buffer.Batch
}

func (s *fakeStore) Append(b buffer.Batch) error {
	if s.appendHook != nil {
		if err := s.appendHook(b); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, b)
	return nil
}

func (s *fakeStore) Due(time.Time, int64) *buffer.Eviction {
	if s.due == nil {
		return nil
	}
	return s.due()
}

// Waits: nothing is ever delivered here.
func (s *fakeStore) Waits() bool { return true }

func (s *fakeStore) Damage() []buffer.Damage {
	if s.damage == nil {
		return nil
	}
	return s.damage()
}

// records are all accepted records, in order.
func (s *fakeStore) records() []buffer.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []buffer.Record
	for _, b := range s.batches {
		out = append(out, b.Records...)
	}
	return out
}

func (s *fakeStore) lane(name string) []buffer.Record {
	var out []buffer.Record
	for _, rec := range s.records() {
		if rec.Lane == name {
			out = append(out, rec)
		}
	}
	return out
}

func (s *fakeStore) commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.batches)
}

// fields reads a payload.
func fields(t *testing.T, payload []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(payload, &m); err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	return m
}

// numbered fails the test unless a lane's numbers are 1, 2, 3 ... and its times
// do not go back.
func numbered(t *testing.T, list []buffer.Record) {
	t.Helper()
	for i, rec := range list {
		if rec.Num != uint64(i+1) {
			t.Fatalf("record %d of %s has the number %d", i, rec.Lane, rec.Num)
		}
		if i > 0 && rec.Time.Before(list[i-1].Time) {
			t.Fatalf("record %d of %s is older than the one before it", i, rec.Lane)
		}
	}
}

// recorderOver makes a recorder over a store for three rooms.
func recorderOver(t *testing.T, s store, log *slog.Logger) *recorder {
	t.Helper()
	settings := report.Settings{ClientID: "pc", Epoch: 1, Kinds: []string{"sample", "stream", "event", "call", "minute"}}
	for _, name := range []string{"room-1", "room-2", "room-3"} {
		settings.Devices = append(settings.Devices, report.Device{Name: name, PollInterval: 5 * time.Second, IdleInterval: 15 * time.Second})
	}
	reporter, err := report.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &recorder{
		reporter: reporter, store: s, states: map[string]report.State{}, round: &round{},
		polls: make(chan report.Poll, 64), events: make(chan agentEvent, 64),
		live: newLive(3), stats: newRecordStats(), log: log, repeats: newRepeats(log),
	}
}

// polled hands a poll of a room to the recorder, as a poller does.
func (r *recorder) polled(device string, st cgi.Status, err error) {
	r.round.begin()
	r.submit(report.Poll{Device: device, At: time.Now(), Took: time.Millisecond, Status: st, Err: err})
}
