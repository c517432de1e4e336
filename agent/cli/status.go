package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

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
broker, buffer, versions. Exit code 1 when no agent answers, when another agent
does, and when something is wrong (FAIL). Works for every user: where the config
cannot be read, the default address is asked.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, unread := a.look()
			if unread != nil {
				fmt.Fprintf(a.stderr, "warning: the config cannot be read, so the agent at the default address %s is asked:\n%v\n", config.DefaultHTTPListen, unread)
				cfg = nil
			}
			body, err := askStatus(cmd.Context(), cfg)
			if err != nil && unread != nil && !errors.Is(unread, fs.ErrPermission) {
				fmt.Fprintf(a.stderr, "roomcall: %v\n", err)
				return errReportedConfig
			}
			if err != nil {
				return err
			}
			var st health.Status
			if err := json.Unmarshal(body, &st); err != nil {
				return fmt.Errorf("read the agent's status: %w", err)
			}
			now := time.Now()
			other := otherAgent(health.English, cfg, st)
			if asJSON {
				if _, err = io.WriteString(a.stdout, safeJSON(string(body))); err != nil {
					return err
				}
				var b strings.Builder
				if writeProblems(&b, other); len(other) > 0 {
					fmt.Fprint(a.stderr, b.String())
				}
			} else if err = writeStatus(a.stdout, st, other, now); err != nil {
				return err
			}
			if slices.ContainsFunc(append(other, health.English.Problems(st, now)...), func(p health.Problem) bool { return p.Bad }) {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// askStatus asks the running agent of a config, nil = the one at the default address.
func askStatus(ctx context.Context, cfg *config.Config) ([]byte, error) {
	if cfg == nil {
		cfg = &config.Config{Agent: config.Agent{HTTPListen: config.DefaultHTTPListen}}
	}
	body, err := askAgent(ctx, cfg, "/api/v1/status")
	if errors.Is(err, web.ErrNotRunning) {
		if state := serviceState(ctx); state != "" {
			err = fmt.Errorf("%w; the service is: %s", err, state)
		}
	}
	return body, err
}

// otherAgent tells that not the agent of this config answers, or that it runs with
// another config than the one on disk.
func otherAgent(lang health.Lang, cfg *config.Config, st health.Status) []health.Problem {
	switch {
	case cfg == nil:
		return nil
	case st.ClientID != cfg.Agent.ClientID && !sameFile(st.ConfigPath, cfg.Path):
		return []health.Problem{lang.NewProblem("other_agent", health.Facts{"client_id": cfg.Agent.ClientID, "other": st.ClientID, "address": st.HTTP.Listen})}
	case st.WrittenHash != "" && st.WrittenHash != cfg.WrittenHash():
		return []health.Problem{lang.NewProblem("other_config", health.Facts{"path": st.ConfigPath})}
	}
	return nil
}

// sameFile: the agent was started with this config file. Its path counts from a folder
// that is not known here, so only a whole one tells.
func sameFile(agents, own string) bool {
	own, err := filepath.Abs(own)
	return err == nil && filepath.IsAbs(agents) && filepath.Clean(agents) == own
}

// safeJSON keeps a text from steering the terminal: in JSON every character may be
// written as an escape.
func safeJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
	}
	return b.String()
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
func writeStatus(w io.Writer, s health.Status, other []health.Problem, now time.Time) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "roomcall %s\t%s\tup %s\n", s.Version, s.ClientID, health.Age(time.Duration(s.UptimeS)*time.Second))
	fmt.Fprintf(tw, "broker\t%s\t%s\n", health.OrUnknown(s.Broker.State), brokerLine(s.Broker, now))
	fmt.Fprintf(tw, "store\t%s\t%s\n", health.OrUnknown(s.Buffer.State), bufferLine(s.Buffer, now))
	if s.Log.Lost > 0 {
		fmt.Fprintf(tw, "log\t%d lines lost\t\n", s.Log.Lost)
	}
	fmt.Fprintf(tw, "\nDEVICE\tSTATE\tGRADE\tPOLLED\tROOM\n")
	for _, e := range s.Endpoints {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", e.Device, dash(e.State), dash(e.Grade), health.Ago(e.LastPoll, now), host.Printable(e.Room))
	}
	tw.Flush()
	b.WriteByte('\n')
	writeProblems(&b, append(other, health.English.Problems(s, now)...))
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
		if p.Detail != "" {
			fmt.Fprintf(b, "      %s\n", host.Printable(p.Detail))
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
