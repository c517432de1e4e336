package cgi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// tls shakes hands with what is set but the certificate's checks, then says
// what those make of it.
func (p *prober) tls(ctx context.Context, u *url.URL) Stage {
	if u.Scheme != "https" {
		return Stage{}
	}
	cfg, err := newTLSConfig(p.c.cfg)
	if err != nil { // New has made it once
		return p.failed("tls", err)
	}
	check := cfg.VerifyConnection
	cfg.InsecureSkipVerify, cfg.VerifyConnection = true, nil
	state, err := p.shake(ctx, u, cfg)
	if err != nil {
		s := p.failed("tls", err)
		if found := p.ladder(ctx, u, cfg); found != "" {
			s.Hint = found
		}
		return s
	}
	return p.judge(u, state, check)
}

func (p *prober) shake(ctx context.Context, u *url.URL, cfg *tls.Config) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, p.c.cfg.Timeout)
	defer cancel()
	raw, err := p.dial(ctx, u)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = u.Hostname()
	}
	conn := tls.Client(raw, cfg)
	defer func() { _ = raw.Close() }()
	if err := conn.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

// ladder tries what old endpoints need, and says which setting works.
func (p *prober) ladder(ctx context.Context, u *url.URL, cfg *tls.Config) string {
	for _, min := range []uint16{tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10} {
		for _, legacy := range []bool{false, true} {
			cfg.MinVersion, cfg.MaxVersion, cfg.CipherSuites = min, 0, nil
			if legacy {
				cfg.CipherSuites = legacySuites
			}
			state, err := p.shake(ctx, u, cfg)
			if err != nil {
				continue
			}
			hint := fmt.Sprintf("it works with tls_min = %q", strings.TrimPrefix(tls.VersionName(min), "TLS "))
			if legacy {
				hint += " and legacy_ciphers = true"
			}
			return hint + "; its certificate has the fingerprint " + fingerprint(state.PeerCertificates[0])
		}
	}
	return ""
}

// expirySoon is when a certificate's end is worth a warning.
const expirySoon = 30 * 24 * time.Hour

func (p *prober) judge(u *url.URL, state tls.ConnectionState, pinned func(tls.ConnectionState) error) Stage {
	leaf := state.PeerCertificates[0]
	now := p.c.now()
	s := Stage{Name: "tls", OK: true, Fingerprint: fingerprint(leaf), Detail: fmt.Sprintf("%s, certificate of %s by %s, valid to %s (%d days), fingerprint %s",
		tls.VersionName(state.Version), leaf.Subject.CommonName, leaf.Issuer.CommonName,
		leaf.NotAfter.UTC().Format("2006-01-02"), int(leaf.NotAfter.Sub(now).Hours()/24), fingerprint(leaf))}
	var err error
	switch {
	case pinned != nil:
		err = pinned(state)
		s.Detail += ", pinned"
	case p.c.cfg.InsecureSkipVerify:
		s.Warn = true
		s.Detail += ", not checked"
		s.Hint = "the certificate is not checked; compare the fingerprint with the endpoint's own and set fingerprint = \"" + fingerprint(leaf) + "\" instead"
	default:
		err = p.verify(u, state.PeerCertificates, now)
	}
	if err != nil {
		return Stage{Name: "tls", Detail: s.Detail + ": " + err.Error(), Hint: tlsHint(err), Fingerprint: s.Fingerprint}
	}
	if left := leaf.NotAfter.Sub(now); left < expirySoon && s.Hint == "" {
		s.Warn, s.Hint = true, "the certificate ends soon, or has ended; renew it on the endpoint"
	}
	return s
}

func (p *prober) verify(u *url.URL, chain []*x509.Certificate, now time.Time) error {
	opts := x509.VerifyOptions{
		Roots: p.c.cfg.RootCAs, DNSName: p.c.cfg.ServerName,
		Intermediates: x509.NewCertPool(), CurrentTime: now,
	}
	if opts.DNSName == "" {
		opts.DNSName = u.Hostname()
	}
	for _, cert := range chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}
