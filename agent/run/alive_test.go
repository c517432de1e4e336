package run

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/drain"
	"roomcall/agent/poll"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/cgi"
)

// stuck answers once, and then never again until it is let go.
type stuck struct {
	polls atomic.Int32
	leave chan struct{}
}

func (e *stuck) Poll(context.Context) (cgi.Status, error) {
	if e.polls.Add(1) > 1 {
		<-e.leave
	}
	return cgi.Status{Call: cgi.CallIdle}, nil
}
func (*stuck) KeepAlive(context.Context) error { return nil }
func (*stuck) Close(context.Context) error     { return nil }

// sink is a recorder that throws everything away.
type sink struct{}

func (sink) Submit(report.Poll, int) {}

// moving is an agent whose loops have beaten just now, for a test on fake time.
func moving(t *testing.T) *Agent {
	a := &Agent{cfg: &config.Config{Agent: config.Agent{DataDir: t.TempDir()}}, recorder: &record.Recorder{}, drainer: &drain.Drainer{}}
	t.Cleanup(synctest.Wait) // the mark may be on its way into the folder, which goes after this
	a.recorder.Heartbeat.Beat()
	a.drainer.Heartbeat.Beat()
	return a
}

func TestTheLoopThatDoesNotMoveIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		patience time.Duration
		beats    func(*Agent) // of the loops that do move
		want     string
	}{
		"recorder": {recorderPatience, func(a *Agent) { a.drainer.Heartbeat.Beat() }, "recorder"},
		"drain":    {drainPatience, func(a *Agent) { a.recorder.Heartbeat.Beat() }, "drain"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := moving(t)
				mark := filepath.Join(a.cfg.Agent.DataDir, watchdogFile)
				time.Sleep(c.patience)
				c.beats(a)
				if err := a.Alive(); err != nil {
					t.Errorf("after exactly the patience: %v", err)
				}
				time.Sleep(time.Second)
				c.beats(a)
				if err := a.Alive(); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("the watchdog hears %v", err)
				}
				synctest.Wait() // the mark is written beside the beat
				if text, err := os.ReadFile(mark); err != nil || !strings.Contains(string(text), c.want) {
					t.Errorf("the next start finds %q, %v", text, err)
				}
				a.recorder.Heartbeat.Beat()
				a.drainer.Heartbeat.Beat()
				if err := a.Alive(); err != nil {
					t.Errorf("moving again: %v", err)
				}
				synctest.Wait()
				if _, err := os.Stat(mark); !os.IsNotExist(err) {
					t.Errorf("the mark of a loop that moves again: %v", err)
				}
			})
		})
	}
}

func TestThePollThatDoesNotEndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, e := moving(t), &stuck{leave: make(chan struct{})}
		const interval, timeout = 5 * time.Second, 8 * time.Second
		a.pollers = poll.New([]poll.Config{{Device: "hub", Endpoint: e, InCallEvery: interval, IdleEvery: interval, Timeout: timeout}}, sink{}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { a.pollers[0].Run(ctx); close(ended) }()
		alive := func() error {
			a.recorder.Heartbeat.Beat()
			a.drainer.Heartbeat.Beat()
			return a.Alive()
		}
		time.Sleep(2 * interval)
		if err := alive(); err != nil || e.polls.Load() != 2 {
			t.Errorf("soon after the second poll began: %d polls, %v", e.polls.Load(), err)
		}
		time.Sleep(timeout + pollPatience + interval)
		if err := alive(); err == nil || !strings.Contains(err.Error(), "hub") {
			t.Errorf("the watchdog hears %v", err)
		}
		close(e.leave)
		time.Sleep(interval)
		if err := alive(); err != nil {
			t.Errorf("polling again: %v", err)
		}
		cancel()
		<-ended
	})
}

// deadBroker refuses every connection and asks for a long pause.
type deadBroker struct {
	drain.Broker
	pause    time.Duration
	connects atomic.Int32
}

func (b *deadBroker) Connect(context.Context) (drain.Conn, error) {
	b.connects.Add(1)
	return nil, errors.New("refused")
}
func (b *deadBroker) Backoff() time.Duration { return b.pause }

// TestADrainThatWaitsAsConfiguredIsAlive: the broker is down for three days, and
// reconnect_max may be up to a day.
func TestADrainThatWaitsAsConfiguredIsAlive(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, 10 * time.Minute, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a, b := moving(t), &deadBroker{pause: pause}
			a.drainer = drain.New(drain.Options{Log: slog.New(slog.DiscardHandler)})
			a.drainer.Broker = b
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { a.drainer.Run(ctx, ctx); close(ended) }()
			for range 3 * 24 * 60 * 3 { // each 20 s, as with WatchdogSec=60
				a.recorder.Heartbeat.Beat()
				if err := a.Alive(); err != nil {
					t.Fatalf("pauses of %v: after %d connections %v", pause, b.connects.Load(), err)
				}
				time.Sleep(20 * time.Second)
			}
			if b.connects.Load() < 3 {
				t.Errorf("%d connections in three days", b.connects.Load())
			}
			cancel()
			<-ended
		})
	}
}

// TestALargeStoreMayBeReadForLonger than a small one before the recorder is stuck.
func TestALargeStoreMayBeReadForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := moving(t)
		a.cfg.Buffer.MaxBytes = 4 << 30
		time.Sleep(recorderPatience + 1024*time.Second)
		a.drainer.Heartbeat.Beat()
		if err := a.Alive(); err != nil {
			t.Errorf("while 4 GiB may be read: %v", err)
		}
		time.Sleep(time.Second)
		if err := a.Alive(); err == nil {
			t.Error("later it is not stuck")
		}
	})
}
