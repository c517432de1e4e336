package run

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	"roomcall/agent/config"
	"roomcall/cgi"
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

// newEndpoint makes the client of one configured endpoint. With locks it does not
// try a password that an earlier run saw refused.
func newEndpoint(e config.Endpoint, locks *lockouts, log *slog.Logger) (*cgi.Client, error) {
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
	if locks != nil {
		cfg.Lockout = locks.of(e.Device)
		cfg.OnLockout = func(l cgi.Lockout) { locks.set(e.Device, l) }
	}
	client, err := cgi.New(cfg)
	if err != nil {
		return nil, ConfigError{fmt.Errorf("endpoint %s: %w", e.Device, err)}
	}
	return client, nil
}

// rootsFrom reads the certificates of a PEM file; "" gives nil, the system's
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
