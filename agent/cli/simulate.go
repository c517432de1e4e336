package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"roomcall/agent/host"
	"roomcall/cgi/cgitest"
)

// simulation holds the flags of the command simulate.
type simulation struct {
	listen, passwordFile string
	secure, list         bool
	options              cgitest.Options
}

func (a *app) simulateCommand() *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated endpoint, for tests and for developers of consumers",
		Long: `Runs a simulated video endpoint until Ctrl-C. What it replies depends on the
scenario, the seed and the seconds since its start, so a run can be repeated.
Without --user it asks for no login.`,
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
	f.StringVar(&s.options.Scenario, "scenario", cgitest.DefaultScenario, "what happens, see --list")
	f.StringVar(&s.options.Family, "family", "", "firmware family, see --list")
	f.Int64Var(&s.options.Seed, "seed", 1, "another seed, other numbers")
	f.BoolVar(&s.secure, "tls", false, "speak HTTPS with a certificate made at the start")
	f.StringVar(&s.options.Username, "user", "", "user that has to log in")
	f.StringVar(&s.passwordFile, "password-file", "", "file with the user's password on its first line")
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
	}
	endpoint, err := cgitest.New(s.options)
	if err != nil {
		return usageError{err}
	}
	if _, _, err := net.SplitHostPort(s.listen); err != nil {
		return usageError{fmt.Errorf("--listen %q: use HOST:PORT, for example 127.0.0.1:8443", s.listen)}
	}
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("open simulated endpoint: %w", err)
	}
	defer l.Close()
	var secure *tls.Config
	scheme := "http"
	if s.secure {
		cfg, id, err := endpoint.Family().TLS(cgitest.TLSOptions{Hosts: []string{"127.0.0.1", "localhost"}})
		if err != nil {
			return err
		}
		secure, scheme = cfg, "https"
		fmt.Fprintf(a.stdout, "fingerprint = %q\n", id.Fingerprint)
	}
	fmt.Fprintf(a.stdout, "simulated %s, scenario %s: url = \"%s://%s\"\n",
		endpoint.Family().Name, s.options.Scenario, scheme, l.Addr())
	return cgitest.Serve(ctx, endpoint, l, secure)
}
