package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
)

// Results of a stage.
const (
	stageOK   = "ok"
	stageWarn = "warn"
	stageFail = "FAIL"
)

// stage is one step of the way from the config to the broker.
type stage struct {
	Name   string  `json:"stage"`
	Result string  `json:"result"` // ok, warn, FAIL
	Detail string  `json:"detail"`
	Hint   string  `json:"hint,omitempty"`
	TookMs float64 `json:"took_ms"`
}

// checkFlags are the flags of the command check.
type checkFlags struct{ offline, json bool }

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check every stage of the way, with hints",
		Long: `Checks every stage of the way, one line each: config, store, clock, every
endpoint (DNS, TCP, TLS, login, one decoded poll), every broker (TCP, TLS, login,
echo proof). Exit code 1 when a stage fails; a warning does not count.
With the agent running, store and broker are asked of it, so that it is not
disturbed.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			host.SilenceLibraries()
			c := &checker{app: a, json: f.json}
			return c.run(cmd.Context(), f.offline)
		},
	}
	cmd.Flags().BoolVar(&f.offline, "offline", false, "stop after config and store")
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON object: ok and the stages")
	return cmd
}

// checker runs the stages and shows each as it is done.
type checker struct {
	app     *app
	json    bool
	stages  []stage
	failed  bool
	running bool // an agent has the store open
	// ended tells that Ctrl-C came; nil = it never does. What fails from then on
	// says nothing of the way.
	ended func() bool
}

func resultOf(ok, warn bool) string {
	switch {
	case !ok:
		return stageFail
	case warn:
		return stageWarn
	default:
		return stageOK
	}
}

// run goes through the stages. Its error is the config's (wrong config, exit
// code 2) or errReported.
func (c *checker) run(ctx context.Context, offline bool) error {
	start := time.Now()
	cfg, warnings, err := c.app.load()
	if err != nil {
		c.add(stage{Name: "config", Result: stageFail, Detail: err.Error(), TookMs: since(start)})
		c.finish()
		return errReportedConfig
	}
	c.ended = func() bool { return ctx.Err() != nil }
	c.config(cfg, warnings, start)
	c.store(cfg)
	if !offline {
		c.clock()
		for _, e := range cfg.Endpoints {
			c.endpoint(ctx, e)
		}
		c.broker(ctx, cfg)
	}
	c.finish()
	if c.failed {
		return errReported
	}
	return nil
}

func since(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }

// add takes the result of a stage and shows it, unless the result is one JSON
// document.
func (c *checker) add(s stage) {
	if s.Result == stageFail && c.ended != nil && c.ended() {
		s = stage{Name: s.Name, Result: stageFail, Detail: "interrupted; nothing is known of this stage", TookMs: s.TookMs}
	}
	c.stages = append(c.stages, s)
	c.failed = c.failed || s.Result == stageFail
	if c.json {
		return
	}
	writeStage(c.app.stdout, s)
}

func writeStage(w io.Writer, s stage) {
	detail := strings.ReplaceAll(s.Detail, "\n", fmt.Sprintf("\n%-31s", ""))
	fmt.Fprintf(w, "%-4s  %-24s %s (%.0f ms)\n", s.Result, s.Name, detail, s.TookMs)
	if s.Hint != "" {
		fmt.Fprintf(w, "      %-24s hint: %s\n", "", s.Hint)
	}
}

func (c *checker) finish() {
	if c.json {
		_ = c.app.printJSON(struct {
			OK     bool    `json:"ok"`
			Stages []stage `json:"stages"`
		}{!c.failed, c.stages})
	}
}

// config shows the config's warnings; a config with errors never comes here.
func (c *checker) config(cfg *config.Config, warnings []config.Warning, start time.Time) {
	for _, w := range warnings {
		c.add(stage{Name: "config", Result: stageWarn, Detail: w.String()})
	}
	c.add(stage{
		Name: "config", Result: stageOK, TookMs: since(start),
		Detail: fmt.Sprintf("%s: client_id %s, endpoints: %d", cfg.Path, cfg.Agent.ClientID, len(cfg.Endpoints)),
	})
}

// endpoint goes the way to one device.
func (c *checker) endpoint(ctx context.Context, e config.Endpoint) {
	name := "endpoint " + e.Device
	client, err := run.NewEndpoint(e)
	if err != nil {
		c.add(stage{Name: name, Result: stageFail, Detail: err.Error(), Hint: health.Hint(err)})
		return
	}
	for _, s := range client.Probe(ctx) {
		c.add(stage{
			Name: name + " " + s.Name, Result: resultOf(s.OK, s.Warn), Detail: host.Printable(s.Detail), Hint: s.Hint,
			TookMs: float64(s.Took.Microseconds()) / 1000,
		})
	}
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Timeout)
	defer cancel()
	_ = client.Close(leave)
}
