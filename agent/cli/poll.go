package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/agent/run"
	"roomcall/cgi"
)

// pollFlags choose how a poll is shown.
type pollFlags struct{ json, raw, watch, tryLogin bool }

func (a *app) pollCommand() *cobra.Command {
	var f pollFlags
	cmd := &cobra.Command{
		Use:   "poll [DEVICE]",
		Short: "Poll the endpoint now and show its status",
		Long: `Polls the endpoint now, beside a running agent, and shows the decoded result.
Nothing is kept or published; the ids of --json are not those of the store.
A login that was refused, to the agent or to another command, is not tried again
before its time unless --try-login is set: endpoints lock accounts. A login that works
ends the agent's wait.
Exit code 1 when an endpoint returned no status.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			if f.json && f.raw {
				return usageError{errors.New("--json and --raw do not go together")}
			}
			cfg, _, err := a.load()
			if err != nil {
				return err
			}
			chosen, err := chooseEndpoints(cfg, list)
			if err != nil {
				return err
			}
			return a.poll(cmd.Context(), cfg, chosen, f)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "the sample payload, one line a poll")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "the bytes the endpoint sent")
	cmd.Flags().BoolVar(&f.tryLogin, "try-login", false, tryLoginText)
	cmd.Flags().BoolVar(&f.watch, "watch", false, "poll again and again until Ctrl-C")
	return cmd
}

const tryLoginText = "log in also where that was refused before"

// complainUntold explains why the agent does not know that the login works.
func (a *app) complainUntold(err error) {
	fmt.Fprintf(a.stderr, "The login works, and the agent cannot be told: %s\n  hint: restart it, or run this command as its user or as root\n", host.Printable(err.Error()))
}

func chooseEndpoints(cfg *config.Config, list []string) ([]config.Endpoint, error) {
	if len(list) == 0 {
		return cfg.Endpoints, nil
	}
	if e := cfg.Endpoint(list[0]); e != nil {
		return []config.Endpoint{*e}, nil
	}
	text := fmt.Sprintf("no endpoint %q in the config; there are:", list[0])
	for _, e := range cfg.Endpoints {
		text += " " + e.Device
	}
	return nil, usageError{errors.New(text)}
}

// poll polls the chosen endpoints once, or at their pace with --watch.
func (a *app) poll(ctx context.Context, cfg *config.Config, chosen []config.Endpoint, f pollFlags) error {
	host.SilenceLibraries()
	key, err := run.PeerKey(cfg.Agent)
	if err != nil {
		return err
	}
	reporter, err := run.NewReporter(a.version, cfg, time.Now().Unix(), key)
	if err != nil {
		return err
	}
	var list []*shownPoll
	for _, e := range chosen {
		client, err := run.NewEndpoint(cfg, e, f.tryLogin, a.complainUntold)
		if err != nil {
			return err
		}
		defer func() {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Timeout)
			defer cancel()
			_ = client.Close(closing)
		}()
		list = append(list, &shownPoll{endpoint: e, client: client, reporter: reporter, flags: f, out: a.stdout, errs: a.stderr, lang: langOf(cfg)})
	}
	if f.watch {
		return a.pollOn(ctx, list)
	}
	_, err = pollOnce(ctx, list)
	return err
}

// pollOnce polls one endpoint after the other. The error is the last one's, interval the
// shortest of theirs.
func pollOnce(ctx context.Context, list []*shownPoll) (interval time.Duration, failed error) {
	for _, s := range list {
		each, err := s.once(ctx)
		if err != nil {
			failed = err
		}
		if each > 0 && (interval == 0 || each < interval) {
			interval = each
		}
	}
	return interval, failed
}

// pollOn polls at the endpoints' pace until Ctrl-C. On a terminal the tables of a round
// take the place of those of the round before; elsewhere, and as JSON or raw bytes, they
// follow each other.
func (a *app) pollOn(ctx context.Context, list []*shownPoll) error {
	var round strings.Builder
	screen := redrawn{out: a.stdout}
	redraw := host.IsTerminal(a.stdout) && host.UnderstandsEscapes(a.stdout) && !list[0].flags.json && !list[0].flags.raw
	if redraw {
		for _, s := range list {
			s.out, s.errs = &round, &round
		}
	}
	for {
		interval, err := pollOnce(ctx, list)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errReported) {
			return err
		}
		if redraw {
			fmt.Fprintf(&round, "%s  Ctrl-C\n", time.Now().Format("15:04:05"))
			if err := screen.draw(round.String()); err != nil {
				return err
			}
			round.Reset()
		}
		wait := time.NewTimer(interval)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
	}
}

// shownPoll polls one endpoint for a person.
type shownPoll struct {
	endpoint  config.Endpoint
	client    *cgi.Client
	reporter  *report.Reporter
	flags     pollFlags
	out, errs io.Writer
	lang      health.Lang
	state     report.State
}

// once polls and shows. The error says that there was no status; it is on the
// screen already.
func (s *shownPoll) once(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	status, err := s.client.Poll(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	at := time.Now()
	st, out := s.reporter.Poll(s.state, report.Poll{
		Device: s.endpoint.Device, At: at, Took: at.Sub(start), Status: status, Err: err,
	})
	s.state = st
	if shown := s.show(status, err, at.Sub(start), out); shown != nil {
		return 0, shown
	}
	if err != nil {
		return out.Interval, errReported
	}
	return out.Interval, nil
}

func (s *shownPoll) show(status cgi.Status, err error, took time.Duration, out report.Output) error {
	stdout := s.out
	switch {
	case s.flags.raw && len(status.Raw) > 0:
		rerr := writeRaw(stdout, status.Raw)
		if err != nil {
			s.complain(err)
		}
		return rerr
	case s.flags.json:
		_, werr := fmt.Fprintf(stdout, "%s\n", out.Sample)
		return werr
	case err != nil:
		s.complain(err)
		return nil
	default:
		return writePoll(stdout, s.lang, s.endpoint, status, took, out.Sample)
	}
}

// complain explains on stderr why there is no status.
func (s *shownPoll) complain(err error) {
	fmt.Fprintf(s.errs, "%s: %s\n", s.endpoint.Device, host.Printable(err.Error()))
	if hint := s.lang.Hint(err); hint != "" {
		fmt.Fprintf(s.errs, "  hint: %s\n", host.Printable(hint))
	}
}

func writeRaw(w io.Writer, raw []byte) error {
	_, err := w.Write(raw)
	if err == nil && (len(raw) == 0 || raw[len(raw)-1] != '\n') {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

// writePoll shows a status as a table: one row a stream, a dash for what the
// endpoint did not report.
func writePoll(out io.Writer, lang health.Lang, e config.Endpoint, st cgi.Status, took time.Duration, sample []byte) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  answered in %d ms\n", e.Device, callText(st), took.Milliseconds())
	var meaning struct{ Grade, Reasons string }
	_ = json.Unmarshal(sample, &struct {
		Grade   *string `json:"grade"`
		Reasons *string `json:"grade_reasons"`
	}{&meaning.Grade, &meaning.Reasons})
	if st.Call == cgi.CallActive {
		fmt.Fprintf(&b, "grade: %s%s\n", meaning.Grade, reasons(meaning.Reasons))
		if what, hint := lang.Call(health.CallOf(sample, nil)); meaning.Grade != "good" {
			fmt.Fprintln(&b, what)
			if hint != "" {
				fmt.Fprintf(&b, "hint: %s\n", hint)
			}
		}
	}
	if st.SourceAPI != "" {
		fmt.Fprintf(&b, "source: %s\n", st.SourceAPI)
	}
	writeStreams(&b, st)
	if st.ErrID != 0 || st.ErrCode != 0 {
		fmt.Fprintf(&b, "refused by the endpoint: id %d, code %d\n", st.ErrID, st.ErrCode)
	}
	if w := st.Warning(); w != nil {
		fmt.Fprintf(&b, "hint: %s\n", host.Printable(lang.Hint(w)))
	}
	for _, q := range st.NotUnderstood {
		fmt.Fprintf(&b, "not understood: %s = %q\n", host.Printable(q.Key), q.Text)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func callText(st cgi.Status) string {
	text := map[cgi.CallState]string{cgi.CallActive: "in a call", cgi.CallIdle: "idle"}[st.Call]
	if text == "" {
		text = "call state unknown"
	}
	if st.JoinMinutes.Known && st.Call == cgi.CallActive {
		text += fmt.Sprintf(" for %g min", st.JoinMinutes.Value)
	}
	if st.Model != "" {
		text = host.Printable(st.Model) + ", " + text
	}
	return text
}

func reasons(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func writeStreams(b *strings.Builder, st cgi.Status) {
	w := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	rows, assumed := 0, false
	row := func(name string, s cgi.Stream) {
		if !s.Active {
			return
		}
		if rows == 0 {
			fmt.Fprintln(w, "STREAM\tkbit/s\tLOSS %\tLOST\tJITTER ms\tDELAY ms\tFPS\tSIZE\tCODEC")
		}
		rows++
		assumed = assumed || s.WidthAssumed
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, num(s.BitrateKbps), num(s.LossPct),
			num(s.LossPackets), num(s.JitterMs), num(s.DelayMs), num(s.FPS), frameSize(s), dash(host.Printable(s.Codec)))
	}
	row("audio send", st.AudioSend)
	row("audio recv", st.AudioRecv)
	for i, s := range st.VideoSend {
		row(fmt.Sprintf("video send %d", i), s)
	}
	for i, s := range st.VideoRecv {
		row(fmt.Sprintf("video recv %d", i), s)
	}
	row("aux send", st.AuxSend)
	row("aux recv", st.AuxRecv)
	_ = w.Flush()
	switch {
	case rows == 0:
		b.WriteString("no active stream\n")
	case assumed:
		b.WriteString("* the endpoint reports only the height; the width assumes 16:9\n")
	}
}

func num(r cgi.Reading) string {
	if !r.Known {
		return "-"
	}
	return strconv.FormatFloat(r.Value, 'f', -1, 64)
}

func frameSize(s cgi.Stream) string {
	if s.Height == 0 {
		return "-"
	}
	if s.Width == 0 {
		return fmt.Sprintf("?x%d", s.Height)
	}
	mark := ""
	if s.WidthAssumed {
		mark = "*"
	}
	return fmt.Sprintf("%dx%d%s", s.Width, s.Height, mark)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
