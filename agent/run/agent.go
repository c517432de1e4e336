// Package run is one run of the agent with one config: it opens the store, wires
// the loops, starts them, reloads, and stops everything in order.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/drain"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/poll"
	"roomcall/agent/record"
	"roomcall/agent/report"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/publish"
)

// Bounds of an orderly stop; the first three stay below 3 s together. A disk that hangs
// adds to that: the recorder waits 2 s for its last commit, and the store is given up
// after closePatience. Whatever does not end, loops that read the disk among them, ends
// with the process after stopPatience: what was accepted is on disk by then. With
// closePatience and the last lines of the log that is less than TimeoutStopSec.
const (
	logoutGrace = 700 * time.Millisecond  // end the endpoints' sessions
	drainGrace  = 1200 * time.Millisecond // deliver what waits
	leaveGrace  = 800 * time.Millisecond  // wait for what is in flight, say "offline", disconnect

	stopPatience  = 6 * time.Second // all loops, from the end of polling to the last
	closePatience = 2 * time.Second // the store
)

// Agent is one run of the program with one config.
type Agent struct {
	version  string
	cfg      *config.Config
	log      *slog.Logger
	started  time.Time
	warnings []string
	refused  atomic.Pointer[health.RefusedReload] // the last reload, if it was refused

	queue      *buffer.Queue
	client     *publish.Client
	reporter   *report.Reporter
	pollers    []*poll.Loop
	recorder   *record.Recorder
	drainer    *drain.Drainer
	secret     *brokerSecret
	twins      twins
	newest     *record.Newest
	history    *web.History
	page       page
	sink       *host.Sink // where log writes, nil = not known
	logProblem string     // why the log is not where it should be, "" = it is
	reload     bool       // another agent of this process ran before
	unsaid     record.Unsaid
	unhealthy  healthFailures
	free       freeSpace
	failing    record.Event // the agent.store_failing that is open at the end of a run
	away       time.Time    // since when the agent before had no broker, zero = it had one
	reason     string       // why this process was started
	// Polls may have been collected and not stored when the process before ended.
	uncommitted bool
	remember    *lastRun    // to be kept for the next start, nil = kept already
	copied      bool        // the store was made on another machine, or is a copy
	tripped     atomic.Bool // the watchdog's mark is there
	marking     atomic.Bool // it is being written or removed
}

// New opens the store and prepares the loops; nothing runs yet. The caller must
// call Close. An error in the config is a *config.Errors or a ConfigError. The end of ctx
// ends the tries to open a store that cannot be read.
func New(ctx context.Context, version string, cfg *config.Config, warnings []config.Warning, log *slog.Logger) (*Agent, error) {
	return newAgent(ctx, version, cfg, warnings, log, nil)
}

// newAgent is New. before is the agent of this process that has ended, nil = none; what
// that could not announce is announced by the new one.
func newAgent(ctx context.Context, version string, cfg *config.Config, warnings []config.Warning, log *slog.Logger, before *Agent) (*Agent, error) {
	cfg.Trim()
	a := &Agent{version: version, cfg: cfg, log: log, started: time.Now(), newest: record.NewNewest(len(cfg.Endpoints))}
	if before != nil {
		a.reload, a.unsaid, a.failing = true, before.recorder.Unsaid(), before.failing
		a.away = before.brokerAway()
	}
	a.newest.StateInterval = cfg.Publish.StateInterval
	for _, w := range warnings {
		a.warnings = append(a.warnings, w.String())
	}
	a.history = newHistory(cfg)
	openStore := func() error { return a.openStore(ctx) }
	steps := []func() error{openStore, a.makeReporter, a.makeRecorder, a.makeDrainer, a.makePollers}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	key, err := makeLocalKey(cfg.Agent.DataDir)
	if err != nil {
		log.Warn("nobody can export records from the running agent", "err", err)
	}
	a.page = page{
		listen: cfg.Agent.HTTPListen, remote: cfg.Agent.HTTPAllowRemote, maxBytes: cfg.Buffer.MaxBytes, key: key,
		history: a.history, language: cfg.Agent.Language, source: a, log: log,
	}
	a.page.open()
	return a, nil
}

