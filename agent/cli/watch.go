package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/health"
	"roomcall/agent/host"
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
		Long: `Follows the fleet from the broker until q or Ctrl-C: one row a device, with state,
grade, worst metric and age, the worst first. Broker, user and TLS come from the
config's [mqtt]; without a config --broker is enough for a broker that asks for
no login.

Keys: arrows, PgUp, PgDn, Home and End choose a room, Enter shows it with what
its call suffers from and what was seen of it; / filters, s sorts, q ends.

When the output is not a terminal, each change of a state, a grade or the worst
metric is one line. A room without news for two minutes is stale; one that reports
less often is stale after three times its longest pause.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, filters, lang, err := a.watchTarget(f)
			if err != nil {
				return err
			}
			w := &watcher{app: a, fleet: newFleet(), now: time.Now}
			return w.run(cmd.Context(), cfg, filters, lang)
		},
	}
	cmd.Flags().StringVar(&f.broker, "broker", "", "broker URL (default: the config's first)")
	cmd.Flags().StringVar(&f.filter, "filter", "", "topic filter (default: every state below topic_prefix)")
	return cmd
}

// watchTarget chooses broker, topics and language.
func (a *app) watchTarget(f watchFlags) (target publish.Config, filters []string, lang health.Lang, err error) {
	target, cfg, err := a.brokerTarget(f.broker)
	lang = langOf(cfg)
	if err != nil {
		return target, nil, lang, err
	}
	target.ClientID += "-watch"
	if f.filter != "" {
		return target, []string{f.filter}, lang, checkFilter(f.filter)
	}
	return target, []string{target.Prefix + "/+/+/state", target.Prefix + "/+/availability"}, lang, nil
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
	*app
	fleet *fleet
	now   func() time.Time
}

// run shows the fleet as a table on a terminal, else as a line for each change.
func (w *watcher) run(ctx context.Context, cfg publish.Config, filters []string, lang health.Lang) error {
	host.SilenceLibraries() // they would write into the table
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	follow := func(changed func([]*fleetRow), note func(string)) error {
		return w.follow(ctx, cfg, filters, changed, note)
	}
	if !host.IsTerminal(w.stdout) {
		return w.lines(ctx, follow)
	}
	var failed error
	var following sync.WaitGroup
	following.Go(func() {
		failed = follow(func([]*fleetRow) {}, func(string) {})
		cancel()
	})
	out, _ := w.stdout.(*os.File) // it is a terminal
	screen := &fleetScreen{fleet: w.fleet, lang: lang, now: w.now}
	err := screen.run(ctx, os.Stdin, out, w.colours(out))
	cancel()
	following.Wait()
	return cmp.Or(failed, err)
}

// lines writes a line for each change.
func (w *watcher) lines(ctx context.Context, follow func(func([]*fleetRow), func(string)) error) error {
	var mu sync.Mutex // the two goroutines write one after the other
	write := func(changed []*fleetRow) {
		mu.Lock()
		defer mu.Unlock()
		w.fleet.mu.Lock()
		defer w.fleet.mu.Unlock()
		for _, r := range changed {
			if told := r.change(); told != r.told {
				r.told = told
				fmt.Fprintln(w.stdout, r.line(w.now()))
			}
		}
	}
	noted := map[blindSpot]bool{}
	watching := sync.WaitGroup{}
	ctx, cancel := context.WithCancel(ctx)
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { // what changes because nothing comes
		every := time.NewTicker(refreshEvery)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			w.fleet.mu.Lock()
			changed, spots := w.fleet.judgeAll(w.now()), w.fleet.blindSpots(w.now())
			w.fleet.mu.Unlock()
			write(changed)
			for _, spot := range spots {
				if !noted[spot] {
					noted[spot] = true
					fmt.Fprintln(w.stderr, watchWords[health.English].notes[spot])
				}
			}
		}
	})
	return follow(write, func(note string) { fmt.Fprintln(w.stderr, note) })
}

// follow follows the broker until ctx ends. Only the first try may fail.
func (w *watcher) follow(ctx context.Context, cfg publish.Config, filters []string, changed func([]*fleetRow), note func(string)) error {
	seen := false
	for first := true; ; first = false {
		err := publish.Follow(ctx, cfg, filters,
			func(broker string) {
				w.fleet.connected(broker, w.now())
				if seen = true; !first {
					note("connected to " + broker)
				}
			},
			func(m publish.Received) { changed(w.fleet.add(m, w.now())) })
		if err == nil {
			return nil
		}
		var failure *publish.Error
		if first && errors.As(err, &failure) && failure.Class == publish.ClassConfig {
			return usageError{fmt.Errorf("--broker: %w; %s", failure.Err, health.English.Hint(failure))} // the config's own is checked
		}
		if !seen {
			return err
		}
		w.fleet.disconnected(err, w.now())
		note(host.Printable(err.Error()))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(publish.FollowBackoff):
		}
	}
}

// change is what a line is written for: another state, grade or worst metric. A value
// alone is none.
func (r *fleetRow) change() string {
	if r.rank == rankLost || r.rank == rankStale {
		return rankWords[r.rank]
	}
	return r.state + " " + r.grade + " " + r.metric + " " + r.err
}

// line is a row for a file or a pipe.
func (r *fleetRow) line(now time.Time) string {
	at, state, grade, worst := r.heard, r.state, r.grade, r.worst(health.English)
	if r.rank == rankLost || r.rank == rankStale {
		at, state, grade = now, rankWords[r.rank], ""
	}
	return strings.Join([]string{at.UTC().Format(time.RFC3339), r.client, dash(r.device), dash(state), dash(grade), dash(worst), r.room}, "  ")
}
