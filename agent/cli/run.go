package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/agent/run"
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
			s := run.NewSupervisor(a.version, a.load, a.newLogger)
			opts := service.Options{
				Name: serviceName, Alive: s.Alive, StatusLine: s.StatusLine, Reload: s.AskReload,
				Logger: a.newLogger(cfg.Agent),
			}
			return service.Run(cmd.Context(), opts, func(ctx context.Context, ready func()) error {
				return s.Run(ctx, cfg, warnings, ready)
			})
		},
	}
	// Version 0.1.0 installed Windows services with this flag; it says nothing any
	// more, and they still have to start after an upgrade.
	cmd.Flags().Bool("as-service", false, "")
	_ = cmd.Flags().MarkHidden("as-service")
	return cmd
}

// newLogger logs as the config says: a Windows service into its own file, all others
// to standard error.
func (a *app) newLogger(cfg config.Agent) *slog.Logger {
	out := a.stderr
	if service.IsWindowsService() {
		if a.logFile == nil {
			a.logFile = host.LogFile(cfg.DataDir)
		}
		out = a.logFile
	}
	return host.NewLogger(host.LogOptions{
		Level: cfg.LogLevel, Format: cfg.LogFormat, Out: out, JournalStream: a.getenv("JOURNAL_STREAM"),
	})
}
