package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
	"roomcall/buffer"
	"roomcall/cgi"
	"roomcall/publish"
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

// step is a stage of the way to an endpoint or a broker.
type step struct {
	Name string
	Run  func(context.Context) (detail string, err error)
}

// runStages goes one way in turn, up to the first stage that fails. A stage
// without a word has nothing to say.
func runStages[S cgi.Stage | publish.Stage](ctx context.Context, c *checker, name string, list []S) {
	for _, one := range list {
		one := step(one)
		start := time.Now()
		detail, err := one.Run(ctx)
		if detail == "" && err == nil {
			continue
		}
		s := stage{Name: name + " " + one.Name, Result: stageOK, Detail: host.Printable(detail), Hint: health.Hint(err), TookMs: since(start)}
		var endpoint *cgi.Error
		var broker *publish.Error
		switch {
		case errors.As(err, &endpoint) && endpoint.Kind == cgi.KindWarning,
			errors.As(err, &broker) && broker.Class == publish.ClassWarning:
			s.Result = stageWarn
		case err != nil:
			s.Result = stageFail
			if detail == "" || endpoint == nil { // what an endpoint's stage says holds its error
				s.Detail = host.Printable(err.Error())
			}
		}
		c.add(s)
		if s.Result == stageFail {
			return
		}
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
	runStages(ctx, c, name, client.Stages())
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Timeout)
	defer cancel()
	_ = client.Close(leave)
}

// store looks whether the store can be written and has space.
func (c *checker) store(cfg *config.Config) {
	start := time.Now()
	s := stage{Name: "store", Result: stageOK}
	dir := cfg.Agent.DataDir
	info, err := buffer.InfoDir(dir)
	switch {
	case errors.Is(err, buffer.ErrLocked):
		s.Detail = dir + ": in use by the running agent"
		c.running = true
	case errors.Is(err, os.ErrNotExist):
		s = writable(nearest(dir), s)
		s.Detail += ": no store yet, the agent makes it at its first start"
	case err != nil:
		s.Result, s.Detail = stageFail, err.Error()
		s.Hint = "look at the permissions of data_dir; if its files are damaged, 'roomcall run' salvages what is whole and says so"
	default:
		s = writable(dir, s)
		s.Detail += fmt.Sprintf(": %d records wait, %s on disk", info.Waiting, health.Bytes(info.DiskBytes))
	}
	s = roomFor(cfg, info.DiskBytes, brokenFiles(dir, s))
	s.TookMs = since(start)
	c.add(s)
}

// brokenFiles warns of damaged files that were moved aside.
func brokenFiles(dir string, s stage) stage {
	files := run.DamagedFiles(dir)
	if len(files) > 0 && s.Result == stageOK {
		s.Result = stageWarn
		s.Detail += fmt.Sprintf(", %d damaged files kept aside", len(files))
		s.Hint = "look at the disk; the files *.corrupt-* in data_dir are kept for examination and may be removed"
	}
	return s
}

