package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/service"
)

// initAnswers is what a first config needs.
type initAnswers struct {
	clientID, site, room, device, url, username, secretFile string
	broker, mqttUser, mqttSecretFile                        string
	from, fingerprint, logFile                              string
	yes, force, noCheck, acceptFingerprint, install, start  bool
}

func (a *app) initCommand() *cobra.Command {
	var in initAnswers
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a first config: asks for endpoint, broker and room, then checks the way",
		Long: `Makes a first config where --config or ROOMCALL_CONFIG says. What no flag gives
is asked for; with --yes nothing is asked. It shows the endpoint's certificate
fingerprint and pins it when you agree. Then it checks the whole way. A config
that is there is left alone unless --force or --from is given.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			i := &initializer{app: a, in: in, ask: bufio.NewReader(cmd.InOrStdin()), person: host.IsTerminal(cmd.InOrStdin())}
			return i.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.clientID, "client-id", "", "MQTT client id (default: from the host name)")
	f.StringVar(&in.site, "site", "", "text copied into every payload")
	f.StringVar(&in.room, "room", "", "the room's name")
	f.StringVar(&in.device, "device", "", "short name of the endpoint (default: endpoint)")
	f.StringVar(&in.url, "url", "", "the endpoint's address, https://ADDR")
	f.StringVar(&in.username, "username", "", "user of the endpoint")
	f.StringVar(&in.secretFile, "secret-file", "", "file with that user's password; it is copied beside the config")
	f.StringVar(&in.broker, "broker", "", "broker URL, tls://HOST")
	f.StringVar(&in.mqttUser, "mqtt-username", "", "user of the broker")
	f.StringVar(&in.mqttSecretFile, "mqtt-secret-file", "", "file with that user's password; it is copied beside the config")
	f.StringVar(&in.fingerprint, "fingerprint", "", "SHA-256 of the endpoint's certificate, to pin it")
	f.BoolVar(&in.acceptFingerprint, "accept-fingerprint", false, "pin the certificate that the endpoint shows now")
	f.StringVar(&in.from, "from", "", "take this ready config")
	f.BoolVar(&in.yes, "yes", false, "ask nothing")
	f.BoolVar(&in.force, "force", false, "replace a config that is there")
	f.BoolVar(&in.noCheck, "no-check", false, "do not check the way")
	f.BoolVar(&in.install, "install", false, "then install the service")
	f.BoolVar(&in.start, "start", false, "then start the service")
	f.StringVar(&in.logFile, "log", "", "also write what is said to this file")
	_ = f.MarkHidden("log") // for installers that show nothing
	return cmd
}

// initializer makes a config.
type initializer struct {
	*app
	in     initAnswers
	ask    *bufio.Reader
	person bool // who answers can be asked again
	path   string
	logged io.Writer // the log file, nil = none
}

func (i *initializer) run(ctx context.Context) error {
	if i.in.logFile != "" {
		f, err := os.OpenFile(i.in.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err == nil { // a bad log path never stops a command
			defer f.Close()
			both := *i.app
			both.stdout, both.stderr = io.MultiWriter(i.stdout, f), io.MultiWriter(i.stderr, f)
			i.app, i.logged = &both, f
		}
	}
	err := i.make(ctx)
	if i.logged != nil && err != nil && !errors.Is(err, errReported) {
		fmt.Fprintln(i.logged, err) // Main says it on the screen alone
	}
	return err
}

// make writes the config, checks the way and sees to the service.
func (i *initializer) make(ctx context.Context) error {
	i.path = config.ResolvePath(i.configFlag, i.getenv)
	written, err := i.write(ctx)
	if err != nil {
		return err
	}
	if !written {
		return i.service(ctx, i.exists())
	}
	fmt.Fprintf(i.stdout, "config written: %s\n", i.path)
	if !i.in.noCheck {
		c := &checker{app: i.app}
		if err := c.run(ctx, false); err != nil && !i.in.install {
			return err
		}
	}
	return i.service(ctx, true)
}

func (i *initializer) exists() bool {
	_, err := os.Stat(i.path)
	return err == nil
}

// write makes the config unless one is there; false = nothing was written.
func (i *initializer) write(ctx context.Context) (bool, error) {
	switch {
	case i.in.from != "":
		return true, i.take()
	case i.exists() && !i.in.force:
		_, err := fmt.Fprintf(i.stdout, "%s is there and is left alone; --force replaces it\n", i.path)
		return false, err
	case i.in.yes && i.in.url == "":
		_, err := fmt.Fprintf(i.stdout, "no config was written: give --url and --broker, or --from FILE\n")
		return false, err
	}
	if err := i.complete(ctx); err != nil {
		return false, err
	}
	return true, i.compose(ctx)
}

// service installs and starts the service as asked; ready: there is a config.
func (i *initializer) service(ctx context.Context, ready bool) error {
	if !ready {
		return nil
	}
	if i.in.install {
		if err := i.install(ctx, nil); err != nil {
			return err
		}
	}
	if !i.in.start {
		return nil
	}
	m, err := service.NewManager(service.Config{Name: serviceName})
	if err == nil {
		err = m.Start(ctx)
	}
	if err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	return i.printServiceState(ctx, m)
}
