package run

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/agent/web"
	"roomcall/buffer"
)

// agentOn is an agent without endpoints and without a broker whose commits wait for
// disk.
func agentOn(t *testing.T, disk func(), log *slog.Logger) *Agent {
	t.Helper()
	cfg := loadText(t, `http_listen = ""`)
	opts := StoreOptions(cfg)
	opts.Uptime = func() (string, time.Duration) { // each commit asks for it
		disk()
		return "boot", time.Hour
	}
	q, err := buffer.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{version: "test", cfg: cfg, log: log, started: time.Now(), newest: record.NewNewest(1), history: web.NewHistory(nil), queue: q}
	for _, step := range []func() error{a.makeReporter, a.makeRecorder, a.makeDrainer} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	a.page = page{source: a, log: log}
	return a
}

// TestAStopOnADiskThatHangsEnds: the stop, and a reload, end with an error that says what
// was not closed, so that the process ends and, after a reload, is started again. A
// mutex that is held stops fake time, so it is real.
func TestAStopOnADiskThatHangsEnds(t *testing.T) {
	for name, end := range map[string]func(*Supervisor, context.CancelFunc){
		"stop":   func(_ *Supervisor, stop context.CancelFunc) { stop() },
		"reload": func(s *Supervisor, _ context.CancelFunc) { s.AskReload() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, back := &hosttest.Log{}, make(chan struct{})
			var hangs, hung atomic.Bool
			a := agentOn(t, func() {
				if hangs.Load() {
					hung.Store(true)
					<-back
				}
			}, log.Logger())
			s := NewSupervisor("test", func() (*config.Config, []config.Warning, error) { return a.cfg, nil, nil }, nil)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() {
				_, err := s.runUntilReload(ctx, a, func() {})
				ended <- err
			}()
			hosttest.WaitFor(t, "the agent runs", func() (bool, string) {
				return a.recorder.Stats().Appended > 0, log.String()
			})
			hangs.Store(true)
			a.recorder.Announce(record.Event{At: time.Now(), AgentEvent: report.AgentEvent{Type: "agent.started", Reason: "x"}})
			hosttest.WaitFor(t, "the disk hangs", func() (bool, string) { return hung.Load(), log.String() })
			end(s, stop)
			var err error
			hosttest.WaitFor(t, "the end", func() (bool, string) {
				select {
				case err = <-ended:
					return true, ""
				default:
					return false, log.String()
				}
			})
			if err == nil || !strings.Contains(err.Error(), "was not closed") || log.Count("close store") != 1 {
				t.Errorf("it ended with %v\n%s", err, log)
			}
			hangs.Store(false)
			close(back)
			_ = a.queue.Close() // returns when the other Close has
		})
	}
}

// TestALoopThatDoesNotEndEndsWithTheProcess: one that waits for the disk, for instance.
func TestALoopThatDoesNotEndEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	log, back := &hosttest.Log{}, make(chan struct{})
	a := agentOn(t, func() {}, log.Logger())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := NewSupervisor("test", nil, nil).runUntilReload(ctx, a, func() { <-back })
	if err == nil || !strings.Contains(err.Error(), "has not stopped") || log.Count("msg=stop") != 1 {
		t.Errorf("it ended with %v\n%s", err, log)
	}
	close(back)
}

// TestAReloadForgetsNothingThatIsToBeAnnounced: neither what was missed, nor that the store
// was announced as failing, nor since when there is no broker.
func TestAReloadForgetsNothingThatIsToBeAnnounced(t *testing.T) {
	log := &hosttest.Log{}
	cfg := loadText(t, `http_listen = ""`)
	before, err := New(t.Context(), "test", cfg, nil, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	ev := record.Event{At: time.Now(), AgentEvent: report.AgentEvent{Type: "agent.started"}}
	for before.recorder.Announce(ev) { // until the way to the recorder is full
	}
	before.failing.Type = "agent.store_failing"
	before.away = time.Now().Add(-time.Hour)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := newAgent(t.Context(), "test", cfg, nil, log.Logger(), before)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if missed := a.recorder.Stats().Missed; len(missed) != 1 || missed[0].Count != 1 {
		t.Errorf("missed %+v", missed)
	}
	if n := a.newHealthLoop(); n.failing.Type != "agent.store_failing" {
		t.Error("agent.store_failing will not be closed")
	}
	if since := a.Status().Broker.Since; !since.Equal(before.away) {
		t.Errorf("without a broker since %v, want %v", since, before.away)
	}
}
