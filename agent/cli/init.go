package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
	"roomcall/cgi"
	"roomcall/durable"
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
		Long: `Makes a first config at the path of --config or ROOMCALL_CONFIG. It asks for what
no flag sets; with --yes it asks nothing. It shows the endpoint's certificate
fingerprint and pins it when you agree. Then it checks the whole way. A config
that exists is kept unless you use --force or --from.`,
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
	f.StringVar(&in.from, "from", "", "use this finished config")
	f.BoolVar(&in.yes, "yes", false, "ask nothing")
	f.BoolVar(&in.force, "force", false, "replace a config that is there")
	f.BoolVar(&in.noCheck, "no-check", false, "do not check the way")
	f.BoolVar(&in.install, "install", false, "then install the service")
	f.BoolVar(&in.start, "start", false, "then start the service")
	f.StringVar(&in.logFile, "log", "", "also write the output to this file")
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
		fmt.Fprintln(i.logged, err) // Main shows it on the screen only
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
		return true, i.useFinished()
	case i.exists() && !i.in.force:
		_, err := fmt.Fprintf(i.stdout, "%s exists and is kept; --force replaces it\n", i.path)
		return false, err
	case i.in.yes && i.in.url == "":
		_, err := fmt.Fprintf(i.stdout, "no config was written: set --url and --broker, or --from FILE\n")
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

var (
	errNoAnswer    = errors.New("no answer")
	errInterrupted = errors.New("interrupted; no config was written")
)

// initQuestion is one question of init.
type initQuestion struct {
	text  string
	to    *string
	wrong func(*initializer, string) error // nil = any text is good
}

