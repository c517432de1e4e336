package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/report"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/publish"
)

// Bounds of an orderly stop; together they stay below 3 s.
const (
	logoutGrace = 700 * time.Millisecond  // leave the endpoints' sessions
	drainGrace  = 1200 * time.Millisecond // deliver what waits
	leaveGrace  = 800 * time.Millisecond  // settle, say "offline", disconnect
)

// agent is one run of the program with one configuration.
type agent struct {
	cfg      *config.Config
	log      *slog.Logger
	started  time.Time
	warnings []string
	notices  notices

	queue    *buffer.Queue
	client   *publish.Client
	reporter *report.Reporter
	pollers  []*poller
	recorder *recorder
	drainer  *drainer
	live     *live
	memory   *memory
	web      *web.Server
	reason   string      // why this process was started
	remember *lastRun    // to be kept for the next start, nil = kept already
	tripped  atomic.Bool // the watchdog's mark is there
	proof    lastWord    // the delivery proof that was decided last
}

// notices are sentences for the operator that came up while the agent runs.
type notices struct {
	mu   sync.Mutex
	text []string
}

// set replaces all notices.
func (n *notices) set(text ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = text
}

func (n *notices) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.text)
}

// lastWord is a text that is swapped.
type lastWord struct{ p atomic.Pointer[string] }

func (w *lastWord) Swap(text string) (old string) {
	if was := w.p.Swap(&text); was != nil {
		old = *was
	}
	return old
}

// newAgent opens the store and prepares the loops; nothing runs yet. The
// caller must call close.
func newAgent(cfg *config.Config, warnings []config.Warning, log *slog.Logger) (*agent, error) {
	a := &agent{cfg: cfg, log: log, started: time.Now(), live: newLive(len(cfg.Endpoints)), memory: newMemory(len(cfg.Endpoints))}
	for _, w := range warnings {
		a.warnings = append(a.warnings, w.String())
	}
	steps := []func() error{a.openStore, a.makeReporter, a.makeRecorder, a.makeClient, a.makePollers, a.listen}
	for _, step := range steps {
		if err := step(); err != nil {
			a.close()
			return nil, err
		}
	}
	return a, nil
}

func (a *agent) listen() error {
	if a.cfg.Agent.HTTPListen == "" {
		return nil
	}
	srv, err := web.Listen(a.cfg.Agent.HTTPListen, a, web.Options{Logger: a.log, Hosts: hostNames(a.cfg.Agent)})
	a.web = srv
	return err
}

// hostNames are the names by which a listener that is not loopback may be
// called, beside its address.
func hostNames(cfg config.Agent) []string {
	name, err := os.Hostname()
	if err != nil || !cfg.HTTPAllowRemote {
		return nil
	}
	return []string{name}
}

// run polls, records and drains until ctx ends, then stops in order: polling,
// what waits as far as it goes in time, "offline", the store.
func (a *agent) run(ctx context.Context, ready func()) error {
	base := context.WithoutCancel(ctx)
	polling, stopPolling := context.WithCancel(base)
	recording, stopRecording := context.WithCancel(base)
	draining, stopDraining := context.WithCancel(base)
	serving, stopServing := context.WithCancel(base)
	leaving, leave := context.WithCancel(base)
	defer func() { stopPolling(); stopRecording(); stopDraining(); stopServing(); leave() }()

	var polls, record, drain, serve sync.WaitGroup
	record.Go(func() { a.recorder.run(recording) })
	drain.Go(func() { a.drainer.run(draining, leaving) })
	drain.Go(func() { a.replayer().run(draining) })
	for _, p := range a.pollers {
		polls.Go(func() { p.run(polling) })
	}
	if a.web != nil {
		serve.Go(func() { a.serve(serving) })
	}
	a.recorder.announce(startedEvent(a.started, a.reason))
	a.log.Info("agent runs", "version", version, "client_id", a.cfg.Agent.ClientID,
		"endpoints", len(a.pollers), "data_dir", a.cfg.Agent.DataDir, "http", a.httpAddr())
	ready()
	<-ctx.Done()

	a.log.Info("agent stops")
	stopPolling()
	polls.Wait()
	a.logout(base)
	stopRecording()
	record.Wait()
	a.awaitDelivery(base)
	time.AfterFunc(leaveGrace, leave)
	stopDraining()
	drain.Wait()
	stopServing()
	serve.Wait()
	return nil
}

