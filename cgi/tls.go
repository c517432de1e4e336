package cgi

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// legacySuites are what a client offers when Config.LegacyCiphers is set: the
// usual ones, and those with plain RSA key exchange. Go has no DHE suites.
var legacySuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
}

// maxFingerprints is one in use and one to come.
const maxFingerprints = 2

// newTLSConfig returns the client side of TLS as the settings say.
func newTLSConfig(cfg Config) (*tls.Config, error) {
	out := &tls.Config{
		RootCAs: cfg.RootCAs, ServerName: cfg.ServerName, Time: cfg.Now,
		InsecureSkipVerify: cfg.InsecureSkipVerify, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	}
	switch {
	case cfg.TLSMin != 0 && (cfg.TLSMin < tls.VersionTLS10 || cfg.TLSMin > tls.VersionTLS13):
		return nil, errors.New("tls_min: it must be 1.0, 1.1, 1.2 or 1.3")
	case cfg.TLSMin != 0:
		out.MinVersion = cfg.TLSMin
	}
	if cfg.LegacyCiphers {
		out.CipherSuites = legacySuites
	}
	pins, err := parseFingerprints(cfg.Fingerprints)
	if err != nil {
		return nil, err
	}
	if len(pins) > 0 {
		// VerifyConnection runs on resumed handshakes also.
		out.InsecureSkipVerify = true
		out.VerifyConnection = func(s tls.ConnectionState) error { return checkPins(pins, s.PeerCertificates) }
	}
	return out, nil
}

func parseFingerprints(list []string) ([]string, error) {
	if len(list) > maxFingerprints {
		return nil, fmt.Errorf("fingerprint: %d are given, at most %d are allowed", len(list), maxFingerprints)
	}
	var out []string
	for _, s := range list {
		plain := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
		if b, err := hex.DecodeString(plain); err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("fingerprint: %q is not a SHA-256 sum (64 hexadecimal digits, colons optional)", s)
		}
		out = append(out, plain)
	}
	return out, nil
}

// fingerprintError: the endpoint showed another certificate than the
// pinned one.
type fingerprintError struct{ seen string }

func (e *fingerprintError) Error() string {
	return "the certificate has the SHA-256 fingerprint " + e.seen + ", which is not the one that is set"
}

func checkPins(pins []string, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("tls: the endpoint showed no certificate")
	}
	seen := fingerprint(chain[0])
	if slices.Contains(pins, seen) {
		return nil
	}
	return &fingerprintError{seen: seen}
}

// fingerprint is the SHA-256 sum of a certificate in lower-case hexadecimal,
// as the setting fingerprint has it.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
