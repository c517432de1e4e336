package config

import (
	"fmt"
	"net/url"
	"strings"
)

func (l *loader) checkAgent(s *section, a Agent) {
	if isRemoteListen(a.HTTPListen) && !a.HTTPAllowRemote && !s.unresolved(a.HTTPListen) {
		f := s.table.get("http_listen")
		s.fail(f, "http_listen", f.val, &complaint{allowed: "a loopback address such as 127.0.0.1:9478",
			hint: "or set http_allow_remote = true"})
	}
}

func (l *loader) checkEndpoint(s *section, e Endpoint) {
	if (e.Login == "api" || e.Login == "web") && e.Username == "" {
		s.fail(s.table.get("login"), "login", nil, &complaint{problem: fmt.Sprintf("login %q needs a username", e.Login),
			allowed: `a username, or login = "none"`})
	}
	if e.Username == "" && e.Password.IsSet() {
		s.warn(passwordKey(s), "a password without a username is not used")
	}
	if e.Username != "" && e.Login != "none" && !hasPassword(s) {
		s.warn("username", "a username without a password: the login is tried with an empty one, and endpoints lock accounts; set password_file")
	}
	if e.Login == "none" && e.Username != "" {
		s.warn("login", `login = "none": username and password are not used`)
	}
	switch {
	case e.InsecureSkipVerify && len(e.Fingerprints) > 0:
		s.warn("insecure_skip_verify", "fingerprint is checked all the same; this key has no effect")
	case e.InsecureSkipVerify:
		s.warn("insecure_skip_verify", "the certificate is not checked: anyone on the way can read the password; fingerprint is the safe way")
	}
	if strings.HasPrefix(e.URL, "http://") {
		l.warnPlainHTTP(s, e)
	} else if len(e.Fingerprints) > 0 && (e.CAFile != "" || e.ServerName != "") {
		s.warn("fingerprint", "fingerprint replaces the checks of ca_file and server_name")
	}
}

// hasPassword tells whether the section names a password, wherever it may be: on
// another machine the secret itself cannot be read.
func hasPassword(s *section) bool {
	for _, key := range []string{"password", "password_file"} {
		if f := s.table.get(key); f != nil && f.val.text != "" {
			return true
		}
	}
	return false
}

// passwordKey is the key that the section's password was read from.
func passwordKey(s *section) string {
	if f := s.table.get("password"); f != nil && f.val.text != "" {
		return "password"
	}
	return "password_file"
}

func (l *loader) warnPlainHTTP(s *section, e Endpoint) {
	if e.Username != "" && e.Login != "none" && !isLoopback(hostOf(e.URL)) {
		s.warn("url", "http:// sends the password readable over the network; use https:// with fingerprint")
	}
	if e.CAFile != "" || e.ServerName != "" || len(e.Fingerprints) > 0 {
		s.warn("url", "http:// has no certificate: ca_file, server_name and fingerprint are not used")
	}
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (l *loader) checkMQTT(s *section, m MQTT) {
	if m.ReconnectMax < m.ReconnectMin {
		f := s.table.get("reconnect_max")
		if f == nil {
			f = s.table.get("reconnect_min")
		}
		s.fail(f, f.name, f.val, &complaint{allowed: fmt.Sprintf("reconnect_max (%s) not below reconnect_min (%s)",
			durationText(m.ReconnectMax), durationText(m.ReconnectMin))})
	}
	if m.Password.IsSet() && m.Username == "" {
		key := passwordKey(s)
		s.fail(s.table.get(key), key, nil, &complaint{problem: "a password without a username",
			allowed: "username with password; MQTT 3.1.1 sends no password alone"})
	}
	if m.Username != "" && m.CertFile == "" && !hasPassword(s) {
		s.warn("username", "a username without a password: most brokers refuse that; set password_file")
	}
	l.checkClientCert(s, m)
	if m.InsecureSkipVerify {
		s.warn("insecure_skip_verify", "the broker's certificate is not checked: anyone on the way can read and change the data")
	}
	l.warnBrokers(s, m)
}

func (l *loader) checkClientCert(s *section, m MQTT) {
	if (m.CertFile == "") != (m.KeyFile == "") {
		have, want := "cert_file", "key_file"
		if m.CertFile == "" {
			have, want = want, have
		}
		s.fail(s.table.get(have), have, nil, &complaint{problem: have + " without " + want, allowed: "both or none"})
		return
	}
	if m.CertFile == "" || l.opts.Elsewhere {
		return
	}
	if c := checkKeyPair(m.CertFile, m.KeyFile); c != nil {
		s.fail(s.table.get("cert_file"), "cert_file", nil, c)
	}
}

func (l *loader) warnBrokers(s *section, m MQTT) {
	encrypted, seen := false, map[string]bool{}
	for _, b := range m.Brokers {
		if seen[b] {
			s.warn("broker", "%s stands in the list twice", b)
		}
		seen[b] = true
		if strings.HasPrefix(b, "tls:") || strings.HasPrefix(b, "wss:") {
			encrypted = true
		} else if m.Password.IsSet() && !isLoopback(hostOf(b)) {
			s.warn("broker", "%s sends the password readable over the network; use tls:// or wss://", b)
		}
	}
	if len(m.Brokers) > 0 && !encrypted && (m.CAFile != "" || m.CertFile != "" || m.ServerName != "") {
		s.warn("broker", "no broker is tls:// or wss://: ca_file, cert_file, key_file and server_name are not used")
	}
}
