package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/buffer"
)

// Supervisor runs one agent after the other, one for each config.
type Supervisor struct {
	Version   string
	Load      func() (*config.Config, []config.Warning, error) // reads the config again
	NewLogger func(config.Agent) *slog.Logger

	Log        *host.Sink // where the loggers write, nil = not known
	LogProblem string     // why the log is not where it should be, "" = it is

	reload  chan os.Signal
	current atomic.Pointer[Agent]
	before  *Agent // the one that has ended, until the next one runs; nil = none
}

// NewSupervisor makes a supervisor that has nothing to run yet.
func NewSupervisor(version string, load func() (*config.Config, []config.Warning, error), newLogger func(config.Agent) *slog.Logger) *Supervisor {
	return &Supervisor{Version: version, Load: load, NewLogger: newLogger, reload: make(chan os.Signal, 1)}
}

// Alive reports to the service manager's watchdog whether the loops move.
func (s *Supervisor) Alive() error {
	if ag := s.current.Load(); ag != nil {
		return ag.Alive()
	}
	return nil
}

// StatusLine is one line for the service manager, "" = nothing runs.
func (s *Supervisor) StatusLine() string {
	if ag := s.current.Load(); ag != nil {
		return ag.StatusLine()
	}
	return ""
}

// Problems are what is wrong with the agent now, in English; nil while none runs.
func (s *Supervisor) Problems() []health.Problem {
	if ag := s.current.Load(); ag != nil {
		return health.English.Problems(ag.Status(), time.Now())
	}
	return nil
}

// AskReload is a reload that comes from the service manager.
func (s *Supervisor) AskReload() {
	select {
	case s.reload <- os.Interrupt:
	default:
	}
}

// loaded is a config as read.
type loaded struct {
	cfg      *config.Config
	warnings []config.Warning
}

// Run runs the agent and, on a reload signal, runs it again with the new config.
// A new config that does not load, or with which the agent cannot start, is
// reported and the old one goes on.
func (s *Supervisor) Run(ctx context.Context, cfg *config.Config, warnings []config.Warning, ready func()) error {
	now := loaded{cfg, warnings}
	defer host.NotifyReload(s.reload)()
	ag, err := s.prepare(ctx, now)
	if err != nil {
		return err
	}
	for {
		s.current.Store(ag)
		s.before = nil // its memory
		next, err := s.runUntilReload(ctx, ag, ready)
		s.current.Store(nil)
		if err != nil || next == nil {
			return err
		}
		s.before = ag
		fresh, err := s.prepare(ctx, *next)
		if err == nil {
			ag, now = fresh, *next
			continue
		}
		var refused error
		if ag, refused = s.prepare(ctx, now); refused != nil {
			return refused
		}
		ag.refuseReload(err)
	}
}

// refuseReload shows in log and status that a new config was rejected.
func (a *Agent) refuseReload(err error) {
	a.log.Error("reload refused, the old config goes on", "err", err)
	first, _, more := strings.Cut(err.Error(), "\n")
	if more {
		first += " (and more, see the log)"
	}
	a.refused.Store(&health.RefusedReload{At: time.Now(), Error: first})
}

// A command that reads the store holds its lock meanwhile; the start waits for it.
const (
	lockPatience = 10 * time.Second
	lockRetry    = 200 * time.Millisecond
)

// prepare makes an agent that is ready to run. For a store that somebody else has
// open it waits a while.
func (s *Supervisor) prepare(ctx context.Context, l loaded) (*Agent, error) {
	log := s.NewLogger(l.cfg.Agent)
	for _, w := range l.warnings {
		log.Warn(w.String())
	}
	ag, err := s.start(ctx, l, log)
	if errors.Is(err, buffer.ErrLocked) {
		log.Info("the store is in use, waiting", "at_most", lockPatience, "err", err)
	}
	for until := time.Now().Add(lockPatience); errors.Is(err, buffer.ErrLocked) && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lockRetry):
		}
		ag, err = s.start(ctx, l, log)
	}
	if err == nil {
		ag.sink, ag.logProblem = s.Log, s.LogProblem
	}
	return ag, err
}

// start is newAgent, which a disk that hangs may hold up for good: after the end of ctx it
// is waited for no longer than closePatience.
func (s *Supervisor) start(ctx context.Context, l loaded, log *slog.Logger) (*Agent, error) {
	type result struct {
		ag  *Agent
		err error
	}
	made := make(chan result, 1)
	go func() {
		ag, err := newAgent(ctx, s.Version, l.cfg, l.warnings, log, s.before)
		made <- result{ag, err}
	}()
	for ended, late := ctx.Done(), (<-chan time.Time)(nil); ; {
		select {
		case r := <-made:
			return r.ag, r.err
		case <-ended:
			ended, late = nil, time.After(closePatience)
		case <-late:
			go func() {
				if r := <-made; r.err == nil {
					r.ag.Close()
				}
			}()
			return nil, fmt.Errorf("open store %s: stopped while the disk has not answered", l.cfg.Agent.DataDir)
		}
	}
}

// runUntilReload runs one agent to its end. It returns nil at the end of ctx and
// the new config after a reload. An agent that does not end, or whose store does not
// close, is an error: the process has to end, because it has the store.
func (s *Supervisor) runUntilReload(ctx context.Context, ag *Agent, ready func()) (next *loaded, err error) {
	defer func() { err = errors.Join(err, ag.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- ag.Run(ctx, ready) }()
	for stopping, reload, late := ctx.Done(), s.reload, (<-chan time.Time)(nil); ; {
		select {
		case err := <-done:
			return next, err
		case <-stopping:
			stopping, reload, late = nil, nil, time.After(stopPatience)
		case <-late:
			err := fmt.Errorf("the agent has not stopped within %s, as on a disk that does not answer; what was accepted is on disk", stopPatience)
			ag.log.Error("stop", "err", err)
			return nil, err
		case <-reload:
			cfg, warnings, err := s.Load()
			if err != nil {
				ag.refuseReload(err)
				continue
			}
			ag.log.Info("reload: the new config is good")
			next = &loaded{cfg, warnings}
			cancel()
		}
	}
}
