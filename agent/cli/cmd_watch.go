package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
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
no login. When the output is no terminal, each change is one line.`,
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
// is given and none is there.
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
			return usageError{fmt.Errorf("--filter %q: # stands alone, as the last level", filter)}
		case strings.Contains(level, "+") && level != "+":
			return usageError{fmt.Errorf("--filter %q: + stands alone in its level", filter)}
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
			return usageError{fmt.Errorf("--broker: %w; %s", failure.Err, failure.Hint)} // the config's own is checked
		}
		if first {
			return withHint(err)
		}
		w.setNote(err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(publish.FollowBackoff):
		}
	}
}

func withHint(err error) error {
	if hint := health.Hint(err); hint != "" {
		return fmt.Errorf("%w\nhint: %s", err, hint)
	}
	return err
}

func (w *watcher) up(broker string) { w.setNote("connected to " + broker) }

func (w *watcher) setNote(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note = text
}

// handle takes one message; it does not block for long.
func (w *watcher) handle(m publish.Received) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row := w.fleet.take(m.Topic, m.Payload, time.Now())
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
