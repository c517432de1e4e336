package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/web"
)

// askTimeout bounds a question to the running agent.
const askTimeout = 10 * time.Second

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask the running agent how it is",
		Long: `Asks the running agent over its local HTTP ([agent] http_listen): endpoints,
broker, buffer, versions. Exit code 1 when no agent answers.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := a.look()
			if err != nil {
				return err
			}
			body, err := askAgent(cmd.Context(), cfg, "/api/v1/status")
			if errors.Is(err, web.ErrNotRunning) {
				if state := serviceState(cmd.Context()); state != "" {
					err = fmt.Errorf("%w; the service is: %s", err, state)
				}
			}
			if err != nil {
				return err
			}
			if asJSON {
				_, err = a.stdout.Write(body)
				return err
			}
			var st web.Status
			if err := json.Unmarshal(body, &st); err != nil {
				return fmt.Errorf("read the agent's status: %w", err)
			}
			return web.WriteText(a.stdout, st, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// askAgent gets one whole answer of the running agent.
func askAgent(ctx context.Context, cfg *config.Config, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	body, err := web.Get(ctx, cfg.Agent.HTTPListen, path)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, 64<<20))
}
