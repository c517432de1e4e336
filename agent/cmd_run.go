package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/service"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the agent in the foreground (what the service runs)",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := a.load()
			if err != nil {
				return err
			}
			return service.Run(cmd.Context(), service.Options{Name: serviceName}, func(ctx context.Context, ready func()) error {
				return a.supervise(ctx, loaded{cfg, warnings}, ready)
			})
		},
	}
}

const serviceName = "roomcall"

// loaded is a config as read.
type loaded struct {
	cfg      *config.Config
	warnings []config.Warning
}

// supervise runs the agent and, on a reload signal, runs it again with the new
// config. A new config that does not load, or with which the agent cannot
// start, is reported and the old one goes on.
func (a *app) supervise(ctx context.Context, now loaded, ready func()) error {
	reload, stop := reloadSignal()
	defer stop()
	ag, err := a.prepare(now)
	if err != nil {
		return err
	}
	for {
		next, err := a.runUntilReload(ctx, ag, reload, ready)
		if err != nil || next == nil {
			return err
		}
		fresh, err := a.prepare(*next)
		if err == nil {
			ag, now = fresh, *next
			continue
		}
		ag.log.Error("reload refused, the old config goes on", "err", err)
		if ag, err = a.prepare(now); err != nil {
			return err
		}
	}
}

// prepare makes an agent that is ready to run.
func (a *app) prepare(l loaded) (*agent, error) {
	log := newLogger(l.cfg.Agent, a.stderr)
	for _, w := range l.warnings {
		log.Warn(w.String())
	}
	return newAgent(l.cfg, l.warnings, log)
}

// runUntilReload runs one agent to its end. It returns nil at the end of ctx and
// the new config after a reload.
func (a *app) runUntilReload(ctx context.Context, ag *agent, reload <-chan os.Signal, ready func()) (*loaded, error) {
	defer ag.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- ag.run(ctx, ready) }()
	for {
		select {
		case err := <-done:
			return nil, err
		case <-reload:
		}
		next, warnings, err := a.load()
		if err != nil {
			ag.log.Error("reload refused, the old config goes on", "err", err)
			continue
		}
		ag.log.Info("reload: the new config is good")
		cancel()
		return &loaded{next, warnings}, <-done
	}
}

// load reads the config that the flags and the environment name.
func (a *app) load() (*config.Config, []config.Warning, error) {
	path := config.ResolvePath(a.configFlag, a.getenv)
	cfg, warnings, err := config.Load(path, config.Options{})
	if err != nil && errors.Is(err, os.ErrNotExist) && a.configFlag == "" && a.getenv(config.EnvConfig) == "" {
		return nil, nil, fmt.Errorf("%w\nName a config with --config PATH or %s", err, config.EnvConfig)
	}
	return cfg, warnings, err
}