// complete asks for what no flag set. A person is asked again when an answer
// cannot be right; of a script the first wrong answer ends it.
func (i *initializer) complete(ctx context.Context) error {
	if i.in.yes {
		return nil
	}
	for _, q := range []initQuestion{
		{"Endpoint address, for example https://192.0.2.10", &i.in.url, (*initializer).wrongURL},
		{"User of the endpoint (empty = no login)", &i.in.username, nil},
		{"File with that user's password (empty = none)", &i.in.secretFile, (*initializer).wrongFile},
		{"Room name", &i.in.room, nil},
		{"Broker, for example tls://broker.example.org", &i.in.broker, (*initializer).wrongBroker},
		{"User of the broker (empty = none)", &i.in.mqttUser, nil},
		{"File with the broker user's password (empty = none)", &i.in.mqttSecretFile, (*initializer).wrongFile},
	} {
		if err := i.answer(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// answer asks one question until its answer can be right.
func (i *initializer) answer(ctx context.Context, q initQuestion) error {
	for *q.to == "" {
		answer, err := i.question(ctx, q.text)
		if err != nil {
			return err
		}
		if q.wrong != nil {
			err = q.wrong(i, answer)
		}
		switch {
		case err == nil:
			*q.to = answer
			return nil
		case !i.person:
			return usageError{fmt.Errorf("answer to %q: %w", q.text, err)}
		}
		fmt.Fprintf(i.stderr, "%v\n", err)
	}
	return nil
}

// question asks one line. Ctrl-C ends it, although a read of standard input
// cannot be ended: that read is left to the end of the process.
func (i *initializer) question(ctx context.Context, text string) (string, error) {
	fmt.Fprintf(i.stdout, "%s: ", text)
	type reply struct {
		line string
		err  error
	}
	came := make(chan reply, 1)
	go func() {
		line, err := i.ask.ReadString('\n')
		came <- reply{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(i.stdout)
		return "", errInterrupted
	case r := <-came:
		if r.err != nil && (r.line == "" || !errors.Is(r.err, io.EOF)) {
			return "", usageError{fmt.Errorf("read answer to %q: %w; flags can answer, see --help", text, errNoAnswer)}
		}
		return strings.TrimSpace(r.line), nil
	}
}

// wrongFile: a file with a secret cannot be read.
func (i *initializer) wrongFile(path string) error {
	if path == "" {
		return nil
	}
	_, err := host.FirstLine(path)
	var place *os.PathError
	if errors.As(err, &place) {
		err = place.Err // what was typed may be the password: it is not repeated
	}
	if err != nil {
		return fmt.Errorf("read that file: %w; the name of a file is asked for, not the password itself", err)
	}
	return nil
}

func (i *initializer) wrongURL(answer string) error {
	return wrongIn("endpoint[1].url", initAnswers{url: answer})
}

func (i *initializer) wrongBroker(answer string) error {
	return wrongIn("mqtt.broker", initAnswers{broker: answer})
}

// wrongIn is the error that the config would have for one key, without the place: the
// person has no file yet.
func wrongIn(key string, in initAnswers) error {
	if in.url == "" && in.broker == "" {
		return errors.New("an answer is needed here")
	}
	in.url, in.broker = cmp.Or(in.url, "https://192.0.2.1"), cmp.Or(in.broker, "tcp://192.0.2.1")
	_, _, err := config.LoadText("", []byte((&initializer{in: in}).text()), config.Options{})
	var list config.Errors
	if !errors.As(err, &list) {
		return nil
	}
	for _, e := range list {
		if e.Key == key {
			bare := *e
			bare.Place = config.Place{}
			return errors.New(strings.TrimPrefix(bare.Error(), ": "))
		}
	}
	return nil
}

// useFinished checks a finished config where it is, and copies it.
func (i *initializer) useFinished() error {
	if _, _, err := config.Load(i.in.from, config.Options{}); err != nil {
		return err
	}
	text, err := os.ReadFile(i.in.from)
	if err != nil {
		return fmt.Errorf("read --from: %w", err)
	}
	if err := i.copySecret(i.in.secretFile, endpointSecret); err != nil {
		return err
	}
	return i.put(text)
}

// Names of the secret files beside the config.
const (
	endpointSecret = "endpoint.secret"
	brokerSecret   = "broker.secret"
)

// compose writes the config from the answers, looks at the endpoint's
// certificate and, with consent, pins it.
func (i *initializer) compose(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(i.path), 0o755); err != nil {
		return fmt.Errorf("make the config's folder: %w", err)
	}
	if err := errors.Join(i.copySecret(i.in.secretFile, endpointSecret), i.copySecret(i.in.mqttSecretFile, brokerSecret)); err != nil {
		return err
	}
	cfg, err := i.try()
	if err != nil {
		return err
	}
	if i.in.fingerprint == "" && strings.HasPrefix(i.in.url, "https://") {
		if err := i.pin(ctx, cfg); err != nil {
			return err
		}
		if _, err := i.try(); err != nil {
			return err
		}
	}
	return i.put([]byte(i.text()))
}

// try checks the answers as a config before anything is replaced.
func (i *initializer) try() (*config.Config, error) {
	cfg, warnings, err := config.LoadText(i.path, []byte(i.text()), config.Options{})
	i.warn(warnings)
	return cfg, err
}

// pin shows the certificate's fingerprint and pins it when the person agrees.
func (i *initializer) pin(ctx context.Context, cfg *config.Config) error {
	client, err := run.NewEndpoint(cfg, cfg.Endpoints[0], true, nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	for _, s := range client.Stages() {
		detail, err := s.Run(ctx)
		var e *cgi.Error
		failed := errors.As(err, &e) && e.Kind != cgi.KindWarning
		switch {
		case s.Name != "tls" && failed:
			return nil
		case s.Name != "tls":
			continue
		case detail == "":
			detail = err.Error()
		}
		fmt.Fprintf(i.stdout, "endpoint's certificate: %s\n", host.Printable(detail))
		if failed && e.Fingerprint != "" {
			return i.consent(ctx, e.Fingerprint)
		}
		if hint := health.Hint(err); hint != "" {
			fmt.Fprintf(i.stdout, "hint: %s\n", host.Printable(hint))
		}
		return nil
	}
	return nil
}

// consent pins a certificate that no authority vouches for, if a person agrees.
func (i *initializer) consent(ctx context.Context, fingerprint string) error {
	if i.in.acceptFingerprint {
		i.in.fingerprint = fingerprint
		return nil
	}
	if i.in.yes {
		fmt.Fprintf(i.stdout, "not pinned: compare the fingerprint with the endpoint's own, then use --fingerprint\n")
		return nil
	}
	answer, err := i.question(ctx, "Does the endpoint itself show this fingerprint? Pin it (yes/no)")
	if err != nil {
		return err
	}
	if strings.EqualFold(answer, "yes") || strings.EqualFold(answer, "y") {
		i.in.fingerprint = fingerprint
	}
	return nil
}

// copySecret puts a secret beside the config, readable by its owner alone.
func (i *initializer) copySecret(from, name string) error {
	if from == "" {
		return nil
	}
	secret, err := host.FirstLine(from)
	if err != nil {
		return usageError{fmt.Errorf("read secret: %w", err)}
	}
	path := filepath.Join(filepath.Dir(i.path), name)
	if err := durable.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return err
	}
	return forService(path, true)
}

// forService lets the service's own user read a file that root has made, where a
// package has made that user: a secret becomes that user's, a config stays
// root's.
func forService(path string, secret bool) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(serviceName)
	if err != nil {
		return nil // no such user: whoever runs the service sees to it
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("find user %s: %w", serviceName, err)
	}
	mode := os.FileMode(0o600)
	if !secret {
		uid, mode = 0, 0o640
	}
	return errors.Join(os.Chown(path, uid, gid), os.Chmod(path, mode))
}

func (i *initializer) put(text []byte) error {
	if err := os.MkdirAll(filepath.Dir(i.path), 0o755); err != nil {
		return fmt.Errorf("make the config's folder: %w", err)
	}
	if err := durable.WriteFile(i.path, text, 0o600); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return forService(i.path, false)
}

// text is the config of the answers.
func (i *initializer) text() string {
	var b strings.Builder
	set := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, config.Quote(value))
		}
	}
	fmt.Fprintf(&b, "# roomcall config format %d\n", config.FormatVersion)
	b.WriteString("# Made by `roomcall init`. Every key is explained in the commented example agent.toml.\n\n[agent]\n")
	set("client_id", i.in.clientID)
	set("site", i.in.site)
	b.WriteString("\n[[endpoint]]\n")
	if i.in.device == "" {
		i.in.device = "endpoint"
	}
	set("device", i.in.device)
	set("room", i.in.room)
	set("url", i.in.url)
	set("username", i.in.username)
	if i.in.secretFile != "" {
		set("password_file", endpointSecret)
	}
	set("fingerprint", i.in.fingerprint)
	b.WriteString("\n[mqtt]\n")
	set("broker", i.in.broker)
	set("username", i.in.mqttUser)
	if i.in.mqttSecretFile != "" {
		set("password_file", brokerSecret)
	}
	return b.String()
}
