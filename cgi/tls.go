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

// newTLSConfig gives the client side of TLS as the settings say.
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
			return nil, fmt.Errorf("fingerprint: %q is no SHA-256 sum (64 hexadecimal digits, colons optional)", s)
		}
		out = append(out, plain)
	}
	return out, nil
}

// fingerprintError tells that the endpoint showed another certificate than the
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
// in the form that fingerprint takes.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// tlsHint says which setting helps.
func tlsHint(err error) string {
	var (
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		pin     *fingerprintError
	)
	switch {
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response"):
		return "the port does not speak TLS; set url to http://, or check the port"
	case errors.As(err, &pin):
		return "if the endpoint's certificate was changed on purpose, set fingerprint = \"" + pin.seen + "\""
	case errors.As(err, &unknown):
		return "the certificate is not from a known authority; set ca_file to the endpoint's root certificate" + pinHint(err)
	case errors.As(err, &name):
		return "the certificate is for another name" + namesHint(name.Certificate) + pinHint(err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate is outside its validity; check the endpoint's and this machine's clock, or renew it" + pinHint(err)
	case errors.As(err, &invalid):
		return "the certificate is not accepted" + pinHint(err)
	}
	return handshakeHint(err.Error())
}

// handshakeHint reads the text: the library has no types for these.
func handshakeHint(text string) string {
	switch {
	case strings.Contains(text, "protocol version"):
		return "the endpoint speaks an older TLS version; set tls_min to \"1.1\" or \"1.0\", old terminals need legacy_ciphers = true too"
	case strings.Contains(text, "handshake failure"), strings.Contains(text, "unsupported SSLv2"), strings.Contains(text, "insufficient security"):
		return "the endpoint and the agent have no cipher in common; set legacy_ciphers = true, old terminals need tls_min = \"1.0\" too"
	case strings.Contains(text, "x509: "):
		return "the certificate cannot be read or is not accepted; pin it with fingerprint, or put a TLS proxy in front of the endpoint"
	}
	return "the TLS handshake failed; try tls_min = \"1.0\" and legacy_ciphers = true"
}

// pinHint offers the fingerprint of the certificate that was refused.
func pinHint(err error) string {
	var verify *tls.CertificateVerificationError
	if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0 {
		return ""
	}
	return "; or pin it, after comparing it with the endpoint's own: fingerprint = \"" + fingerprint(verify.UnverifiedCertificates[0]) + "\""
}

func namesHint(cert *x509.Certificate) string {
	if cert == nil {
		return ""
	}
	names := cert.DNSNames
	switch common := cert.Subject.CommonName; {
	case len(names) == 0 && common != "":
		return " (it carries only the common name " + common + ", which is not checked any more)"
	case len(names) == 0:
		return ""
	case cert.VerifyHostname(common) == nil: // a wildcard is no name to set
		names = []string{common}
	}
	return "; set server_name to one that it carries: " + strings.Join(names[:min(len(names), 4)], ", ")
}
