package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/web"
)

// askTimeout bounds a question to the service manager or its journal.
const askTimeout = 10 * time.Second

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the running agent is doing",
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
			var st health.Status
			if err := json.Unmarshal(body, &st); err != nil {
				return fmt.Errorf("read the agent's status: %w", err)
			}
			return writeStatus(a.stdout, st, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// askAgent gets one whole answer of the running agent.
func askAgent(ctx context.Context, cfg *config.Config, path string) ([]byte, error) {
	patience := web.Patience(path, cfg.Buffer.MaxBytes)
	ctx, cancel := context.WithTimeout(ctx, 2*patience) // the answer begins, and ends
	defer cancel()
	body, err := web.Get(ctx, cfg.Agent.HTTPListen, path, patience)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, 64<<20))
}

// writeStatus writes the status as `roomcall status` shows it in a terminal. It
// holds no control characters, whatever an endpoint or a broker sent.
func writeStatus(w io.Writer, s health.Status, now time.Time) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "roomcall %s\t%s\tup %s\n", s.Version, s.ClientID, health.Age(time.Duration(s.UptimeS)*time.Second))
	fmt.Fprintf(tw, "broker\t%s\t%s\n", health.OrUnknown(s.Broker.State), brokerLine(s.Broker, now))
	fmt.Fprintf(tw, "store\t%s\t%s\n", health.OrUnknown(s.Buffer.State), bufferLine(s.Buffer, now))
	fmt.Fprintf(tw, "\nDEVICE\tSTATE\tGRADE\tPOLLED\tROOM\n")
	for _, e := range s.Endpoints {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", e.Device, dash(e.State), dash(e.Grade), health.Ago(e.LastPoll, now), host.Printable(e.Room))
	}
	tw.Flush()
	b.WriteByte('\n')
	writeProblems(&b, health.Problems(s, now))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeProblems(b *strings.Builder, all []health.Problem) {
	if len(all) == 0 {
		b.WriteString("All is well.\n")
	}
	for _, p := range all {
		mark := "warn"
		if p.Bad {
			mark = "FAIL"
		}
		fmt.Fprintf(b, "%s  %s\n", mark, host.Printable(p.What))
		if p.Hint != "" {
			fmt.Fprintf(b, "      hint: %s\n", host.Printable(p.Hint))
		}
	}
}

func brokerLine(b health.Broker, now time.Time) string {
	line := host.Printable(b.URL) + fmt.Sprintf(", %d delivered", b.Acked)
	if !b.LastAck.IsZero() {
		line += ", last " + health.Ago(b.LastAck, now)
	}
	if b.Proof != "" {
		line += ", delivery " + b.Proof
	}
	return line
}

func bufferLine(b health.Buffer, now time.Time) string {
	line := fmt.Sprintf("%d waiting", b.Waiting)
	if !b.Oldest.IsZero() {
		line += " (oldest " + health.Ago(b.Oldest, now) + ")"
	}
	return line + fmt.Sprintf(", %s of %s", health.Bytes(b.BytesOnDisk), health.Bytes(b.MaxBytes))
}
