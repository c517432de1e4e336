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
// person types: it tries a password also when an earlier run saw it refused.
func NewEndpoint(e config.Endpoint) (*cgi.Client, error) {
	return newEndpoint(e, nil, slog.New(slog.DiscardHandler))
}

// newEndpoint makes the client of one configured endpoint. With pauses it does not
// try a password that an earlier run saw refused.
func newEndpoint(e config.Endpoint, pauses *loginPauses, log *slog.Logger) (*cgi.Client, error) {
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
	if pauses != nil {
		cfg.LoginPause = pauses.of(e.Device)
		cfg.OnLoginPause = func(p cgi.LoginPause) { pauses.set(e.Device, p) }
	}
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
	return durable.WriteFile(l.file, b, 0o600)
}
