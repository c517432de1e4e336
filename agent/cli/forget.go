package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/agent/run"
	"roomcall/buffer"
	"roomcall/publish"
)

// Patience of forget.
const (
	// retainedQuiet is how long no retained message has to come to call them read.
	retainedQuiet = 2 * time.Second
	// aliveQuiet is how long an agent that is said to be online has to be silent to
	// count as gone: three of its idle intervals, as they are without a setting.
	aliveQuiet = 45 * time.Second
	// forgetLimit bounds each reading and the clearing.
	forgetLimit = 3 * time.Minute
)

type forgetFlags struct {
	client, broker string
	yes            bool
}

func (a *app) forgetCommand() *cobra.Command {
	var f forgetFlags
	cmd := &cobra.Command{
		Use:   "forget DEVICE | forget --client-id ID [DEVICE]",
		Short: "Clear the retained topics of a device or agent that is gone",
		Long: `Clears what the broker still retains of a device of this agent that is gone, or
with --client-id of another agent or its device: consumers and ` + "`roomcall watch`" + ` show
it no more. It lists the topics first, asks, and reads back afterwards. Broker, user
and TLS come from the config's [mqtt]; that user needs the right to write there. A
device that is in the config of a running agent is refused, because it would come
back.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, list []string) error {
			device := strings.Join(list, "")
			if device == "" && f.client == "" {
				return usageError{errors.New("forget needs a DEVICE, or --client-id ID for a whole agent")}
			}
			for _, name := range []string{device, f.client} {
				if name != "" && !config.IsID(name) {
					return usageError{fmt.Errorf("forget %q: a device or client id is 1 to 63 of a-z, 0-9 and -", name)}
				}
			}
			person := host.IsTerminal(cmd.InOrStdin())
			if !f.yes && !person {
				return usageError{errors.New("forget asks before it clears, and nobody sits at a terminal: say --yes")}
			}
			target, cfg, err := a.brokerTarget(f.broker)
			if err != nil {
				return err
			}
			if cfg == nil && f.client == "" {
				return usageError{errors.New("without a config forget needs --client-id ID")}
			}
			g := &forgetter{app: a, target: target, device: device, yes: f.yes, in: cmd.InOrStdin(), quiet: retainedQuiet, aliveQuiet: aliveQuiet}
			g.client = f.client
			if cfg != nil {
				g.client = cmp.Or(f.client, cfg.Agent.ClientID)
				if err := g.refuseOwn(cmd.Context(), cfg); err != nil {
					return err
				}
			}
			return g.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&f.client, "client-id", "", "the agent (default: the one of the config)")
	cmd.Flags().StringVar(&f.broker, "broker", "", "broker URL (default: the config's first)")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "clear without asking")
	return cmd
}

// brokerTarget is the way to the config's broker, or to the one that --broker names;
// the config is nil when there is none and --broker is enough.
func (a *app) brokerTarget(broker string) (publish.Config, *config.Config, error) {
	target := publish.Config{ClientID: "roomcall", Prefix: "roomcall/v1"}
	cfg, _, err := a.load()
	switch {
	case err == nil:
		target = run.PublishConfig(cfg)
	case broker == "" || a.configFlag != "" || a.getenv(config.EnvConfig) != "":
		return target, nil, err
	default:
		cfg = nil
	}
	if strings.Contains(broker, "@") {
		return target, nil, usageError{errors.New("--broker must hold no user and password: put them into the config's [mqtt]")}
	}
	if broker != "" {
		target.Brokers = []string{broker}
	}
	return target, cfg, nil
}

// forgetter clears what is retained of a device of an agent, or of all of it.
type forgetter struct {
	*app
	target         publish.Config
	client, device string // device "" = the whole agent
	yes            bool
	in             io.Reader
	quiet          time.Duration // no retained message for so long: all have come
	aliveQuiet     time.Duration // no message at all for so long: the agent is gone
}

// refuseOwn refuses what the agent that runs here would publish again.
func (g *forgetter) refuseOwn(ctx context.Context, cfg *config.Config) error {
	if g.client != cfg.Agent.ClientID {
		return nil
	}
	devices := []string{}
	if body, err := askAgent(ctx, cfg, "/api/v1/status"); err == nil {
		var st health.Status
		if json.Unmarshal(body, &st) != nil || st.ClientID != g.client {
			return nil
		}
		for _, e := range st.Endpoints {
			devices = append(devices, e.Device)
		}
	} else if _, err := buffer.InfoDir(cfg.Agent.DataDir); !errors.Is(err, buffer.ErrLocked) {
		return nil // nobody runs
	} else {
		for _, e := range cfg.Endpoints {
			devices = append(devices, e.Device)
		}
	}
	switch {
	case g.device == "":
		return fmt.Errorf("forget agent %s: it runs here and would come back; stop it first: roomcall stop", g.client)
	case slices.Contains(devices, g.device):
		return g.configured()
	}
	return nil
}

// configured is the refusal of a device that an agent would publish again.
func (g *forgetter) configured() error {
	return fmt.Errorf("forget device %s: it is in the config of the running agent %s and would come back; take its [[endpoint]] out of that config: the agent then clears it by itself", g.device, g.client)
}

func (g *forgetter) topic(below string) string { return g.target.Prefix + "/" + g.client + "/" + below }

// known are the topics that an agent or a device retains.
func (g *forgetter) known() []string {
	if g.device != "" {
		return []string{g.topic(g.device + "/state")}
	}
	return []string{g.topic("availability"), g.topic("birth"), g.topic("echo"), g.topic("health")}
}

// retained is what was read of it.
type retained struct {
	publish.Retained
	online  bool     // its agent says that it is online
	devices []string // the config of its agent, as its birth says
}

// read reads what the broker retains. Topics are asked for by name too, because some
// brokers hand out no retained messages below a wildcard.
func (g *forgetter) read(ctx context.Context, quiet time.Duration) (out retained, err error) {
	ctx, cancel := context.WithTimeout(ctx, forgetLimit)
	defer cancel()
	filters := append(g.known(), g.topic("#"))
	if g.device != "" {
		filters = append(g.known(), g.topic(g.device+"/#"), g.topic("availability"), g.topic("birth"))
	}
	for range 3 { // an agent that is just connecting says nothing of its device
		out.Retained, err = publish.ReadRetained(ctx, g.target, filters, quiet)
		if out.Live != g.topic("availability") && out.Live != g.topic("birth") || g.device == "" {
			break
		}
	}
	g.sort(&out)
	return out, err
}

// sort takes what the agent says of itself out of what was read of a device.
func (g *forgetter) sort(r *retained) {
	r.Messages = slices.DeleteFunc(r.Messages, func(m publish.Received) bool {
		switch m.Topic {
		case g.topic("availability"):
			r.online = string(m.Payload) == "online"
		case g.topic("birth"):
			var birth report.Birth
			_ = json.Unmarshal(m.Payload, &birth) // anything may be there
			for _, d := range birth.Devices {
				if config.IsID(d.Device) {
					r.devices = append(r.devices, d.Device)
				}
			}
		default:
			return false
		}
		return g.device != ""
	})
}

func (g *forgetter) run(ctx context.Context) error {
	found, err := g.read(ctx, g.quiet)
	if err == nil && found.online && found.Live == "" && g.device == "" {
		fmt.Fprintf(g.stderr, "agent %s says that it is online; listening for %v whether it still sends\n", g.client, g.aliveQuiet)
		found, err = g.read(ctx, g.aliveQuiet)
	}
	switch {
	case err != nil:
		return fmt.Errorf("forget: %w", err)
	case found.Live != "":
		return fmt.Errorf("forget: somebody publishes to %s right now, so it is not gone; stop that agent first, or try again", host.Printable(found.Live))
	case g.device != "" && found.online && slices.Contains(found.devices, g.device):
		return g.configured()
	}
	topics, certain := g.choose(found)
	if err := g.list(found, topics, certain); err != nil {
		return err
	}
	if ok, err := g.agreed(ctx, len(topics)); !ok || err != nil {
		return err
	}
	clearing, cancel := context.WithTimeout(ctx, forgetLimit)
	defer cancel()
	if err := publish.ClearRetained(clearing, g.target, topics); err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	return g.verify(ctx, topics, certain)
}

// choose lists the topics to clear; certain = the broker showed them. Where it shows
// nothing, those that are known by name are cleared.
func (g *forgetter) choose(found retained) (topics []string, certain bool) {
	for _, m := range found.Messages {
		topics = append(topics, m.Topic)
	}
	certain = len(topics) > 0 && !found.Denied
	if !certain {
		topics = append(topics, g.known()...)
	}
	if g.device == "" { // their states, where a wildcard shows none
		for _, device := range found.devices {
			topics = append(topics, g.topic(device+"/state"))
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics), certain
}

// list says what is going to be cleared.
func (g *forgetter) list(found retained, topics []string, certain bool) error {
	what := "agent " + g.client
	if g.device != "" {
		what = "device " + g.device + " of " + what
	}
	w := bufio.NewWriter(g.stdout)
	fmt.Fprintf(w, "retained of %s at %s:\n", what, found.Broker)
	shown := map[string]publish.Received{}
	for _, m := range found.Messages {
		shown[m.Topic] = m
	}
	for _, topic := range topics {
		line := "  " + host.Printable(topic)
		var said struct {
			TsMs int64 `json:"ts_ms"`
		}
		switch m, ok := shown[topic]; {
		case !ok:
			line += "  (known by name; the broker does not show it)"
		case json.Unmarshal(m.Payload, &said) == nil && said.TsMs > 0:
			line += "  of " + time.UnixMilli(said.TsMs).Format("2006-01-02 15:04")
		}
		fmt.Fprintln(w, line)
	}
	if !certain {
		fmt.Fprintln(w, "The broker shows nothing there: nothing is retained, or this user may not read it.")
		if g.device == "" && len(found.devices) == 0 {
			fmt.Fprintf(w, "Devices of the agent cannot be found then: name each, roomcall forget --client-id %s DEVICE.\n", g.client)
		}
	}
	return w.Flush()
}

// agreed asks whether to clear.
func (g *forgetter) agreed(ctx context.Context, n int) (bool, error) {
	if g.yes {
		return true, nil
	}
	fmt.Fprintf(g.stdout, "Clear %d topics? [y/N] ", n)
	answer := make(chan string, 1)
	go func() { // a read of standard input cannot be ended; it is left to the end of the process
		line, _ := bufio.NewReader(io.LimitReader(g.in, 1024)).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case line := <-answer:
		if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
			_, err := fmt.Fprintln(g.stdout, "nothing was cleared")
			return false, err
		}
	}
	return true, nil
}

// verify reads back what was cleared: an access list may deny a write in silence.
func (g *forgetter) verify(ctx context.Context, topics []string, certain bool) error {
	if !certain {
		_, err := fmt.Fprintf(g.stdout, "cleared %s; not verified, because the broker shows nothing there\n", count(topics))
		return err
	}
	after, err := g.read(ctx, g.quiet)
	if err != nil {
		return fmt.Errorf("forget: read back what was cleared: %w", err)
	}
	var left []string
	for _, m := range after.Messages {
		left = append(left, host.Printable(m.Topic))
	}
	if len(left) > 0 {
		return fmt.Errorf("forget: the broker still retains %d of %d topics, %s first; its access list probably lets this user read and not write there", len(left), len(topics), left[0])
	}
	_, err = fmt.Fprintf(g.stdout, "cleared %s; read back: nothing is left\n", count(topics))
	return err
}

func count(topics []string) string {
	if len(topics) == 1 {
		return "1 topic"
	}
	return fmt.Sprintf("%d topics", len(topics))
}
