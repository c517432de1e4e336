package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
	"roomcall/publish"
)

type watchFlags struct {
	broker, filter string
}

func (a *app) watchCommand() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Follow the fleet from the broker in a live table",
		Long: `Follows the fleet from the broker until Ctrl-C: one row a device, with state,
grade, worst metric and age, the worst first. Broker, user and TLS come from the
config's [mqtt]; without a config --broker is enough for a broker that asks for
no login. When the output is not a terminal, each change is one line.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, filters, err := a.watchTarget(f)
			if err != nil {
				return err
			}
			w := &watcher{out: a.stdout, live: host.IsTerminal(a.stdout), fleet: newFleet()}
			return w.run(cmd.Context(), cfg, filters)
		},
	}
	cmd.Flags().StringVar(&f.broker, "broker", "", "broker URL (default: the config's first)")
	cmd.Flags().StringVar(&f.filter, "filter", "", "topic filter (default: every state below topic_prefix)")
	return cmd
}

// watchTarget chooses broker and topics. A config is not needed when --broker
// is set and there is none.
func (a *app) watchTarget(f watchFlags) (publish.Config, []string, error) {
	target := publish.Config{ClientID: "roomcall-watch", Prefix: "roomcall/v1"}
	cfg, _, err := a.load()
	switch {
	case err == nil:
		target = run.PublishConfig(cfg)
		target.ClientID += "-watch"
	case f.broker == "" || a.configFlag != "" || a.getenv(config.EnvConfig) != "":
		return target, nil, err
	}
	if f.broker != "" {
		target.Brokers = []string{f.broker}
	}
	if strings.Contains(f.broker, "@") {
		return target, nil, usageError{fmt.Errorf("--broker must hold no user and password: put them into the config's [mqtt]")}
	}
	if f.filter != "" {
		return target, []string{f.filter}, checkFilter(f.filter)
	}
	return target, []string{target.Prefix + "/+/+/state", target.Prefix + "/+/availability"}, nil
}

// checkFilter holds a topic filter to MQTT 3.1.1, section 4.7.1: a broker that
// gets a bad one just hangs up.
func checkFilter(filter string) error {
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		hash := strings.Contains(level, "#")
		switch {
		case hash && (level != "#" || i < len(levels)-1):
			return usageError{fmt.Errorf("--filter %q: # must be alone, as the last level", filter)}
		case strings.Contains(level, "+") && level != "+":
			return usageError{fmt.Errorf("--filter %q: + must be alone in its level", filter)}
		}
	}
	return nil
}

// watcher shows the fleet.
type watcher struct {
	out   io.Writer
	live  bool // redraw a table; else a line for each change
	mu    sync.Mutex
	fleet *fleet
	note  string // about the connection
}

func (w *watcher) run(ctx context.Context, cfg publish.Config, filters []string) error {
	if w.live {
		go w.redraw(ctx)
	}
	for first := true; ; first = false {
		err := publish.Follow(ctx, cfg, filters, w.up, w.handle)
		if err == nil {
			return nil
		}
		var failure *publish.Error
		if first && errors.As(err, &failure) && failure.Class == publish.ClassConfig {
			return usageError{fmt.Errorf("--broker: %w; %s", failure.Err, health.English.Hint(failure))} // the config's own is checked
		}
		if first {
			return err
		}
		w.setNote(err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(publish.FollowBackoff):
		}
	}
}

func (w *watcher) up(broker string) { w.setNote("connected to " + broker) }

func (w *watcher) setNote(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note = text
}

// handle handles one message; it does not block for long.
func (w *watcher) handle(m publish.Received) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row := w.fleet.add(m.Topic, m.Payload, time.Now())
	if row != nil && !w.live {
		fmt.Fprintln(w.out, row.line())
	}
}

// redraw draws the table every second.
func (w *watcher) redraw(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.mu.Lock()
		table, note := w.fleet.table(time.Now()), w.note+"  (Ctrl-C ends)"
		w.mu.Unlock()
		var size host.Screen
		if f, ok := w.out.(*os.File); ok {
			size = host.ScreenOf(f)
		}
		text := size.Fit(table, note)
		_, _ = io.WriteString(w.out, "\x1b[H\x1b[2J"+text)
	}
}

// fleetMax bounds the rows, whatever a broker sends.
const fleetMax = 20_000

// fleet is the newest state of many agents.
type fleet struct {
	rows  map[string]*fleetRow
	agent map[string]string // client id -> availability
}

func newFleet() *fleet {
	return &fleet{rows: map[string]*fleetRow{}, agent: map[string]string{}}
}

// fleetRow is one device.
type fleetRow struct {
	client, device, room, state, grade, worst string
	code                                      float64 // grade_code
	at                                        time.Time
}

// add reads one message; nil when it is not the state of a device.
func (f *fleet) add(topic string, payload []byte, now time.Time) *fleetRow {
	levels := strings.Split(topic, "/")
	if n := len(levels); n >= 2 && levels[n-1] == "availability" {
		f.agent[levels[n-2]] = host.Printable(string(payload[:min(len(payload), 16)]))
		return nil
	}
	var sample map[string]any
	if json.Unmarshal(payload, &sample) != nil {
		return nil
	}
	text := func(key string) string { s, _ := sample[key].(string); return host.Printable(s) }
	if !strings.HasPrefix(text("schema"), "roomcall.sample/") {
		return nil
	}
	row := &fleetRow{client: text("client_id"), device: text("device"), room: text("room"),
		state: text("endpoint_state"), grade: text("grade"), at: now}
	if ms, ok := sample["ts_ms"].(float64); ok {
		row.at = time.UnixMilli(int64(ms))
	}
	row.code, _ = sample["grade_code"].(float64)
	row.worst = worstOf(sample, text("grade_reasons"), text("err"))
	key := row.client + "/" + row.device
	if f.rows[key] == nil && len(f.rows) >= fleetMax {
		return nil
	}
	f.rows[key] = row
	return row
}

// worstOf is the metric that a person should look at: the first that is beyond a
// limit, else the highest loss.
func worstOf(sample map[string]any, reasons, failure string) string {
	if failure != "" {
		return failure
	}
	first, _, _ := strings.Cut(reasons, ",")
	if first != "" {
		key := reasonKey(first)
		v, ok := sample[key].(float64)
		if !ok {
			return first
		}
		return first + " " + number(v) + unitOf(key)
	}
	worst, key := -1.0, ""
	for k, v := range sample {
		if x, ok := v.(float64); ok && strings.HasSuffix(k, "_loss_pct") && (x > worst || x == worst && k < key) {
			worst, key = x, k
		}
	}
	if key == "" {
		return ""
	}
	return strings.TrimSuffix(key, "_pct") + " " + number(worst) + " %"
}

// reasonKey is the sample's key that a reason speaks of.
func reasonKey(reason string) string {
	for end, unit := range map[string]string{"_loss": "_pct", "_jitter": "_ms", "_delay": "_ms"} {
		if strings.HasSuffix(reason, end) {
			return reason + unit
		}
	}
	return reason
}

// unitOf is the unit in a key, as people write it.
func unitOf(key string) string {
	for end, unit := range map[string]string{"_pct": " %", "_ms": " ms", "_fps": " fps"} {
		if strings.HasSuffix(key, end) {
			return unit
		}
	}
	return ""
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (r *fleetRow) line() string {
	return strings.Join([]string{r.at.UTC().Format(time.RFC3339), r.client, r.device, dash(r.state), dash(r.grade), dash(r.worst), r.room}, "  ")
}

// table shows the fleet, the worst first.
func (f *fleet) table(now time.Time) string {
	rows := make([]*fleetRow, 0, len(f.rows))
	for _, r := range f.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *fleetRow) int {
		return cmp.Or(cmp.Compare(b.code, a.code), cmp.Compare(a.client, b.client), cmp.Compare(a.device, b.device))
	})
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "AGENT\tDEVICE\tSTATE\tGRADE\tWORST\tAGE\tROOM")
	for _, r := range rows {
		agent := r.client
		if said := f.agent[r.client]; said != "" && said != "online" {
			agent += " (" + said + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", agent, r.device, dash(r.state), dash(r.grade), dash(r.worst), health.Age(now.Sub(r.at)), r.room)
	}
	_ = w.Flush()
	return b.String()
}
