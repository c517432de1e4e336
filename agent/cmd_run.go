package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
				return a.supervise(ctx, cfg, warnings, ready)
			})
		},
	}
}

const serviceName = "roomcall"

// supervise runs the agent and, on a reload signal, runs it again with the new
// config. A new config that does not load is reported and the old one goes on.
func (a *app) supervise(ctx context.Context, cfg *config.Config, warnings []config.Warning, ready func()) error {
	reload, stop := reloadSignal()
	defer stop()
	for {
		log := newLogger(cfg.Agent, a.stderr)
		for _, w := range warnings {
			log.Warn(w.String())
		}
		next, err := a.runUntilReload(ctx, cfg, warnings, log, reload, ready)
		if err != nil || next == nil {
			return err
		}
		cfg, warnings = next.cfg, next.warnings
	}
}

type loaded struct {
	cfg      *config.Config
	warnings []config.Warning
}

// runUntilReload runs one agent. It returns nil at the end of ctx and the new
// config after a reload.
func (a *app) runUntilReload(ctx context.Context, cfg *config.Config, warnings []config.Warning,
	log *slog.Logger, reload <-chan os.Signal, ready func(),
) (*loaded, error) {
	ag, err := newAgent(cfg, warnings, log)
	if err != nil {
		return nil, err
	}
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
		next, warn, err := a.load()
		if err != nil {
			log.Error("reload refused, the old config goes on", "err", err)
			continue
		}
		log.Info("reload: the new config is good")
		cancel()
		return &loaded{next, warn}, <-done
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
