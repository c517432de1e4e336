package cgi

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

// secureRig serves an open quiet meeting over TLS; change gets the server's
// identity to set up the client.
func secureRig(t *testing.T, family string, server cgitest.TLSOptions, change func(id cgitest.Identity, cfg *Config)) *rig {
	t.Helper()
	r := newRig(t, rigOptions{sim: cgitest.Options{Family: family}, tls: &server})
	cfg := Config{URL: r.server.URL, Username: testUser, Password: testPassword, Timeout: 10 * time.Second, Now: r.clock.Now}
	change(r.id, &cfg)
	r.client = newClient(t, cfg)
	return r
}

func trust(id cgitest.Identity, cfg *Config) {
	cfg.RootCAs = x509.NewCertPool()
	cfg.RootCAs.AppendCertsFromPEM(id.CAPEM)
}

var loopback = []string{"127.0.0.1"}

func TestEachTLSVersionWorksWithTLSMinAndNotBelowIt(t *testing.T) {
	for version, name := range map[uint16]string{
		tls.VersionTLS10: "1.0", tls.VersionTLS11: "1.1", tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3",
	} {
		t.Run(name, func(t *testing.T) {
			server := cgitest.TLSOptions{Hosts: loopback, MinVersion: version, MaxVersion: version}
			r := secureRig(t, "ideahub", server, func(id cgitest.Identity, cfg *Config) { trust(id, cfg); cfg.TLSMin = version })
			r.poll(t)
			r = secureRig(t, "ideahub", server, func(id cgitest.Identity, cfg *Config) { trust(id, cfg) })
			if version >= tls.VersionTLS12 {
				r.poll(t)
				return
			}
			if e := r.pollError(t, KindUnreachable, "tls"); e.Hint != hintOldTLS {
				t.Fatalf("%v, hint %q", e, e.Hint)
			}
		})
	}
}

func TestRSAKeyExchangeNeedsLegacyCiphers(t *testing.T) {
	server := cgitest.TLSOptions{
		Hosts: loopback, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA},
	}
	r := secureRig(t, "ideahub", server, func(id cgitest.Identity, cfg *Config) { trust(id, cfg); cfg.LegacyCiphers = true })
	r.poll(t)
	r = secureRig(t, "ideahub", server, trust)
	if e := r.pollError(t, KindUnreachable, "tls"); e.Hint != hintNoCipher {
		t.Fatalf("%v, hint %q", e, e.Hint)
	}
}

func TestSelfSignedCertificateIsRefusedWithTheFingerprintToPin(t *testing.T) {
	r := secureRig(t, "ideahub", cgitest.TLSOptions{Hosts: loopback}, func(cgitest.Identity, *Config) {})
	e := r.pollError(t, KindUnreachable, "tls")
	if e.Hint != hintUnknownCA || e.Facts["fingerprint"] != r.id.Fingerprint {
		t.Fatalf("hint %q, facts %v", e.Hint, e.Facts)
	}
	if r.Count("") != 0 {
		t.Fatal("something was sent over the refused connection")
	}
}

func TestInsecureSkipVerifyTakesAnyCertificate(t *testing.T) {
	secureRig(t, "ideahub", cgitest.TLSOptions{}, func(_ cgitest.Identity, cfg *Config) { cfg.InsecureSkipVerify = true }).poll(t)
}

func TestWrongNameIsRefusedAndServerNameHelps(t *testing.T) {
	r := secureRig(t, "te40", cgitest.TLSOptions{}, trust)
	e := r.pollError(t, KindUnreachable, "tls")
	if e.Hint != hintOtherName || !strings.Contains(e.Facts["names"], "vct.tp.huawei.com") {
		t.Fatalf("%v, hint %q, facts %v", e, e.Hint, e.Facts)
	}
	r = secureRig(t, "te40", cgitest.TLSOptions{}, func(id cgitest.Identity, cfg *Config) {
		trust(id, cfg)
		cfg.ServerName = id.ServerName
	})
	r.poll(t)
}

func TestExpiredCertificateIsRefusedAndAPinTakesIt(t *testing.T) {
	server := cgitest.TLSOptions{Hosts: loopback, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(-1, 0, 0)}
	r := secureRig(t, "ideahub", server, trust)
	if e := r.pollError(t, KindUnreachable, "tls"); e.Hint != hintOutOfDate {
		t.Fatalf("%v, hint %q", e, e.Hint)
	}
	secureRig(t, "ideahub", server, func(id cgitest.Identity, cfg *Config) { cfg.Fingerprints = []string{id.Fingerprint} }).poll(t)
}

// colons writes a fingerprint as browsers show it.
func colons(s string) string {
	var parts []string
	for i := 0; i+2 <= len(s); i += 2 {
		parts = append(parts, strings.ToUpper(s[i:i+2]))
	}
	return strings.Join(parts, ":")
}

func TestFingerprintReplacesChainAndNameChecks(t *testing.T) {
	other := strings.Repeat("ab", 32)
	for name, pins := range map[string]func(string) []string{
		"plain":      func(s string) []string { return []string{s} },
		"colons":     func(s string) []string { return []string{colons(s)} },
		"the second": func(s string) []string { return []string{other, s} },
	} {
		t.Run(name, func(t *testing.T) {
			secureRig(t, "te40", cgitest.TLSOptions{}, func(id cgitest.Identity, cfg *Config) { cfg.Fingerprints = pins(id.Fingerprint) }).poll(t)
		})
	}
	r := secureRig(t, "te40", cgitest.TLSOptions{Hosts: loopback}, func(id cgitest.Identity, cfg *Config) {
		trust(id, cfg) // chain and name are right: the pin alone decides
		cfg.Fingerprints = []string{other}
	})
	e := r.pollError(t, KindUnreachable, "tls")
	if !strings.Contains(e.Error(), r.id.Fingerprint) || e.Hint != hintOtherPin || e.Facts["fingerprint"] != r.id.Fingerprint {
		t.Fatalf("%v, hint %q", e, e.Hint)
	}
	if r.Count("") != 0 {
		t.Fatal("something was sent to the wrong endpoint")
	}
}

func TestTLSToAPlainPortSaysWhichSchemeToSet(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := newClient(t, Config{URL: strings.Replace(r.server.URL, "http", "https", 1)})
	_, err := c.Poll(t.Context())
	if e := wantError(t, err, KindUnreachable, "tls"); e.Hint != hintSpeaksPlain {
		t.Fatalf("hint %q", e.Hint)
	}
}
