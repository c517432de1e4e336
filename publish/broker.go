package publish

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
)

// broker is one parsed entry of the broker list.
type broker struct {
	url        *url.URL // without user information
	name       string   // the same as text, for people
	addr       string   // host:port
	tls, ws    bool
	user, pass string // from the URL
}

var defaultPorts = map[string]string{"tcp": "1883", "tls": "8883", "ws": "80", "wss": "443"}

// parseBroker reads a broker URL. Its errors never repeat the input: it may
// hold a password.
func parseBroker(s string) (broker, error) {
	bad := func(msg string) (broker, error) {
		return broker{}, &Error{Class: ClassConfig, Op: "read [mqtt] broker", Err: errors.New(msg),
			Hint: hintURL}
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("not a URL")
	}
	port, known := defaultPorts[u.Scheme]
	switch {
	case !known:
		return bad(fmt.Sprintf("scheme %q is not one of tcp, tls, ws, wss", u.Scheme))
	case u.Hostname() == "":
		return bad("the host is missing")
	}
	b := broker{tls: u.Scheme == "tls" || u.Scheme == "wss", ws: u.Scheme == "ws" || u.Scheme == "wss"}
	if u.User != nil {
		b.user = u.User.Username()
		b.pass, _ = u.User.Password()
		u.User = nil
	}
	if u.Port() != "" {
		port = u.Port()
	}
	if b.ws && u.Path == "" {
		u.Path = "/mqtt"
	}
	u.RawQuery, u.Fragment = "", ""
	b.addr = net.JoinHostPort(u.Hostname(), port)
	b.url, b.name = u, u.String()
	return b, nil
}

// credentials of the configuration, else of the URL.
func (c *Client) credentials(b broker) (user, password string) {
	if c.cfg.Username != "" {
		if again := c.password.Load(); again != nil {
			return c.cfg.Username, *again
		}
		return c.cfg.Username, c.cfg.Password
	}
	return b.user, b.pass
}

// tlsConfig reads the certificate files, so a renewed file is taken at the
// next connection.
func (c *Client) tlsConfig(b broker) (*tls.Config, error) {
	t := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         b.url.Hostname(),
		InsecureSkipVerify: c.cfg.InsecureSkipVerify, //nolint:gosec // an operator's explicit choice
	}
	if c.cfg.ServerName != "" {
		t.ServerName = c.cfg.ServerName
	}
	if c.cfg.CAFile != "" {
		pem, err := os.ReadFile(c.cfg.CAFile)
		if err != nil {
			return nil, fileError("[mqtt] ca_file", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fileError("[mqtt] ca_file", fmt.Errorf("no PEM certificate in %s", c.cfg.CAFile))
		}
	}
	if c.cfg.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.cfg.CertFile, c.cfg.KeyFile)
		if err != nil {
			return nil, fileError("[mqtt] cert_file and key_file", err)
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

func fileError(key string, err error) error {
	return &Error{Class: ClassBadCertificate, Op: "read " + key, Err: err, Hint: hintFile, Facts: map[string]string{"key": key}}
}
