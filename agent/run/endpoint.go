package run

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/host"
	"roomcall/cgi"
	"roomcall/durable"
)

// tlsVersions are the values of tls_min.
var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// NewEndpoint makes the client of one configured endpoint, for a command that a
// person types. A password that was refused, by an agent or by another command, is
// sent again only with tryLogin. When it works, a running agent is told that its
// pause is over; complain gets the reason why it cannot be told, and may be nil.
func NewEndpoint(cfg *config.Config, e config.Endpoint, tryLogin bool, complain func(error)) (*cgi.Client, error) {
	quiet := slog.New(slog.DiscardHandler)
	pauses := readLoginPauses(cfg, quiet, host.Now)
	was := pauses.of(e.Device)
	var client *cgi.Client
	c, err := newEndpoint(e, quiet, func(c *cgi.Config) {
		if c.LoginPause = was; tryLogin {
			c.LoginPause.Until = time.Time{}
		}
		c.OnLoginPause = func(p cgi.LoginPause) {
			switch {
			case len(p.Account) > 0:
				pauses.set(e.Device, p)
			case client.SameAccount(was):
				if err := pauses.tellWorks(e.Device); err != nil && complain != nil {
					complain(err)
				}
			}
		}
	})
	client = c
	return c, err
}

// newEndpoint makes the client of one configured endpoint.
func newEndpoint(e config.Endpoint, log *slog.Logger, login func(*cgi.Config)) (*cgi.Client, error) {
	roots, err := rootsFrom(e.CAFile)
	if err != nil {
		return nil, ConfigError{fmt.Errorf("endpoint %s: %w", e.Device, err)}
	}
	cfg := cgi.Config{
		URL: e.URL, Username: e.Username, Password: e.Password.Reveal(), Login: e.Login,
		Timeout: e.Timeout, RootCAs: roots, ServerName: e.ServerName, Fingerprints: e.Fingerprints,
		InsecureSkipVerify: e.InsecureSkipVerify, TLSMin: tlsVersions[e.TLSMin],
		LegacyCiphers: e.LegacyCiphers, Logger: log.With("device", e.Device),
	}
	if e.PasswordFile != "" {
		cfg.Reread = func() string {
			password, _ := config.ReadSecretFile(e.PasswordFile) // one that cannot be read has not changed
			return password.Reveal()
		}
	}
	login(&cfg)
	client, err := cgi.New(cfg)
	if err != nil {
		return nil, ConfigError{fmt.Errorf("endpoint %s: %w", e.Device, err)}
	}
	return client, nil
}

// rootsFrom reads the certificates of a PEM file; "" returns nil, the system's
// roots.
func rootsFrom(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file %s: no PEM certificate in it", file)
	}
	return pool, nil
}

// pausesFile holds which endpoints refused their password and until when they
// no login is tried, so that neither a restart nor a reload sends it again.
const pausesFile = "refused-logins.json"

// loginPauses are those of all endpoints, by device. They are advice: a file that
// cannot be read or written costs one login more, nothing else.
type loginPauses struct {
	file string
	log  *slog.Logger

	now func() host.Reading

	mu   sync.Mutex
	list map[string]keptPause
}

// keptPause is a pause with the moment at which it began. The next run tells from
// that how much of it is over; its wall clock may be another one. What nobody
// counted, the time over a restart of the machine, is not over.
type keptPause struct {
	cgi.LoginPause
	Since host.Reading `json:"since,omitzero"` // the zero value: an older program wrote it
}

// at is the pause for a client that is made now.
func (k keptPause) at(now host.Reading) cgi.LoginPause {
	p := k.LoginPause
	if !k.Since.Wall.IsZero() {
		left := p.Until.Sub(k.Since.Wall) - host.Between(k.Since, now).Passed
		p.Until = now.Wall.Add(left)
	}
	return p
}

// readLoginPauses reads what is kept, of the devices that are configured.
func readLoginPauses(cfg *config.Config, log *slog.Logger, now func() host.Reading) *loginPauses {
	dataDir := cfg.Agent.DataDir
	l := &loginPauses{file: filepath.Join(dataDir, pausesFile), log: log, now: now, list: map[string]keptPause{}}
	b, err := os.ReadFile(l.file)
	if err == nil {
		err = json.Unmarshal(b, &l.list)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("refused logins of the last run cannot be read; a wrong password is tried once more", "file", l.file, "err", err)
	}
	known := map[string]keptPause{}
	for _, e := range cfg.Endpoints {
		if one, ok := l.list[e.Device]; ok {
			known[e.Device] = one
		}
	}
	l.list = known
	return l
}

func (l *loginPauses) of(device string) cgi.LoginPause {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list[device].at(l.now())
}

// set keeps the pause of a device; the zero value removes it.
func (l *loginPauses) set(device string, pause cgi.LoginPause) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(pause.Account) == 0 {
		delete(l.list, device)
	} else {
		l.list[device] = keptPause{pause, l.now()}
	}
	if err := l.write(); err != nil {
		l.log.Warn("refused login cannot be remembered for the next start", "device", device, "err", err)
	}
}

// restartTries is how many refusals in a row a person can end by restarting the
// agent: endpoints lock accounts, and a restart need not mean that anything has
// changed.
const restartTries = 3

// endByRestart ends the pauses because a person started the agent; the next refusal
// makes them longer all the same.
func (l *loginPauses) endByRestart() {
	for device, p := range l.list {
		if p.Times <= restartTries {
			p.Until, p.Since = time.Time{}, host.Reading{}
			l.list[device] = p
		}
	}
}

// worksFile tells a running agent that a login with a device's account has worked. It
// is there or not; what it holds does not matter, so it may be another user's.
func (l *loginPauses) worksFile(device string) string {
	return filepath.Join(filepath.Dir(l.file), "login-works-"+device)
}

func (l *loginPauses) tellWorks(device string) error {
	return durable.WriteFile(l.worksFile(device), []byte("ends the pause after a refused login\n"), 0o600)
}

// works reports once that somebody told that a login works.
func (l *loginPauses) works(device string) bool { return os.Remove(l.worksFile(device)) == nil }

func (l *loginPauses) write() error {
	if len(l.list) == 0 {
		if err := os.Remove(l.file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(l.list)
	if err != nil {
		return fmt.Errorf("marshal: %w", err)
	}
	if err := durable.WriteFile(l.file, b, 0o600); err != nil {
		return err
	}
	return host.OwnAsFolder(l.file) // a command may run as root, the agent as another user
}