func (a *agent) replayer() *replayer {
	return &replayer{
		queue: a.queue, topic: a.client.Topic, conn: a.drainer.current.Load,
		dir: a.cfg.Agent.DataDir, log: a.log,
	}
}

// logout leaves every endpoint's session, all at once and bounded.
func (a *agent) logout(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, logoutGrace)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range a.pollers {
		wg.Go(func() {
			if err := p.client.Close(ctx); err != nil {
				a.log.Debug("leave the endpoint's session", "device", p.device, "err", err)
			}
		})
	}
	wg.Wait()
}

// awaitDelivery gives the drain a moment to deliver what waits. What is left
// stays in the store.
func (a *agent) awaitDelivery(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainGrace)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for a.drainer.connected() && a.queue.Info().Waiting > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *agent) serve(ctx context.Context) {
	if err := a.web.Serve(ctx); err != nil {
		a.log.Error("local HTTP stopped", "err", err)
	}
}

func (a *agent) httpAddr() string {
	if a.web == nil {
		return "off"
	}
	return a.web.Addr()
}

// close releases what newAgent took.
func (a *agent) close() {
	if a.web != nil {
		_ = a.web.Close()
	}
	if a.queue == nil {
		return
	}
	if err := a.queue.Close(); err != nil {
		a.log.Error("close store", "err", err)
	}
}

func (a *agent) openStore() error {
	opts := storeOptions(a.cfg)
	opts.Logger = a.log
	q, err := buffer.Open(opts)
	if err != nil {
		return openError(opts.Dir, err)
	}
	a.queue = q
	a.findReason()
	return nil
}

// storeOptions are the store's settings of a config.
func storeOptions(cfg *config.Config) buffer.Options {
	return buffer.Options{
		Dir:           cfg.Agent.DataDir,
		MaxBytes:      cfg.Buffer.MaxBytes,
		MaxAge:        cfg.Buffer.MaxAge,
		KeepDelivered: cfg.Buffer.KeepDelivered,
		VerifyCommand: verifyCommand(),
	}
}

func (a *agent) makeRecorder() error {
	states := map[string]report.State{}
	var gaps []announcedGap
	for key, blob := range a.queue.State() {
		switch key {
		case runKey:
			continue
		case gapsKey:
			if err := json.Unmarshal(blob, &gaps); err != nil {
				return fmt.Errorf("read announced gaps from store: %w", err)
			}
			continue
		}
		st, err := report.UnmarshalState(blob)
		if err != nil {
			return fmt.Errorf("read state of %s from store: %w", key, err)
		}
		states[key] = st
	}
	n := len(a.cfg.Endpoints)
	a.recorder = &recorder{
		reporter: a.reporter,
		store:    a.queue,
		states:   states,
		round:    &round{},
		polls:    make(chan report.Poll, max(64, 2*n)),
		events:   make(chan agentEvent, 64),
		live:     a.live,
		stats:    newRecordStats(),
		log:      a.log,
		repeats:  newRepeats(a.log),
		gaps:     gaps,
	}
	return a.rememberRun()
}

func (a *agent) makePollers() error {
	slots := make(chan struct{}, pollSlots)
	spread := shares(len(a.cfg.Endpoints))
	repeats := newRepeats(a.log)
	origin := time.Now().Add(-rand.N(time.Minute)) // a phase of its own for each agent
	locks := readLockouts(a.cfg, a.log)
	for i, e := range a.cfg.Endpoints {
		client, err := newEndpointClient(e, locks, a.log)
		if err != nil {
			return err
		}
		a.pollers = append(a.pollers, &poller{
			device: e.Device, client: client, slots: slots, origin: origin, share: spread[i],
			inCall: e.PollInterval, idle: e.IdleInterval, timeout: e.Timeout,
			deliver: a.recorder.submit, round: a.recorder.round, repeats: repeats,
			stats: &pollStats{view: web.Endpoint{Device: e.Device, Room: e.Room, URL: e.URL}},
		})
	}
	return nil
}
