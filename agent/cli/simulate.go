package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"roomcall/agent/host"
	"roomcall/cgi/cgitest"
)

// simulation holds the flags of the command simulate.
type simulation struct {
	listen, passwordFile string
	scenarios            []string // the rooms take them in turn
	rooms                int      // 1 to maxSimulated
	secure, list, log    bool
	options              cgitest.Options
}

// maxSimulated bounds --rooms, as the config bounds [[endpoint]] tables.
const maxSimulated = 1000

func (a *app) simulateCommand() *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated endpoint, for tests and for developers of consumers",
		Long: `Runs a simulated video endpoint until Ctrl-C. What it replies depends on the
scenario, the seed and the seconds since its start, so a run can be repeated.
Without --user it asks for no login.

With --rooms it runs that many, on consecutive ports, and prints an [[endpoint]] table
for each: append them to an agent.toml. Several scenarios are given out in turn.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.list {
				return a.listScenarios()
			}
			return a.simulate(cmd.Context(), s)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:8443", "address to listen on")
	f.StringSliceVar(&s.scenarios, "scenario", []string{cgitest.DefaultScenario}, "what happens, see --list; several for several rooms")
	f.IntVar(&s.rooms, "rooms", 1, "how many endpoints, on consecutive ports")
	f.StringVar(&s.options.Family, "family", "", "firmware family, see --list")
	f.Int64Var(&s.options.Seed, "seed", 1, "another seed, other numbers")
	f.BoolVar(&s.secure, "tls", false, "speak HTTPS with a certificate made at the start")
	f.StringVar(&s.options.Username, "user", "", "user that has to log in")
	f.StringVar(&s.passwordFile, "password-file", "", "file with the user's password on its first line")
	f.BoolVar(&s.log, "log", false, "print each request and its answer to standard error")
	f.BoolVar(&s.list, "list", false, "list scenarios and families")
	return cmd
}

func (a *app) listScenarios() error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SCENARIO\tWHAT HAPPENS")
	for _, s := range cgitest.Scenarios() {
		fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Text)
	}
	fmt.Fprintln(w, "\nFAMILY\tWHAT IT IS")
	for _, f := range cgitest.Families() {
		fmt.Fprintf(w, "%s\t%s\n", f.Name, f.Text)
	}
	return w.Flush()
}

func (a *app) simulate(ctx context.Context, s simulation) error {
	if s.passwordFile != "" {
		password, err := host.FirstLine(s.passwordFile)
		if err != nil {
			return usageError{fmt.Errorf("read --password-file: %w", err)}
		}
		s.options.Password = password
		if full, err := filepath.Abs(s.passwordFile); err == nil {
			s.passwordFile = full // the config that gets it may be in another folder
		}
	}
	if s.rooms < 1 || s.rooms > maxSimulated {
		return usageError{fmt.Errorf("--rooms %d: use a number from 1 to %d", s.rooms, maxSimulated)}
	}
	address, port, err := net.SplitHostPort(s.listen)
	first, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || first > 0 && first+uint64(s.rooms)-1 > math.MaxUint16 {
		return usageError{fmt.Errorf("--listen %q: use HOST:PORT, for example 127.0.0.1:8443, with a free port for each room", s.listen)}
	}
	ctx, stop := context.WithCancelCause(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop(nil)
	for i := range s.rooms {
		addr := s.listen
		if first > 0 {
			addr = net.JoinHostPort(address, strconv.FormatUint(first+uint64(i), 10))
		}
		serve, err := a.simulateRoom(s, i, addr)
		if err != nil {
			return err
		}
		serving.Go(func() {
			if err := serve(ctx); err != nil {
				stop(err)
			}
		})
	}
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// account are the lines of a config that log in.
func (s simulation) account() string {
	if s.options.Username == "" {
		return ""
	}
	text := fmt.Sprintf("username = %q\n", s.options.Username)
	if s.passwordFile != "" {
		text += fmt.Sprintf("password_file = %q\n", s.passwordFile)
	}
	return text
}

// simulateRoom opens the endpoint of one room, from 0, and prints where it is. The
// function that it returns answers until its context ends.
func (a *app) simulateRoom(s simulation, room int, addr string) (func(context.Context) error, error) {
	o := s.options
	o.Scenario = s.scenarios[room%len(s.scenarios)]
	o.Seed += int64(room)
	if s.log {
		o.Answered = func(r cgitest.Served) {
			fmt.Fprintf(a.stderr, "%s sim-%d %s %d, %d bytes, second %d: %s\n",
				r.Time.Format("15:04:05.000"), room+1, cmp.Or(r.Action, "no action"), r.Status, len(r.Body), r.Snapshot.Second, r.Snapshot.Call)
		}
	}
	endpoint, err := cgitest.New(o)
	if err != nil {
		return nil, usageError{err}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("open simulated endpoint: %w", err)
	}
	var secure *tls.Config
	scheme, pin := "http", ""
	if s.secure {
		cfg, id, err := endpoint.Family().TLS(cgitest.TLSOptions{Hosts: []string{"127.0.0.1", "localhost"}})
		if err != nil {
			l.Close()
			return nil, err
		}
		secure, scheme, pin = cfg, "https", fmt.Sprintf("fingerprint = %q\n", id.Fingerprint)
	}
	if s.rooms == 1 {
		fmt.Fprintf(a.stdout, "%ssimulated %s, scenario %s: url = \"%s://%s\"\n", pin, endpoint.Family().Name, o.Scenario, scheme, l.Addr())
	} else {
		fmt.Fprintf(a.stdout, "[[endpoint]] # %s, %s\ndevice = \"sim-%d\"\nroom = \"Simulated room %d\"\nurl = \"%s://%s\"\n%s%s\n",
			endpoint.Family().Name, o.Scenario, room+1, room+1, scheme, l.Addr(), pin, s.account())
	}
	return func(ctx context.Context) error { return cgitest.Serve(ctx, endpoint, l, secure) }, nil
}
