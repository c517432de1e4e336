package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
	"roomcall/agent/web"
	"roomcall/buffer"
	"roomcall/cgi"
	"roomcall/publish"
)

// checkFlags are the flags of the command check.
type checkFlags struct{ offline, json, tryLogin bool }

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check every stage of the way, with hints",
		Long: `Checks every stage of the way, one line each: config, store, clock, every
endpoint (DNS, TCP, TLS, login, one decoded poll), every broker (TCP, TLS, login,
echo proof). Exit code 1 when a stage fails; a warning does not count.
With the agent running, store and broker are asked of it, so that it is not
disturbed. A login that was refused, to the agent or to another command, is not tried
again before its time unless --try-login is set: endpoints lock accounts. A login that
works ends the agent's wait.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			host.SilenceLibraries()
			c := &checker{app: a, json: f.json, tryLogin: f.tryLogin}
			return c.run(cmd.Context(), f.offline)
		},
	}
	cmd.Flags().BoolVar(&f.offline, "offline", false, "stop after config and store")
	cmd.Flags().BoolVar(&f.tryLogin, "try-login", false, tryLoginText)
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON object: ok and the stages")
	return cmd
}

// Results of a stage.
const (
	stageOK   = "ok"
	stageWarn = "warn"
	stageFail = "FAIL"
)

const interrupted = "interrupted; nothing is known about this stage"

// stage is what came of one step of the way from the config to the broker.
type stage struct {
	Name   string  `json:"stage"`
	Result string  `json:"result"` // ok, warn, FAIL
	Detail string  `json:"detail"`
	Hint   string  `json:"hint,omitempty"`
	TookMs float64 `json:"took_ms"`
}

// checker runs the stages and shows each as it is done.
type checker struct {
	app      *app
	json     bool
	stages   []stage
	failed   bool
	tryLogin bool
	running  bool // an agent has the store open
	// asked: a question about this failure follows, which says what to do; nil = none does.
	asked func(error) bool
	lang  health.Lang
}

// run goes through the stages. Its error is errReportedConfig (exit code 2) or
// errReported.
func (c *checker) run(ctx context.Context, offline bool) error {
	start := time.Now()
	cfg, warnings, err := c.app.load()
	if err != nil {
		s := stage{Name: "config", Result: stageFail, Detail: err.Error(), TookMs: since(start)}
		if path := config.ResolvePath(c.app.configFlag, c.app.getenv); path == config.DefaultPath() && waitsForConfig(path) {
			c.failed = true // nothing is well yet
			s.Result, s.Detail, s.Hint = stageWarn, "there is none yet at "+path+", so nothing runs", "make one with `roomcall init`"
		}
		c.add(s)
		c.finish()
		return errReportedConfig
	}
	for _, w := range warnings {
		c.add(stage{Name: "config", Result: stageWarn, Detail: w.String()})
	}
	c.add(stage{
		Name: "config", Result: stageOK, TookMs: since(start),
		Detail: fmt.Sprintf("%s: client_id %s, endpoints: %d", cfg.Path, cfg.Agent.ClientID, len(cfg.Endpoints)),
	})
	c.lang = langOf(cfg)
	var other []health.Problem
	st, answers := runningStatus(ctx, cfg)
	if answers {
		other = otherAgent(c.lang, cfg, st)
	}
	ours := answers
	for _, p := range other {
		c.add(stage{Name: "config", Result: stageWarn, Detail: host.Printable(p.What), Hint: host.Printable(p.Hint)})
		ours = ours && p.Code != "other_agent"
	}
	if !ours {
		st = health.Status{} // it says nothing about this config's agent
	}
	c.try(ctx, "store", func(context.Context) (string, error) { return c.store(cfg, st) })
	c.try(ctx, "status page", func(context.Context) (string, error) { return c.page(cfg, answers, ours) })
	if !offline {
		c.try(ctx, "clock", clock)
		for _, e := range cfg.Endpoints {
			c.endpoint(ctx, cfg, e)
		}
		c.broker(ctx, cfg, ours, len(other) == 0 && !secretChanged(cfg.MQTT, cfg.Files, st.Started))
	}
	c.finish()
	if c.failed {
		return errReported
	}
	return nil
}

// step is a stage of the way to an endpoint or a broker.
type step struct {
	Name string
	Run  func(context.Context) (detail string, err error)
}

// runStages goes one way in turn, up to the first stage that fails.
func runStages[S cgi.Stage | publish.Stage](ctx context.Context, c *checker, name string, list []S) {
	for _, one := range list {
		if one := step(one); !c.try(ctx, name+" "+one.Name, one.Run) {
			return
		}
	}
}

// try runs one stage and shows what came of it; false: it failed. An error that the
// table of troubles calls a warning is not a failure. A stage without a word has
// nothing to say, and what fails once Ctrl-C has come means nothing.
func (c *checker) try(ctx context.Context, name string, do func(context.Context) (detail string, err error)) bool {
	start := time.Now()
	detail, err := do(ctx)
	s := stage{Name: name, Result: stageOK, Detail: host.Printable(detail), Hint: host.Printable(c.lang.Hint(err)), TookMs: since(start)}
	switch {
	case err == nil && detail == "":
		return true
	case err == nil:
	case c.asked != nil && c.asked(err):
		s.Result, s.Detail, s.Hint = stageWarn, host.Printable(cmp.Or(detail, err.Error())), ""
		c.add(s)
		return false
	case health.IsWarning(err):
		s.Result = stageWarn
	case errors.Is(ctx.Err(), context.Canceled):
		s.Result, s.Detail, s.Hint = stageFail, interrupted, ""
	default:
		s.Result, s.Detail = stageFail, host.Printable(cmp.Or(detail, err.Error()))
	}
	c.add(s)
	return s.Result != stageFail
}

func since(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }

// add keeps the result of a stage, and shows it unless the result is one JSON
// document.
func (c *checker) add(s stage) {
	c.stages = append(c.stages, s)
	c.failed = c.failed || s.Result == stageFail
	if c.json {
		return
	}
	detail := strings.ReplaceAll(s.Detail, "\n", fmt.Sprintf("\n%-31s", ""))
	fmt.Fprintf(c.app.stdout, "%-4s  %-24s %s (%.0f ms)\n", s.Result, s.Name, detail, s.TookMs)
	if s.Hint != "" {
		fmt.Fprintf(c.app.stdout, "      %-24s hint: %s\n", "", s.Hint)
	}
}

func (c *checker) finish() {
	if c.json {
		_ = writeJSON(c.app.stdout, struct {
			OK     bool    `json:"ok"`
			Stages []stage `json:"stages"`
		}{!c.failed, c.stages})
	}
}

// page looks whether the local HTTP can be had. ours: the agent that answers there is
// that of this config.
func (c *checker) page(cfg *config.Config, answers, ours bool) (string, error) {
	addr := cfg.Agent.HTTPListen
	switch {
	case addr == "":
		return "", nil
	case ours:
		return "the running agent answers at " + addr, nil
	case answers:
		return "", nil // another agent: that is said already
	case c.running:
		return "the running agent does not answer at " + addr, &health.Trouble{Code: "page_unavailable"}
	}
	if err := web.CanListen(addr); err != nil {
		return err.Error(), err
	}
	return "no agent is running; " + addr + " is free for it", nil
}

// storeLosses are the problems of a store that works, and has not all records or soon will not.
var storeLosses = []string{"store_missed", "store_almost_full", "store_evicted", "store_quarantined"}

// store looks whether the store can be written and has space, and whether the store of
// the running agent accepts records; st is the zero value when none answers.
func (c *checker) store(cfg *config.Config, st health.Status) (detail string, warning error) {
	dir := cfg.Agent.DataDir
	info, err := buffer.InfoDir(dir)
	existing := nearest(dir)
	c.running = errors.Is(err, buffer.ErrLocked)
	if b := st.Buffer; b.State == "full" || b.State == "failed" { // also where data_dir was changed on disk
		return "", &health.Trouble{Code: health.StoreCode(b), Err: fmt.Errorf("the running agent's store accepts nothing: %s", b.Error)}
	}
	switch {
	case c.running:
		detail = dir + ": in use by the running agent"
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", &health.Trouble{Code: "store_unreadable", Err: err}
	default:
		f, tried := os.CreateTemp(existing, ".roomcall-check-*")
		if tried == nil {
			tried = errors.Join(f.Close(), os.Remove(f.Name()))
		}
		if tried != nil {
			return "", &health.Trouble{Code: "store_not_writable", Err: tried}
		}
		detail = existing + " is writable: no store yet, the agent makes it at its first start"
		if err == nil {
			detail = fmt.Sprintf("%s is writable: %d records wait, %s on disk", dir, info.Waiting, health.Bytes(info.DiskBytes))
		}
	}
	if every := cfg.Buffer.CommitInterval; every > 0 {
		detail += fmt.Sprintf("; polls are collected for %s before they are stored, a kill loses them (commit_interval)", every)
	}
	if n := len(run.DamagedFiles(dir)); n > 0 {
		detail += fmt.Sprintf(", %d damaged files kept for examination", n)
		warning = &health.Trouble{Code: "store_damaged_files"}
	}
	for _, p := range slices.Backward(c.lang.Problems(st, time.Now())) { // the worst last, whose hint is shown
		if slices.Contains(storeLosses, p.Code) {
			detail += "; " + p.What
			warning = &health.Trouble{Code: p.Code}
		}
	}
	free, err := host.DiskFree(existing)
	if err != nil {
		return detail, warning
	}
	detail += fmt.Sprintf(", %s free", health.Bytes(free))
	if small := tooSmall(free, info.DiskBytes, cfg.Buffer.MaxBytes); small != nil {
		warning = small
	}
	return detail, warning
}

// tooSmall is the trouble that the free space of a disk means for a store that uses
// so much of it, and may grow to limit; all in bytes.
func tooSmall(free, used, limit int64) error {
	switch {
	case free < health.SpaceMin:
		return &health.Trouble{Code: "store_full"}
	case free < limit-used:
		return &health.Trouble{Code: "disk_small", Facts: health.Facts{"limit": health.Bytes(limit)}}
	}
	return nil
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

// plausibleSince is a time that no right clock shows any more.
var plausibleSince = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock looks whether the wall clock can be right.
func clock(context.Context) (string, error) {
	now := time.Now()
	detail := now.UTC().Format(time.RFC3339)
	synchronized, known := host.ClockSynchronized()
	switch {
	case now.Before(plausibleSince):
		return "", &health.Trouble{Code: "clock_in_past", Err: errors.New(detail + ": in the past")}
	case known && !synchronized:
		return detail + ": the system says that it is not synchronized", &health.Trouble{Code: "clock_not_synchronized"}
	case known:
		return detail + ", synchronized", nil
	}
	return detail, nil
}

// endpoint goes the way to one device.
func (c *checker) endpoint(ctx context.Context, cfg *config.Config, e config.Endpoint) {
	name := "endpoint " + e.Device
	client, err := run.NewEndpoint(cfg, e, c.tryLogin, c.app.complainUntold)
	if err != nil {
		c.try(ctx, name, func(context.Context) (string, error) { return "", err })
		return
	}
	runStages(ctx, c, name, client.Stages())
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Timeout)
	defer cancel()
	_ = client.Close(leave)
}

// secretChanged: the broker's password may be another one since the agent started, and
// no hash tells.
func secretChanged(m config.MQTT, files []string, since time.Time) bool {
	if m.PasswordFile != "" {
		files = []string{m.PasswordFile}
	} else if !m.Password.IsSet() {
		return false
	}
	return slices.ContainsFunc(files, func(path string) bool {
		st, err := os.Stat(path)
		return err == nil && st.ModTime().After(since)
	})
}

const (
	proofPatience  = 40 * time.Second // for a connection and its delivery proof
	settlePatience = 8 * time.Second  // for a running agent that has just started
)

// broker goes the way to every broker. While the agent runs its own connection
// is looked at instead: a second one with its client id would throw it out. But the
// config on disk is tried for itself, with another client id, where the agent runs
// with another one or is refused: the secret may be right by now. ours: the agent of
// this config answers; same: it has the config and password that are on disk.
func (c *checker) broker(ctx context.Context, cfg *config.Config, ours, same bool) {
	if ours {
		c.running = true
		if b, ok := settledBroker(ctx, cfg); ok && same && b.Class != "login" {
			c.runningBroker(b)
			return
		}
	}
	client, err := publish.New(run.PublishConfig(cfg))
	if err != nil {
		c.try(ctx, "broker", func(context.Context) (string, error) { return "", err })
		return
	}
	for i := range cfg.MQTT.Brokers {
		name := "broker"
		if len(cfg.MQTT.Brokers) > 1 {
			name = fmt.Sprintf("broker %d", i+1)
		}
		// While an agent that cannot be asked has the store open, another client id
		// keeps the check from throwing it out.
		ctx, cancel := context.WithTimeout(ctx, proofPatience)
		runStages(ctx, c, name, client.Stages(i, !c.running))
		cancel()
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

// runningStatus asks the agent that answers at the address of this config, if one does.
func runningStatus(ctx context.Context, cfg *config.Config) (st health.Status, ok bool) {
	if cfg.Agent.HTTPListen == "" {
		return st, false
	}
	body, err := askAgent(ctx, cfg, "/api/v1/status")
	if err != nil || json.Unmarshal(body, &st) != nil {
		return st, false
	}
	return st, true
}

// runningBroker shows how the running agent's own connection is.
func (c *checker) runningBroker(b health.Broker) {
	hint := host.Printable(cmp.Or(c.lang.HintFor(b.Advice.Code, b.Advice.Facts), b.Hint))
	s := stage{Name: "broker", Result: stageOK, Detail: fmt.Sprintf("%s: the running agent is %s", host.Printable(b.URL), host.Printable(b.State))}
	switch {
	case b.State == string(publish.Connected):
	case b.Error == "":
		s.Result, s.Hint = stageWarn, "ask again in a moment"
	default:
		s.Result, s.Detail, s.Hint = stageFail, s.Detail+": "+host.Printable(b.Error), hint
	}
	c.add(s)
	if b.State != string(publish.Connected) {
		return
	}
	s = stage{Name: "broker echo", Result: stageWarn, Detail: b.Proof, Hint: hint}
	if b.ProofDetail != "" {
		s.Detail += ": " + host.Printable(b.ProofDetail)
	}
	switch publish.ProofState(b.Proof) {
	case publish.ProofProven:
		s.Result = stageOK
	case publish.ProofFailed:
		s.Result = stageFail
	}
	c.add(s)
}
