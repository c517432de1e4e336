package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/run"
	"roomcall/cgi"
	"roomcall/publish"
)

var (
	errNoAnswer    = errors.New("no answer")
	errInterrupted = errors.New("interrupted; no config was written")
)

// Bounds of what a person is asked again.
const (
	maxAnswers     = 20 // to one question
	maxAddresses   = 10 // addresses of one endpoint or broker
	maxLogins      = 2  // logins at an endpoint, which may lock the account
	maxBrokerLogin = 3
)

// complete asks for what no flag sets, and tries each answer before the next question.
// A person is asked again when an answer cannot be right or does not work; of a script
// the first wrong answer ends it.
func (i *initializer) complete(ctx context.Context) error {
	steps := []func(context.Context) error{i.endpoint, i.login, i.naming, i.broker, i.brokerLogin}
	if i.in.yes {
		steps = steps[:0]
		if !i.in.noCheck || i.in.acceptFingerprint || i.in.acceptOldTLS {
			steps = append(steps, i.endpoint) // what is asked with --yes is answered by flags
		}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// endpoint asks for the endpoint's address and tries it, up to its certificate.
func (i *initializer) endpoint(ctx context.Context) error {
	err := i.answer(ctx, i.say.address, &i.in.url, func(s string) (string, error) {
		s = withScheme(s)
		return s, i.wrongIn("endpoint[1].url", initAnswers{url: s})
	})
	for tries := 1; err == nil; tries++ {
		if i.endpointErr, err = i.reach(ctx); err != nil || i.endpointErr == nil || !i.person || i.in.yes || tries == maxAddresses {
			return err
		}
		var again string
		if again, err = i.question(ctx, i.say.another); err != nil || again == "" {
			return err
		}
		again = withScheme(again)
		if wrong := i.wrongIn("endpoint[1].url", initAnswers{url: again}); wrong != nil {
			fmt.Fprintln(i.stderr, wrong)
			continue
		}
		i.in.url, i.in.fingerprint, i.in.tlsMin, i.in.legacyCiphers = again, "", "", false
	}
	return err
}

// withScheme makes a URL of an address as it is typed into a browser.
func withScheme(addr string) string {
	if addr == "" || strings.Contains(addr, "://") || strings.Contains(addr, "${") {
		return addr
	}
	return "https://" + addr
}

// reach tries the endpoint's address and sets, with consent, what it needs. unwell is
// why it does not work as it is set.
func (i *initializer) reach(ctx context.Context) (unwell, err error) {
	fmt.Fprintf(i.stdout, i.say.trying+"\n", host.Printable(i.in.url))
	for range 4 { // http, the encryption, the pin, and the proof of all
		unwell, err = i.tryEndpoint(ctx, "dns", "tcp", "tls")
		if err != nil || unwell == nil {
			return nil, err
		}
		changed, err := i.allow(ctx, unwell)
		if err != nil || !changed {
			return unwell, err
		}
	}
	return unwell, nil
}

// remedy is what may keep an endpoint from failing, with consent.
type remedy int

const (
	nothing remedy = iota
	oldTLS         // its old encryption
	pin            // its certificate
)

func (i *initializer) remedyFor(unwell error) remedy {
	var e *cgi.Error
	switch {
	case !errors.As(unwell, &e):
	case e.Facts["tls_min"] != "":
		return oldTLS
	case e.Fingerprint != "" && i.in.fingerprint == "":
		return pin
	}
	return nothing
}

// allow changes, with consent, what keeps the endpoint from working; false = nothing.
func (i *initializer) allow(ctx context.Context, unwell error) (changed bool, err error) {
	var e *cgi.Error
	if !errors.As(unwell, &e) {
		return false, nil
	}
	switch what := i.remedyFor(unwell); {
	case what == oldTLS:
		version := e.Facts["tls_min"]
		legacy := e.Facts["legacy_ciphers"] == "true"
		needs := "TLS " + version
		if legacy {
			needs += ", plain RSA"
		}
		if changed, err = i.consent(ctx, i.in.acceptOldTLS, fmt.Sprintf(i.say.oldTLS, needs)); changed {
			i.in.tlsMin, i.in.legacyCiphers = version, legacy
		}
	case what == pin:
		if changed, err = i.consent(ctx, i.in.acceptFingerprint, i.say.pin); changed {
			i.in.fingerprint = e.Fingerprint
		}
	case slices.Contains([]string{"connection_refused", "timeout"}, e.Reason) && strings.HasPrefix(i.in.url, "https://") && i.person && !i.in.yes:
		// Some old endpoints answer only without encryption.
		plain := *i
		plain.app = &app{stdout: io.Discard, stderr: io.Discard, getenv: i.getenv}
		plain.in.url = "http://" + strings.TrimPrefix(i.in.url, "https://")
		if silent, failed := plain.tryEndpoint(ctx, "tcp"); failed != nil || silent != nil {
			return false, failed
		}
		if changed, err = i.consent(ctx, false, i.say.onlyHTTP); changed {
			i.in.url = plain.in.url
		}
	}
	return changed, err
}

// consent asks whether to weaken or to pin something; given = a flag said so already.
func (i *initializer) consent(ctx context.Context, given bool, text string) (bool, error) {
	if given || i.in.yes {
		return given, nil
	}
	return i.agree(ctx, text)
}

func (i *initializer) agree(ctx context.Context, text string) (bool, error) {
	answer, err := i.question(ctx, text)
	return slices.Contains([]string{"y", "yes", "是", "好", "是的"}, strings.ToLower(answer)), err
}

// login asks for user and password, logs in and polls once.
func (i *initializer) login(ctx context.Context) error {
	unreached := i.endpointErr != nil
	for tries := 1; ; tries++ {
		if err := i.account(ctx, i.say.user, i.say.password, &i.in.username, &i.in.secret); err != nil {
			return err
		}
		if unreached {
			return nil // that is said already
		}
		var err error
		if i.endpointErr, err = i.tryEndpoint(ctx, "login", "poll", "clock"); err != nil {
			return err
		}
		var e *cgi.Error
		refused := errors.As(i.endpointErr, &e) && e.Kind == cgi.KindRefused
		if !refused || !i.person || tries == maxLogins {
			return nil
		}
		fmt.Fprintln(i.stdout, i.say.loginAgain)
		i.in.username, i.in.secret = "", ""
	}
}

// account asks for a user, and for the password of one.
func (i *initializer) account(ctx context.Context, user, password string, name, secret *string) error {
	if *name == "" && *secret == "" {
		answer, err := i.question(ctx, user)
		if err != nil {
			return err
		}
		*name = answer
	}
	if *name == "" || *secret != "" {
		return nil
	}
	answer, err := i.hidden(ctx, fmt.Sprintf(password, *name))
	*secret = answer
	return err
}

// tryEndpoint goes the named stages of the way to the endpoint and shows each. unwell
// is why one failed.
func (i *initializer) tryEndpoint(ctx context.Context, names ...string) (unwell, err error) {
	cfg, err := i.draft(i.in)
	if err != nil {
		return nil, err
	}
	client, err := run.NewEndpoint(cfg, cfg.Endpoints[0], false, nil) // a refused password is not sent twice, by whichever command
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	c := i.checker()
	answered := map[remedy]bool{oldTLS: !i.in.yes || i.in.acceptOldTLS, pin: !i.in.yes || i.in.acceptFingerprint}
	c.asked = func(err error) bool { return answered[i.remedyFor(err)] }
	return tryStages(ctx, c, "endpoint", client.Stages(), names)
}

// checker shows stages as `roomcall check` does.
func (i *initializer) checker() *checker {
	return &checker{app: i.app, lang: health.Language("", host.Locale())}
}

// tryStages runs the named ones of some stages in turn, up to the first that fails.
func tryStages[S cgi.Stage | publish.Stage](ctx context.Context, c *checker, way string, list []S, names []string) (unwell, err error) {
	for _, one := range list {
		s := step(one)
		if !slices.Contains(names, s.Name) {
			continue
		}
		var failed error
		well := c.try(ctx, way+" "+s.Name, func(ctx context.Context) (detail string, err error) {
			detail, failed = s.Run(ctx)
			return detail, failed
		})
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		if !well {
			return failed, nil
		}
	}
	return nil, nil
}

// naming asks for the room, and for the agent's own name where the host's is not one.
func (i *initializer) naming(ctx context.Context) error {
	if i.in.room == "" {
		room, err := i.question(ctx, i.say.room)
		if err != nil {
			return err
		}
		if i.in.room = room; room != "" {
			if err := i.wrongIn("endpoint[1].room", i.in); err != nil {
				return usageError{err}
			}
		}
	}
	if i.in.clientID != "" {
		return nil
	}
	in := i.in
	in.secret, in.mqttSecret, in.broker = "", "", "tcp://192.0.2.1"
	_, warnings, err := config.LoadText(i.path, []byte(in.text()), config.Options{})
	doubtful := func(w config.Warning) bool { return w.Key == "agent.client_id" }
	if err == nil && !slices.ContainsFunc(warnings, doubtful) {
		return nil
	}
	if !i.person && err == nil {
		return nil // the check warns
	}
	return i.answer(ctx, i.say.clientID, &i.in.clientID, func(s string) (string, error) {
		return s, i.wrongIn("agent.client_id", initAnswers{clientID: s})
	})
}

// broker asks for the broker's address and tries it.
func (i *initializer) broker(ctx context.Context) error {
	wrong := func(s string) error { return i.wrongIn("mqtt.broker", initAnswers{broker: s}) }
	err := i.answer(ctx, i.say.broker, &i.in.broker, func(s string) (string, error) {
		s = withTLS(s)
		return s, wrong(s)
	})
	for tries := 1; err == nil; tries++ {
		fmt.Fprintf(i.stdout, i.say.trying+"\n", host.Printable(i.in.broker))
		var unwell error
		if unwell, err = i.tryBroker(ctx, "dns", "tcp", "tls"); err != nil || unwell == nil {
			return err
		}
		if !i.person || tries == maxAddresses {
			i.brokerErr = unwell
			return nil
		}
		var e *publish.Error
		errors.As(unwell, &e)
		if e == nil || e.Class != publish.ClassBadCertificate {
			if plain, err := i.offerPlain(ctx); err != nil || plain {
				return err
			}
		}
		if e != nil && string(e.Hint) == "broker_unknown_ca" && i.in.mqttCAFile == "" {
			if err = i.authority(ctx); err != nil {
				return err
			}
			if i.in.mqttCAFile != "" {
				continue
			}
		}
		var again string
		if again, err = i.question(ctx, i.say.anotherBroker); err != nil {
			return err
		}
		if again == "" {
			i.brokerErr = unwell
			return nil
		}
		again = withTLS(again)
		if bad := wrong(again); bad != nil {
			fmt.Fprintln(i.stderr, bad)
			continue
		}
		i.in.broker, i.in.mqttCAFile = again, ""
	}
	return err
}

// withTLS makes a URL of a broker's address: encrypted, but on the port that is not.
func withTLS(addr string) string {
	switch {
	case addr == "" || strings.Contains(addr, "://") || strings.Contains(addr, "${"):
		return addr
	case strings.HasSuffix(addr, ":1883"):
		return "tcp://" + addr
	}
	return "tls://" + addr
}

// offerPlain offers MQTT without encryption where only that is answered.
func (i *initializer) offerPlain(ctx context.Context) (accepted bool, err error) {
	host, secure := strings.CutPrefix(i.in.broker, "tls://")
	if !secure {
		return false, nil
	}
	plain := *i
	plain.app = &app{stdout: io.Discard, stderr: io.Discard, getenv: i.getenv}
	plain.in.broker = "tcp://" + host
	silent, err := plain.tryBroker(ctx, "dns", "tcp", "login")
	var e *publish.Error
	if errors.As(silent, &e) && e.Class == publish.ClassRefusedLogin {
		silent = nil // it speaks MQTT
	}
	if err != nil || silent != nil {
		return false, err
	}
	if accepted, err = i.agree(ctx, i.say.onlyTCP); accepted {
		i.in.broker = plain.in.broker
	}
	return accepted, err
}

// authority asks for the certificate that vouches for the broker's.
func (i *initializer) authority(ctx context.Context) error {
	path, err := i.question(ctx, i.say.brokerCA)
	if err != nil || path == "" {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if err := i.wrongIn("mqtt.ca_file", initAnswers{mqttCAFile: path}); err != nil {
		fmt.Fprintln(i.stderr, err)
		return nil
	}
	i.in.mqttCAFile = path
	return nil
}

// brokerLogin asks for user and password and proves delivery.
func (i *initializer) brokerLogin(ctx context.Context) error {
	unreached := i.brokerErr != nil
	for tries := 1; ; tries++ {
		if err := i.account(ctx, i.say.brokerUser, i.say.brokerPassword, &i.in.mqttUser, &i.in.mqttSecret); err != nil {
			return err
		}
		if unreached {
			return nil
		}
		var err error
		if i.brokerErr, err = i.tryBroker(ctx, "login", "echo"); err != nil {
			return err
		}
		var e *publish.Error
		refused := errors.As(i.brokerErr, &e) && e.Class == publish.ClassRefusedLogin
		if !refused || !i.person || tries == maxBrokerLogin {
			return nil
		}
		fmt.Fprintln(i.stdout, i.say.brokerLoginAgain)
		i.in.mqttUser, i.in.mqttSecret = "", ""
	}
}

// tryBroker is tryEndpoint for the broker. Another client id than the agent's keeps it
// from throwing out an agent that runs.
func (i *initializer) tryBroker(ctx context.Context, names ...string) (unwell, err error) {
	cfg, err := i.draft(i.in)
	if err != nil {
		return nil, err
	}
	client, err := publish.New(run.PublishConfig(cfg))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, proofPatience)
	defer cancel()
	return tryStages(ctx, i.checker(), "broker", client.Stages(0, false), names)
}

// answer asks one question until its answer can be right. check returns the answer as
// it is kept, and what is wrong with it.
func (i *initializer) answer(ctx context.Context, text string, to *string, check func(string) (string, error)) error {
	for tries := 1; *to == ""; tries++ {
		answer, err := i.question(ctx, text)
		if err != nil {
			return err
		}
		if answer == "" {
			err = errors.New(i.say.needed)
		} else {
			answer, err = check(answer)
		}
		switch {
		case err == nil:
			*to = answer
			return nil
		case !i.person || tries == maxAnswers:
			return usageError{fmt.Errorf("answer to %q: %w", text, err)}
		}
		fmt.Fprintln(i.stderr, err)
	}
	return nil
}

// question asks for one line, without the blanks around it.
func (i *initializer) question(ctx context.Context, text string) (string, error) {
	line, err := i.line(ctx, text)
	return strings.TrimSpace(line), err
}

// hidden asks for a password, which a terminal does not show.
func (i *initializer) hidden(ctx context.Context, text string) (string, error) {
	if i.keyboard == nil {
		line, err := i.line(ctx, text)
		return strings.TrimRight(line, "\r\n"), err
	}
	fmt.Fprintf(i.stdout, "%s: ", text)
	secret, err := host.ReadHidden(ctx, i.keyboard)
	fmt.Fprintln(i.stdout)
	switch {
	case ctx.Err() != nil:
		return "", errInterrupted
	case err != nil:
		return "", fmt.Errorf("read the password: %w", err)
	}
	return secret, nil
}

// line asks for one line. Ctrl-C ends it, although a read of standard input cannot be
// ended: that read is left to the end of the process.
func (i *initializer) line(ctx context.Context, text string) (string, error) {
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
		if !i.person {
			fmt.Fprintln(i.stdout) // nobody has pressed Enter
		}
		if r.err != nil && (r.line == "" || !errors.Is(r.err, io.EOF)) {
			return "", usageError{fmt.Errorf("read answer to %q: %w; flags can answer, see --help", text, errNoAnswer)}
		}
		return r.line, nil
	}
}

// terminalOf is the terminal at the other end of an input; person = somebody sits
// there.
func terminalOf(in io.Reader) (keyboard *os.File, person bool) {
	if !host.IsTerminal(in) {
		return nil, false
	}
	keyboard, person = in.(*os.File)
	return keyboard, person
}
