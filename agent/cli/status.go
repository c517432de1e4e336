package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
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
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the running agent is doing",
		Long: `Asks the running agent over its local HTTP ([agent] http_listen): first whether all
is well, then what is wrong, since when and what to do, then rooms, broker, store
and versions. Of an agent with many rooms only those that want attention are shown,
unless --all is set. While the store catches up after an outage, the pace is measured
for a second to say how long it will take.

Exit code 1 when no agent answers, when another agent does, and when something is
wrong (FAIL). Works for every user, and with a wrong config: where http_listen cannot
be read, the default address is asked.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.status(cmd.Context(), asJSON, all)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	cmd.Flags().BoolVar(&all, "all", false, "every room, also of an agent with many")
	return cmd
}

func (a *app) status(ctx context.Context, asJSON, all bool) error {
	cfg, _, unread := a.look()
	asked := cfg
	if unread != nil {
		listen := config.Listen(config.ResolvePath(a.configFlag, a.getenv), config.Options{Elsewhere: true})
		fmt.Fprintf(a.stderr, "warning: the config is wrong or cannot be read; the agent at %s is asked:\n%v\n", listen, unread)
		asked = &config.Config{Agent: config.Agent{HTTPListen: listen}}
	}
	body, err := askStatus(ctx, asked)
	if err != nil && unread != nil && !errors.Is(unread, fs.ErrPermission) {
		fmt.Fprintf(a.stderr, "roomcall: %s\n", printableLines(err.Error()))
		return errReportedConfig
	}
	if err != nil {
		return err
	}
	var st health.Status
	if err := json.Unmarshal(body, &st); err != nil {
		return fmt.Errorf("read the agent's status: %w", err)
	}
	lang := langOf(cfg)
	report := statusReport{lang: lang, status: st, now: time.Now(), other: otherAgent(lang, cfg, st), all: all, version: a.version}
	if asJSON {
		if _, err = io.WriteString(a.stdout, safeJSON(string(body))); err != nil {
			return err
		}
		if len(report.other) > 0 {
			fmt.Fprint(a.stderr, a.styled(a.stderr, problemLines(report.other, lang, report.now)))
		}
	} else {
		report.status, report.rate = catchingUp(ctx, asked, st)
		report.now = time.Now()
		if _, err = io.WriteString(a.stdout, a.styled(a.stdout, report.text())); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(report.problems(), func(p health.Problem) bool { return p.Bad }) {
		return errReported
	}
	return nil
}

// askStatus asks the running agent of a config.
func askStatus(ctx context.Context, cfg *config.Config) ([]byte, error) {
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

// statusReport is the status as people read it in a terminal, with styles. It holds no
// control characters of others, whatever an endpoint or a broker sent.
type statusReport struct {
	lang    health.Lang
	status  health.Status
	now     time.Time
	other   []health.Problem // who answers, see otherAgent
	all     bool             // every room
	version string           // of this command
	rate    float64          // records a second by which the store catches up, 0 = not known
}

// problems are all that is wrong, who answers first.
func (r *statusReport) problems() []health.Problem {
	return append(slices.Clone(r.other), r.lang.Problems(r.status, r.now)...)
}

// So many problems and rooms are shown unless all are asked for.
const (
	problemsShown = 12
	roomsShown    = 12
)

func (r *statusReport) text() string {
	w, s := statusWords[r.lang], r.status
	var b strings.Builder
	problems := r.problems()
	verdict := green("ok    " + w.well)
	if len(problems) > 0 {
		verdict = yellow("warn  " + w.warnings)
	}
	if slices.ContainsFunc(problems, func(p health.Problem) bool { return p.Bad }) {
		verdict = red("FAIL  " + w.wrong)
	}
	b.WriteString(bold(verdict) + "\n")
	shown := problems
	if !r.all {
		shown = problems[:min(len(problems), problemsShown)]
	}
	b.WriteString(problemLines(shown, r.lang, r.now))
	if more := len(problems) - len(shown); more > 0 {
		b.WriteString("      " + fmt.Sprintf(w.moreProblems, more) + "  " + dim(w.more) + "\n")
	}
	b.WriteByte('\n')
	r.rooms(&b)
	line := func(name, text string) { b.WriteString(fit(name, 10) + host.Printable(text) + "\n") }
	line(w.broker, r.lang.State("broker", s.Broker.State)+", "+r.broker())
	line(w.store, r.lang.State("store", s.Buffer.State)+", "+r.store())
	if s.Log.Lost > 0 {
		line(w.log, fmt.Sprintf(w.lost, s.Log.Lost))
	}
	agent := s.ClientID + ", " + fmt.Sprintf(w.version, s.Version)
	if s.Version != r.version {
		agent += fmt.Sprintf(w.ofCommand, r.version)
	}
	line(w.agent, agent+", "+fmt.Sprintf(w.up, r.lang.For(time.Duration(s.UptimeS)*time.Second)))
	return b.String()
}

// problemLines are a paragraph a problem: what is wrong, the next step, the detail.
func problemLines(all []health.Problem, lang health.Lang, now time.Time) string {
	w := statusWords[lang]
	var b strings.Builder
	for _, p := range all {
		mark := yellow("warn")
		if p.Bad {
			mark = red("FAIL")
		}
		since := ""
		if at := lang.Clock(p.Since, now); at != "" && !strings.Contains(p.What, at) && !strings.Contains(p.What, lang.For(now.Sub(p.Since))) {
			since = dim(fmt.Sprintf(w.since, at))
		}
		fmt.Fprintf(&b, "%s  %s%s\n", mark, host.Printable(p.What), since)
		if p.Hint != "" {
			fmt.Fprintf(&b, "      %s: %s\n", w.hint, host.Printable(p.Hint))
		}
		if p.Detail != "" {
			fmt.Fprintf(&b, "      %s\n", dim(host.Printable(p.Detail)))
		}
	}
	return b.String()
}

// rooms are a line a room, the worst first. Of many only those that want attention are
// shown, and the others are counted.
func (r *statusReport) rooms(b *strings.Builder) {
	w := statusWords[r.lang]
	rooms := slices.Clone(r.status.Endpoints)
	slices.SortStableFunc(rooms, func(x, y health.Endpoint) int { return cmp.Compare(r.rank(x), r.rank(y)) })
	shown := rooms
	if !r.all && len(rooms) > roomsShown {
		shown = shown[:roomsShown]
		for len(shown) > 0 && r.rank(shown[len(shown)-1]) > rankStale {
			shown = shown[:len(shown)-1]
		}
	}
	name, state := host.Columns(w.room), host.Columns(w.state)
	for _, e := range shown {
		name = min(max(name, host.Columns(host.Printable(e.RoomName()))), 40)
		state = min(max(state, host.Columns(e.Headline(r.lang, r.now))), 40)
	}
	if len(shown) > 0 {
		b.WriteString(dim(fit(w.room, name)+"  "+fit(w.state, state)+"  "+w.polled) + "\n")
	}
	for _, e := range shown {
		polled := cmp.Or(r.lang.Ago(e.LastPoll, r.now), "-")
		b.WriteString(fit(host.Printable(e.RoomName()), name) + "  " + paint(r.rank(e), fit(e.Headline(r.lang, r.now), state)) + "  " + polled + "\n")
	}
	if len(shown) < len(rooms) {
		var n [ranks]int
		for _, e := range rooms {
			n[r.rank(e)]++
		}
		line := fmt.Sprintf(watchWords[r.lang].rooms, len(rooms))
		for at, count := range n {
			if count > 0 {
				line += "  " + paint(rank(at), fmt.Sprintf("%d %s", count, watchWords[r.lang].ranks[at]))
			}
		}
		b.WriteString(line + "  " + dim(w.more) + "\n")
	}
	b.WriteByte('\n')
}

// rank is how much an endpoint wants attention, in the order of watch.
func (r *statusReport) rank(e health.Endpoint) rank {
	silent := r.now.Sub(e.LastPoll) > time.Duration(health.MissedIntervals*e.IntervalS*float64(time.Second))
	return rankOf(e.State, cmp.Or(e.CallGrade, e.Grade), silent)
}

func (r *statusReport) broker() string {
	w, k := statusWords[r.lang], r.status.Broker
	line := k.URL + ", " + fmt.Sprintf(w.delivered, k.Acked)
	if k.Acked > 0 && !k.LastAck.IsZero() { // the broker may acknowledge what it drops
		line += ", " + fmt.Sprintf(w.last, r.lang.Ago(k.LastAck, r.now))
	}
	if k.Proof != "" {
		line += ", " + fmt.Sprintf(w.proof, r.lang.State("proof", k.Proof))
	}
	return line
}

func (r *statusReport) store() string {
	w, b := statusWords[r.lang], r.status.Buffer
	line := fmt.Sprintf(w.waiting, b.Waiting)
	if !b.Oldest.IsZero() {
		line += " (" + fmt.Sprintf(w.oldest, r.lang.Ago(b.Oldest, r.now)) + ")"
	}
	if r.rate > 0 {
		line += ", " + fmt.Sprintf(w.catchingUp, r.rate, r.lang.For(time.Duration(float64(b.Waiting)/r.rate*float64(time.Second))))
	} else if r.rate < 0 {
		line += ", " + w.growing
	}
	if b.CommitIntervalS > 0 {
		line += ", " + fmt.Sprintf(w.collected, b.Collected, r.lang.For(time.Duration(b.CommitIntervalS*float64(time.Second))))
	}
	line += fmt.Sprintf(", %s / %s", health.Bytes(b.BytesOnDisk), health.Bytes(b.MaxBytes))
	if room := r.roomLeft(); room > 0 {
		line += ", " + fmt.Sprintf(w.roomLeft, r.lang.For(room))
	}
	return line
}

// roomLeft is for how long the store and its disk will still have room at the pace so far,
// while the broker is away; 0 = not known.
func (r *statusReport) roomLeft() time.Duration {
	b := r.status.Buffer
	const least = 100 // records, for the size of one to be known
	if r.status.Broker.State == "connected" || b.State != "open" || b.Waiting < least || b.BytesOnDisk <= 0 || b.MaxBytes <= 0 {
		return 0
	}
	waited := r.now.Sub(b.Oldest)
	mine := float64(b.BytesOnDisk) * float64(b.Waiting) / float64(b.Waiting+b.DeliveredKept) // what is delivered goes first
	room := float64(b.MaxBytes) - mine
	if b.DiskFree != nil {
		room = min(room, float64(*b.DiskFree+b.BytesOnDisk)-mine)
	}
	return time.Duration(float64(waited) * max(room, 0) / mine).Round(time.Minute)
}

const (
	// backlog is how many records wait when the pace of catching up is worth a look.
	backlog = 1000
	// paceFor is how long that look takes.
	paceFor = time.Second
)

// catchingUp looks again after a moment at an agent with a backlog: how it is then, and
// by how many records a second the backlog shrinks. A negative rate means that it does
// not; 0 = there is none, or it is not known.
func catchingUp(ctx context.Context, cfg *config.Config, st health.Status) (later health.Status, rate float64) {
	if st.Buffer.Waiting < backlog || st.Broker.State != "connected" {
		return st, 0
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return st, 0
	case <-time.After(paceFor):
	}
	body, err := askStatus(ctx, cfg)
	if err != nil || json.Unmarshal(body, &later) != nil {
		return st, 0
	}
	rate = (float64(st.Buffer.Waiting) - float64(later.Buffer.Waiting)) / time.Since(began).Seconds()
	if rate <= 0 {
		rate = -1
	}
	return later, rate
}

// statusText are the fixed words of the status; what is wrong is said by agent/health.
type statusText struct {
	well, warnings, wrong, hint, since         string
	room, state, polled, more, moreProblems    string
	broker, store, log, agent                  string
	delivered, last, proof                     string
	waiting, oldest, catchingUp, growing, lost string
	roomLeft, collected                        string
	version, ofCommand, up                     string
}

var statusWords = map[health.Lang]statusText{
	health.English: {
		well: "All is well.", warnings: "It works, with warnings.", wrong: "Something is wrong.", hint: "hint", since: "  since %s",
		room: "ROOM", state: "STATE", polled: "POLLED", more: "(--all shows each)", moreProblems: "and %d more",
		broker: "broker", store: "store", log: "log", agent: "agent",
		delivered: "%d delivered", last: "last %s", proof: "delivery %s",
		waiting: "%d waiting", oldest: "oldest %s", catchingUp: "catching up at %.0f/s, about %s left", growing: "not getting fewer",
		collected: "%d polls not stored yet (stored every %s)", roomLeft: "room for about %s more", lost: "%d lines lost",
		version: "version %s", ofCommand: " (this command: %s)", up: "up %s",
	},
	health.Chinese: {
		well: "一切正常。", warnings: "工作正常，但有警告。", wrong: "存在问题。", hint: "建议", since: "  自 %s",
		room: "会议室", state: "状态", polled: "采集", more: "（--all 显示全部）", moreProblems: "另有 %d 个问题",
		broker: "MQTT", store: "存储", log: "日志", agent: "采集代理",
		delivered: "已送达 %d 条", last: "最近 %s", proof: "送达验证%s",
		waiting: "待发 %d 条", oldest: "最早 %s", catchingUp: "正在补发，%.0f 条/秒，约剩 %s", growing: "积压未减少",
		collected: "%d 次采集尚未写入（写入间隔 %s）", roomLeft: "约可再存 %s", lost: "丢失 %d 行",
		version: "版本 %s", ofCommand: "（本命令：%s）", up: "已运行 %s",
	},
}
