package poll

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/cgi"
)

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

// newTestLoop polls e every 5 s in a call and every 15 s outside, on ticks that
// began an hour and 2 s ago.
func newTestLoop(e Endpoint, r Recorder) *Loop {
	return &Loop{
		Config: Config{Device: "room-1", Endpoint: e, InCallEvery: 5 * time.Second, IdleEvery: 15 * time.Second, Timeout: 8 * time.Second},
		slots:  make(chan struct{}, 2), origin: time.Now().Add(-time.Hour - 2*time.Second),
		recorder: r, repeats: host.NewRepeats(slog.New(slog.DiscardHandler)),
	}
}

// fakeRecorder counts what it is told.
type fakeRecorder struct {
	mu     sync.Mutex
	polls  []report.Poll
	others []int // how many were under way with each
}

func (r *fakeRecorder) Submit(p report.Poll, others int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polls, r.others = append(r.polls, p), append(r.others, others)
}