// Run polls, records and drains until ctx ends, then stops in order: polling, the
// endpoints' sessions, the last commit, what waits as far as it goes in time, "offline",
// the page. The caller closes the store with Close.
func (a *Agent) Run(ctx context.Context, ready func()) error {
	base := context.WithoutCancel(ctx)
	polling, stopPolling := context.WithCancel(base)
	recording, stopRecording := context.WithCancel(base)
	draining, stopDraining := context.WithCancel(base)
	serving, stopServing := context.WithCancel(base)
	leaving, leave := context.WithCancel(base)
	defer func() { stopPolling(); stopRecording(); stopDraining(); stopServing(); leave() }()

	var polls, recorder, drainer, server sync.WaitGroup
	recorder.Go(func() { a.recorder.Run(recording) })
	drainer.Go(func() { a.drainer.Run(draining, leaving) })
	replayer := drain.Replayer{
		Queue: a.queue, Window: a.cfg.MQTT.MaxInflight, ReplayRate: a.cfg.MQTT.ReplayRate,
		Topic: a.client.Topic, Conn: a.drainer.Conn, Dir: a.cfg.Agent.DataDir, Log: a.log,
	}
	drainer.Go(func() { replayer.Run(draining) })
	for _, p := range a.pollers {
		polls.Go(func() { p.Run(polling) })
	}
	server.Go(func() { a.page.run(serving) })
	polls.Go(func() {
		n := a.newHealthLoop()
		n.run(polling)
		a.failing = n.finish()
	})
	if a.page.listen != "" {
		drainer.Go(func() { a.restoreHistory(draining, historyRecords) })
	}
	started := report.AgentEvent{Type: "agent.started", Reason: a.reason}
	if a.uncommitted {
		started.Detail = Lang(a.cfg).Why("collected")
	}
	a.recorder.Announce(record.Event{At: a.started, AgentEvent: started})
	a.log.Info("agent runs", "version", a.version, "client_id", a.cfg.Agent.ClientID,
		"endpoints", len(a.pollers), "data_dir", a.cfg.Agent.DataDir, "http", a.page.where())
	ready()
	<-ctx.Done()

	a.log.Info("agent stops")
	stopPolling()
	polls.Wait()
	a.logout(base)
	stopRecording()
	recorder.Wait()
	recorder.Go(func() { a.recorder.Decide(draining) })
	a.awaitDelivery(base)
	time.AfterFunc(leaveGrace, leave)
	stopDraining()
	drainer.Wait()
	recorder.Wait()
	stopServing()
	server.Wait()
	return nil
}

// logout ends the sessions at all endpoints, at the same time and bounded.
func (a *Agent) logout(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, logoutGrace)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range a.pollers {
		wg.Go(func() {
			if err := p.Endpoint.Close(ctx); err != nil {
				a.log.Debug("end the endpoint's session", "device", p.Device, "err", err)
			}
		})
	}
	wg.Wait()
}

// awaitDelivery waits a moment for the drain to deliver what waits. The rest stays
// in the store.
func (a *Agent) awaitDelivery(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainGrace)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for a.drainer.Connected() && a.queue.Info().Waiting > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close releases what New opened. Its error says that the disk did not let it: the store
// is still open, and the process has to end.
func (a *Agent) Close() error {
	a.page.close()
	if a.queue == nil {
		return nil
	}
	closed := make(chan error, 1)
	go func() { closed <- a.queue.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			a.log.Error("close store", "err", err)
		}
		return nil
	case <-time.After(closePatience):
		err := fmt.Errorf("the store %s was not closed: the disk has not answered for %s; what was accepted is on disk, and the next start checks it",
			a.cfg.Agent.DataDir, closePatience)
		a.log.Error("close store", "err", err)
		return err
	}
}

// Patience of the watchdog with each loop, far beyond what a slow disk, endpoint
// or broker makes them wait. What they wait on purpose, as the config says, is not
// silence and comes on top: see host.Heartbeat.
const (
	recorderPatience = 45 * time.Second
	pollPatience     = 2 * time.Minute
	drainPatience    = 4 * time.Minute
	// readRate is how fast a slow disk reads the store at least, bytes a second: the
	// recorder may have to wait until a broken file was read.
	readRate = 4 << 20
)

// Alive reports whether the loops move: its error names one that does not. That
// leaves a mark for the next start. It returns at once.
func (a *Agent) Alive() error {
	err := a.stuck()
	a.markTrip(err)
	return err
}

func (a *Agent) stuck() error {
	reading := time.Duration(a.cfg.Buffer.MaxBytes/readRate) * time.Second
	if s := a.recorder.Heartbeat.Silent(); s > recorderPatience+reading {
		return fmt.Errorf("the recorder has given no sign of life for %s", s.Round(time.Second))
	}
	if s := a.drainer.Heartbeat.Silent(); s > drainPatience {
		return fmt.Errorf("the drain has given no sign of life for %s", s.Round(time.Second))
	}
	for _, p := range a.pollers {
		if late := p.Heartbeat.Silent(); late > pollPatience {
			return fmt.Errorf("the poll of %s is %s late", p.Device, late.Round(time.Second))
		}
	}
	return nil
}

// StatusLine is one line for the service manager.
func (a *Agent) StatusLine() string {
	well := 0
	for _, p := range a.pollers {
		if p.Stats().Err == "" {
			well++
		}
	}
	return fmt.Sprintf("%d of %d endpoints answer, broker %s, %d records wait",
		well, len(a.pollers), a.client.Status().State, a.queue.Info().Waiting)
}
