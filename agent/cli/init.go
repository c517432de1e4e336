package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	"roomcall/durable"
	"roomcall/service"
)

// initAnswers is what a first config needs.
type initAnswers struct {
	clientID, site, room, device, url, username, secretFile string
	broker, mqttCAFile, mqttUser, mqttSecretFile            string
	from, fingerprint, tlsMin, logFile, language            string
	legacyCiphers                                           bool
	yes, force, noCheck, acceptFingerprint, acceptOldTLS    bool
	install, start, optional                                bool

	secret, mqttSecret string // passwords, typed or read from a file
}

func (a *app) initCommand() *cobra.Command {
	var in initAnswers
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a first config: tries endpoint and broker while it asks",
		Long: `Makes a first config at the path of --config or ROOMCALL_CONFIG. It asks for what
no flag sets, the endpoint's address first, and tries each answer before it asks on.
With consent it sets what it found out: the certificate's fingerprint, and what an old
endpoint's encryption needs. A password is not shown while it is typed, and goes into a
file of its own that others cannot read. Then it checks the whole way and says what
to do next.

With --yes it asks nothing, so --url and --broker, or --from, are needed. A config
that exists is kept unless you agree or use --force or --from; then the old one
stays beside it with .old behind its name.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			lang := health.Language("", host.Locale())
			if lang != health.English {
				in.language = string(lang) // of the texts that the agent sends, too
			}
			i := &initializer{app: a, in: in, say: initWordsIn[lang], ask: bufio.NewReader(cmd.InOrStdin())}
			i.keyboard, i.person = terminalOf(cmd.InOrStdin())
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
	f.StringVar(&in.mqttCAFile, "mqtt-ca-file", "", "file with the certificate of the broker's authority, PEM")
	f.StringVar(&in.mqttUser, "mqtt-username", "", "user of the broker")
	f.StringVar(&in.mqttSecretFile, "mqtt-secret-file", "", "file with that user's password; it is copied beside the config")
	f.StringVar(&in.fingerprint, "fingerprint", "", "SHA-256 of the endpoint's certificate, to pin it")
	f.BoolVar(&in.acceptFingerprint, "accept-fingerprint", false, "pin the certificate that the endpoint shows now")
	f.BoolVar(&in.acceptOldTLS, "accept-old-tls", false, "set tls_min and legacy_ciphers where the endpoint only works with them")
	f.StringVar(&in.from, "from", "", "use this finished config")
	f.BoolVar(&in.yes, "yes", false, "ask nothing")
	f.BoolVar(&in.force, "force", false, "replace a config that is there")
	f.BoolVar(&in.noCheck, "no-check", false, "try and check nothing")
	f.BoolVar(&in.install, "install", false, "then install the service")
	f.BoolVar(&in.start, "start", false, "then start the service")
	f.StringVar(&in.logFile, "log", "", "also write the output to this file")
	f.BoolVar(&in.optional, "optional", false, "without answers and without a config, make none, and do not fail")
	_ = f.MarkHidden("log") // for installers that show nothing, and may install the program alone
	_ = f.MarkHidden("optional")
	return cmd
}

// initializer makes a config.
type initializer struct {
	*app
	in       initAnswers
	say      initWords
	ask      *bufio.Reader
	keyboard *os.File // where a password is typed without being shown, nil = it is read as the rest
	person   bool     // who answers can be asked again
	path     string
	dataDir  string    // where refused logins are remembered, "" = as the config will say
	logged   io.Writer // the log file, nil = none

	endpointErr, brokerErr error // why it cannot work as it is set, as far as was tried
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

// make writes the config, checks the way, sees to the service and says what is next.
func (i *initializer) make(ctx context.Context) error {
	i.path = config.ResolvePath(i.configFlag, i.getenv)
	written, err := i.write(ctx)
	if err != nil {
		return err
	}
	if !written && !i.exists() {
		return nil // only the program is wanted
	}
	var ill error // of the way; the config is right
	if written {
		ill = i.check(ctx)
	}
	if ill != nil && !i.in.install {
		i.next(ctx, true)
		return ill
	}
	if err := i.service(ctx); err != nil {
		return err
	}
	i.next(ctx, ill != nil)
	return nil
}

func (i *initializer) exists() bool {
	_, err := os.Stat(i.path)
	return err == nil
}

// check goes the whole way with the config that was written. What is known to fail is
// not tried once more: endpoints lock accounts.
func (i *initializer) check(ctx context.Context) error {
	switch {
	case i.in.noCheck:
		return nil
	case !i.in.yes && i.unwell() != nil:
		return errReported
	}
	return (&checker{app: i.app}).run(ctx, false)
}

// unwell is why the config cannot work as it is; nil = nothing is known.
func (i *initializer) unwell() error { return errors.Join(i.endpointErr, i.brokerErr) }

// write makes the config unless one is there; false = nothing was written.
func (i *initializer) write(ctx context.Context) (bool, error) {
	if i.in.from != "" {
		return true, i.useFinished()
	}
	if i.exists() && !i.in.force {
		replace, err := i.mayReplace(ctx)
		if err != nil || !replace {
			return false, err
		}
	}
	if i.in.yes && i.in.url == "" && i.in.broker == "" && i.in.optional {
		_, err := fmt.Fprintf(i.stdout, "no config was written: set --url and --broker, or --from FILE\n")
		return false, err
	}
	if err := i.mayWrite(); err != nil {
		return false, err
	}
	if err := i.readFlags(); err != nil {
		return false, err
	}
	if err := i.complete(ctx); err != nil {
		return false, err
	}
	return true, i.compose()
}

// mayWrite finds out before anything is asked whether the config can be written.
func (i *initializer) mayWrite() error {
	dir := nearest(filepath.Dir(i.path))
	f, err := os.CreateTemp(dir, ".roomcall-init-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err == nil && i.path == config.DefaultPath() && !service.Elevated() {
		err = fs.ErrPermission // the folder would be closed to this user, too
	}
	switch {
	case err == nil:
		return nil
	case runtime.GOOS == "windows":
		return fmt.Errorf("%s cannot be written: %w; open the terminal with \"Run as administrator\", or name another place with --config", i.path, bare(err))
	}
	return fmt.Errorf("%s cannot be written: %w; run it with sudo, or name another place with --config", i.path, bare(err))
}

// mayReplace asks whether a config that is there may be replaced. One that is kept has
// to be right.
func (i *initializer) mayReplace(ctx context.Context) (bool, error) {
	if i.person && !i.in.yes {
		agreed, err := i.agree(ctx, fmt.Sprintf(i.say.replace, i.path, i.path+oldSuffix))
		if err != nil || agreed {
			return agreed, err
		}
	}
	fmt.Fprintf(i.stdout, i.say.kept+"\n", i.path)
	_, _, err := i.look()
	return false, err
}

// readFlags checks what flags set before anything is asked, files with passwords
// included. Errors name the flag: there is no file yet.
func (i *initializer) readFlags() error {
	var wrong []error
	if i.in.yes {
		for _, needed := range [][2]string{{"--url", i.in.url}, {"--broker", i.in.broker}} {
			if needed[1] == "" {
				wrong = append(wrong, fmt.Errorf("no config was made: --yes asks nothing, so %s is needed (or --from FILE)", needed[0]))
			}
		}
	}
	for _, f := range []struct{ flag, key, value string }{
		{"--client-id", "agent.client_id", i.in.clientID},
		{"--site", "agent.site", i.in.site},
		{"--device", "endpoint[1].device", i.in.device},
		{"--room", "endpoint[1].room", i.in.room},
		{"--url", "endpoint[1].url", i.in.url},
		{"--username", "endpoint[1].username", i.in.username},
		{"--fingerprint", "endpoint[1].fingerprint", i.in.fingerprint},
		{"--broker", "mqtt.broker", i.in.broker},
		{"--mqtt-username", "mqtt.username", i.in.mqttUser},
		{"--mqtt-ca-file", "mqtt.ca_file", i.in.mqttCAFile},
	} {
		if f.value != "" {
			if err := i.wrongIn(f.key, i.in); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", f.flag, err))
			}
		}
	}
	if wrong = append(wrong, i.readSecrets()...); len(wrong) > 0 {
		return usageError{errors.Join(wrong...)}
	}
	return nil
}

// readSecrets reads the files with passwords.
func (i *initializer) readSecrets() (wrong []error) {
	for _, f := range []struct {
		flag, path string
		to         *string
	}{{"--secret-file", i.in.secretFile, &i.in.secret}, {"--mqtt-secret-file", i.in.mqttSecretFile, &i.in.mqttSecret}} {
		if f.path == "" {
			continue
		}
		secret, err := config.ReadSecretFile(f.path)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s %s: %w", f.flag, f.path, bare(err)))
		}
		*f.to = secret.Reveal()
	}
	return wrong
}

// bare is an error of a file without the file's name, which is said beside it.
func bare(err error) error {
	var place *fs.PathError
	if errors.As(err, &place) {
		return place.Err
	}
	return err
}

// wrongIn is the error that the config would have for one key, without the place; nil =
// none.
func (i *initializer) wrongIn(key string, in initAnswers) error {
	_, err := i.draft(in)
	var list config.Errors
	if !errors.As(err, &list) {
		return nil
	}
	for _, e := range list {
		if e.Key == key {
			alone := *e
			alone.Place = config.Place{}
			return errors.New(strings.TrimPrefix(alone.Error(), ": "))
		}
	}
	return nil
}

// draft is the config of answers that are not complete yet, with the passwords in it
// and stand-ins for what is missing.
func (i *initializer) draft(in initAnswers) (*config.Config, error) {
	secret, mqttSecret := in.secret, in.mqttSecret
	in.secret, in.mqttSecret = "", "" // there are no files yet
	in.clientID = cmp.Or(in.clientID, "roomcall")
	in.url, in.broker = cmp.Or(in.url, "https://192.0.2.1"), cmp.Or(in.broker, "tcp://192.0.2.1")
	cfg, _, err := config.LoadText(i.path, []byte(in.text()), config.Options{})
	if err != nil {
		return nil, err
	}
	cfg.Endpoints[0].Password = config.NewSecret(secret)
	cfg.MQTT.Password = config.NewSecret(mqttSecret)
	cfg.Agent.DataDir = cmp.Or(i.dataDir, cfg.Agent.DataDir)
	return cfg, nil
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
	if wrong := i.readSecrets(); len(wrong) > 0 {
		return usageError{errors.Join(wrong...)}
	}
	return i.put(text)
}

// Names of the secret files beside the config, and of the config that was replaced.
const (
	endpointSecret = "endpoint.secret"
	brokerSecret   = "broker.secret"
	oldSuffix      = ".old"
)

// compose writes the config of the answers. One that is known not to work is written
// too, so that no answer is lost, and that is said.
func (i *initializer) compose() error {
	for _, unwell := range []error{i.endpointErr, i.brokerErr} {
		if unwell != nil {
			fmt.Fprintf(i.stderr, i.say.unwell+"\n", host.Printable(unwell.Error()))
		}
	}
	return i.put([]byte(i.in.text()))
}

// put writes the config and the secrets beside it, the config last: it is never there
// without them.
func (i *initializer) put(text []byte) error {
	dir := filepath.Dir(i.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the config's folder: %w", err)
	}
	if err := service.Protect(serviceName, i.path); err != nil {
		return err
	}
	for name, secret := range map[string]string{endpointSecret: i.in.secret, brokerSecret: i.in.mqttSecret} {
		if secret == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if err := errors.Join(durable.WriteFile(path, []byte(secret+"\n"), 0o600), forService(path, true)); err != nil {
			return fmt.Errorf("write the password: %w", err)
		}
	}
	if before, err := os.ReadFile(i.path); err == nil {
		old := i.path + oldSuffix
		if err := errors.Join(durable.WriteFile(old, before, 0o600), forService(old, false)); err != nil {
			return fmt.Errorf("keep the config from before: %w", err)
		}
		fmt.Fprintf(i.stdout, i.say.keptAs+"\n", old)
	}
	if err := durable.WriteFile(i.path, text, 0o600); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	fmt.Fprintf(i.stdout, i.say.written+"\n", i.path)
	return forService(i.path, false)
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

// text is the config of the answers.
func (in initAnswers) text() string {
	var b strings.Builder
	set := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, config.Quote(value))
		}
	}
	fmt.Fprintf(&b, "# roomcall config format %d\n", config.FormatVersion)
	b.WriteString("# Made by `roomcall init`. Every key is explained in the commented example agent.example.toml.\n\n[agent]\n")
	set("client_id", in.clientID)
	set("site", in.site)
	set("language", in.language)
	b.WriteString("\n[[endpoint]]\n")
	set("device", cmp.Or(in.device, "endpoint"))
	set("room", in.room)
	set("url", in.url)
	set("username", in.username)
	if in.secret != "" {
		set("password_file", endpointSecret)
	}
	set("fingerprint", in.fingerprint)
	set("tls_min", in.tlsMin)
	if in.legacyCiphers {
		b.WriteString("legacy_ciphers = true\n")
	}
	b.WriteString("\n[mqtt]\n")
	set("broker", in.broker)
	set("ca_file", in.mqttCAFile)
	set("username", in.mqttUser)
	if in.mqttSecret != "" {
		set("password_file", brokerSecret)
	}
	return b.String()
}

// service installs and starts the service as asked.
func (i *initializer) service(ctx context.Context) error {
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

// next says what to do now, by the system and by what runs already.
func (i *initializer) next(ctx context.Context, ill bool) {
	program, as := "roomcall", ""
	if i.configFlag != "" {
		program += " --config " + i.configFlag
	}
	if runtime.GOOS != "windows" && os.Geteuid() != 0 {
		as = "sudo "
	}
	line := func(text string, commands ...string) {
		fmt.Fprintf(i.stdout, "  %s\n", text)
		for _, c := range commands {
			fmt.Fprintf(i.stdout, "      %s\n", c)
		}
	}
	fmt.Fprintf(i.stdout, "\n%s\n", i.say.next)
	if ill {
		line(fmt.Sprintf(i.say.nextCheck, i.path), as+program+" check")
	}
	switch state := serviceNow(ctx); {
	case state == service.Running && !i.in.start && !i.in.install:
		reload := as + "systemctl reload roomcall"
		if runtime.GOOS == "windows" {
			reload = program + " restart"
		}
		line(i.admin(i.say.nextReload), reload)
	case state == service.Running:
	case state == "":
		line(i.say.nextRun, program+" run")
	case state == service.NotInstalled:
		line(i.admin(i.say.nextStart), as+program+" install", as+program+" start")
	case runtime.GOOS == "windows":
		line(i.admin(i.say.nextStart), program+" start")
	default:
		line(i.say.nextStart, as+"systemctl enable --now roomcall")
	}
	page := config.DefaultHTTPListen
	if cfg, _, err := i.look(); err == nil {
		page = cmp.Or(cfg.Agent.HTTPListen, page)
	}
	line(fmt.Sprintf(i.say.nextPage, "http://"+page+"/"), program+" status")
}

// admin says on Windows which terminal is needed.
func (i *initializer) admin(text string) string {
	if runtime.GOOS != "windows" {
		return text
	}
	return i.say.nextAdmin + " " + text
}

// serviceNow is the state of the service; "" = there is no manager to ask.
func serviceNow(ctx context.Context) service.State {
	m, err := service.NewManager(service.Config{Name: serviceName})
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, err := m.Status(ctx)
	if err != nil {
		return service.NotInstalled
	}
	return st.State
}