// nearest is the folder itself or the nearest one above it that exists.
func nearest(dir string) string {
	for {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

// writable tries to make a file in dir.
func writable(dir string, s stage) stage {
	f, err := os.CreateTemp(dir, ".roomcall-check-*")
	if err != nil {
		s.Result, s.Detail = stageFail, err.Error()
		s.Hint = "give the user that runs roomcall the right to write there, or change [agent] data_dir"
		return s
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		s.Result, s.Hint = stageWarn, "remove the file "+f.Name()
	}
	s.Detail = dir + " is writable"
	return s
}

// roomFor compares the free space with what max_bytes may still take.
func roomFor(cfg *config.Config, used int64, s stage) stage {
	free, err := host.DiskFree(nearest(cfg.Agent.DataDir))
	if err != nil || s.Result == stageFail {
		return s
	}
	s.Detail += fmt.Sprintf(", %s free", health.Bytes(free))
	if free < spaceMin {
		s.Result, s.Hint = stageFail, "free space on the disk that holds data_dir"
		return s
	}
	if free < cfg.Buffer.MaxBytes-used {
		s.Result = stageWarn
		s.Hint = fmt.Sprintf("the store may grow to %s: free space, or lower [buffer] max_bytes", health.Bytes(cfg.Buffer.MaxBytes))
	}
	return s
}

// spaceMin is the free space below which nothing can be kept.
const spaceMin = 1 << 20

// plausibleSince is a time that no right clock shows any more.
var plausibleSince = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock looks whether the wall clock can be right.
func (c *checker) clock() {
	start := time.Now()
	s := stage{Name: "clock", Result: stageOK, Detail: start.UTC().Format(time.RFC3339)}
	synchronized, known := host.ClockSynchronized()
	switch {
	case start.Before(plausibleSince):
		s.Result, s.Hint = stageFail, "set the clock; records carry its time"
		s.Detail += ": in the past"
	case known && !synchronized:
		s.Result, s.Hint = stageWarn, "start a time service (NTP); records carry this clock's time"
		s.Detail += ": the system says that it is not synchronized"
	case known:
		s.Detail += ", synchronized"
	}
	s.TookMs = since(start)
	c.add(s)
}

// proofPatience bounds the wait for a connection and its delivery proof.
const proofPatience = 40 * time.Second

// settlePatience bounds the wait for a running agent that has just started.
const settlePatience = 8 * time.Second

// broker goes the way to every broker. While the agent runs its own connection
// is looked at instead: a second one with its client id would throw it out.
func (c *checker) broker(ctx context.Context, cfg *config.Config) {
	if b, ok := settledBroker(ctx, cfg); ok {
		c.runningBroker(b)
		return
	}
	for i := range cfg.MQTT.Brokers {
		c.oneBroker(ctx, cfg, i)
	}
}

// settledBroker asks the running agent until its connection and proof are
// decided, or it says what fails. ok: an agent runs.
func settledBroker(ctx context.Context, cfg *config.Config) (b health.Broker, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		st, running := runningStatus(ctx, cfg)
		if !running {
			return b, ok
		}
		b, ok = st.Broker, true
		undecided := b.Error == "" && (b.State != string(publish.Connected) || b.Proof == string(publish.ProofPending))
		if !undecided {
			return b, true
		}
		select {
		case <-ctx.Done():
			return b, true
		case <-tick.C:
		}
	}
}

// runningStatus asks the agent of this config, if one runs.
func runningStatus(ctx context.Context, cfg *config.Config) (st health.Status, ok bool) {
	if cfg.Agent.HTTPListen == "" {
		return st, false
	}
	body, err := askAgent(ctx, cfg, "/api/v1/status")
	if err != nil || json.Unmarshal(body, &st) != nil {
		return st, false
	}
	return st, st.ClientID == cfg.Agent.ClientID
}

func (c *checker) runningBroker(b health.Broker) {
	s := stage{Name: "broker", Result: stageOK, Detail: fmt.Sprintf("%s: the running agent is %s", b.URL, b.State)}
	switch {
	case b.State == string(publish.Connected):
	case b.Error == "":
		s.Result, s.Hint = stageWarn, "ask again in a moment"
	default:
		s.Result, s.Hint = stageFail, b.Hint
		s.Detail += ": " + b.Error
	}
	c.add(s)
	if b.State == string(publish.Connected) {
		c.add(proofStage(publish.Proof{State: publish.ProofState(b.Proof), Detail: b.ProofDetail, Hint: b.Hint}))
	}
}

// oneBroker goes the way to one broker. While an agent that cannot be asked has
// the store open, another client id keeps the check from throwing it out.
func (c *checker) oneBroker(ctx context.Context, cfg *config.Config, index int) {
	ctx, cancel := context.WithTimeout(ctx, proofPatience)
	defer cancel()
	client, err := publish.New(run.PublishConfig(cfg))
	if err != nil {
		c.add(stage{Name: "broker", Result: stageFail, Detail: err.Error(), Hint: health.Hint(err)})
		return
	}
	name := "broker"
	if len(cfg.MQTT.Brokers) > 1 {
		name = fmt.Sprintf("broker %d", index+1)
	}
	runStages(ctx, c, name, client.Stages(index, !c.running))
}

func proofStage(p publish.Proof) stage {
	s := stage{Name: "broker echo", Result: stageOK, Detail: string(p.State), Hint: p.Hint}
	if p.Detail != "" {
		s.Detail += ": " + p.Detail
	}
	switch p.State {
	case publish.ProofProven:
	case publish.ProofFailed:
		s.Result = stageFail
	default:
		s.Result = stageWarn
	}
	return s
}
