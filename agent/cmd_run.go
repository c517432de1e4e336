package main

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/service"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent in the foreground (what the service runs)",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := a.load()
			if err != nil {
				return err
			}
			s := &supervisor{app: a, reload: make(chan os.Signal, 1)}
			opts := service.Options{
				Name: serviceName, Alive: s.alive, StatusLine: s.statusLine, Reload: s.askReload,
				AsService: a.asService, Logger: a.newLogger(cfg.Agent),
			}
			return service.Run(cmd.Context(), opts, func(ctx context.Context, ready func()) error {
				return s.run(ctx, loaded{cfg, warnings}, ready)
			})
		},
	}
	cmd.Flags().BoolVar(&a.asService, "as-service", false, "take the Windows service manager for granted")
	_ = cmd.Flags().MarkHidden("as-service") // the flag is there, defined above
	return cmd
}

// supervisor runs one agent after the other, one for each config.
type supervisor struct {
	*app
	reload  chan os.Signal
	current atomic.Pointer[agent]
}

// alive tells the service manager's watchdog whether the loops move.
func (s *supervisor) alive() error {
	ag := s.current.Load()
	if ag == nil {
		return nil
	}
	err := ag.alive()
	ag.markTrip(err)
	return err
}

func (s *supervisor) statusLine() string {
	if ag := s.current.Load(); ag != nil {
		return ag.statusLine()
	}
	return ""
}

// askReload is a reload that comes from the service manager.
func (s *supervisor) askReload() {
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

// run runs the agent and, on a reload signal, runs it again with the new config.
// A new config that does not load, or with which the agent cannot start, is
// reported and the old one goes on.
func (s *supervisor) run(ctx context.Context, now loaded, ready func()) error {
	defer notifyReload(s.reload)()
	ag, err := s.prepare(now)
	if err != nil {
		return err
	}
	for {
		s.current.Store(ag)
		next, err := s.runUntilReload(ctx, ag, ready)
		s.current.Store(nil)
		if err != nil || next == nil {
			return err
		}
		fresh, err := s.prepare(*next)
		if err == nil {
			ag, now = fresh, *next
			continue
		}
		var refused error
		if ag, refused = s.prepare(now); refused != nil {
			return refused
		}
		ag.refuseReload(err)
	}
}

// refuseReload says in log and status that a new config was not taken.
func (a *agent) refuseReload(err error) {
	a.log.Error("reload refused, the old config goes on", "err", err)
	first, _, more := strings.Cut(err.Error(), "\n")
	if more {
		first += " (and more, see the log)"
	}
	a.notices.set("a reload was refused at " + time.Now().UTC().Format(time.RFC3339) + ", the old config goes on: " + first)
}

// prepare makes an agent that is ready to run.
func (a *app) prepare(l loaded) (*agent, error) {
	log := a.newLogger(l.cfg.Agent)
	for _, w := range l.warnings {
		log.Warn(w.String())
	}
	return newAgent(l.cfg, l.warnings, log)
}

// runUntilReload runs one agent to its end. It returns nil at the end of ctx and
// the new config after a reload.
func (s *supervisor) runUntilReload(ctx context.Context, ag *agent, ready func()) (*loaded, error) {
	defer ag.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- ag.run(ctx, ready) }()
	for {
		select {
		case err := <-done:
			return nil, err
		case <-s.reload:
		}
		next, warnings, err := s.load()
		if err != nil {
			ag.refuseReload(err)
			continue
		}
		ag.log.Info("reload: the new config is good")
		cancel()
		return &loaded{next, warnings}, <-done
	}
}

// look reads the config for a command that needs no secrets: variables that are
// not set and secret files that cannot be read are no errors.
func (a *app) look() (*config.Config, []config.Warning, error) {
	return config.Load(config.ResolvePath(a.configFlag, a.getenv), config.Options{Elsewhere: true})
}

// load reads the config that the flags and the environment name.
func (a *app) load() (*config.Config, []config.Warning, error) {
	path := config.ResolvePath(a.configFlag, a.getenv)
	return config.Load(path, config.Options{})
}
