package cgi

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Config says how to reach one endpoint.
type Config struct {
	// URL is https://ADDR[:PORT] or http://...; a path is optional and is put
	// before action.cgi.
	URL string
	// Username and Password are the endpoint's account; no user = no login.
	Username, Password string
	// Login is the login family: "api" (the documented one), "web" (that of
	// the endpoint's own pages), "none", or "auto" (also ""), which tries api,
	// then web, and remembers what worked.
	Login string
	// Timeout bounds one request from dialling to the last byte; 0 = 8 s.
	Timeout time.Duration

	// RootCAs replaces the system's roots; nil = the system's.
	RootCAs *x509.CertPool
	// ServerName is the name that the certificate must carry; "" = the host of
	// the URL.
	ServerName string
	// Fingerprints are SHA-256 sums of the endpoint's certificate, in
	// hexadecimal, colons optional; at most two, for a change of certificate.
	// They replace the checks of chain and name.
	Fingerprints []string
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool
	// TLSMin is tls.VersionTLS10 to tls.VersionTLS13; 0 = TLS 1.2.
	TLSMin uint16
	// LegacyCiphers adds the suites with plain RSA key exchange.
	LegacyCiphers bool

	// LoginPause is what OnLoginPause was called with in an earlier run, if it was.
	LoginPause LoginPause
	// OnLoginPause is called with a refused password to be remembered, and with the
	// zero value when a later login works; nil = nobody remembers. It must not block.
	OnLoginPause func(LoginPause)

	// Reread returns the password as it is kept now, "" = not known. It is asked when
	// a password is refused and while that keeps logins back; one that has changed
	// is tried at once. nil = the password never changes.
	Reread func() string
	// LoginWorks is asked while a refused password keeps logins back: true = a login
	// with the same account has worked elsewhere, so the pause is over. nil = nobody
	// can tell.
	LoginWorks func() bool

	// Logger gets what an operator may want to know; nil = silent.
	Logger *slog.Logger
	// Now is the clock for pauses and keep-alive; nil = time.Now.
	Now func() time.Time
}

// The values of Config.Login.
const (
	loginAuto = "auto"
	loginAPI  = "api"
	loginWeb  = "web"
	loginNone = "none"
)

// Client talks to one endpoint.
//
// Promise: at most one request is under way at any time; a session is reused
// for as long as the endpoint accepts it, and a poll never logs in while there is
// one; a refused password is sent once, and not again for 10 minutes at least.
// Client is safe for concurrent use.
type Client struct {
	cfg    Config
	url    *url.URL // of action.cgi
	origin string   // scheme://host:port
	log    *slog.Logger
	now    func() time.Time
	jitter func() float64 // 0 <= x < 1

	http     *http.Client
	reading  *retryablehttp.Client // retries a reset connection once
	changing *retryablehttp.Client // never retries

	sending chan struct{} // holds a token while a request may be sent
	session session
	pause   pause
	family  string // the login family that worked, "" = not known
	model   string // szTermType of the last login

	clockAhead time.Duration // of the endpoint's clock before ours, when last seen
	clockKnown bool
	remembered bool // somebody remembers a login pause

	said []*Error // what the endpoint refused in this poll, the first first
}

// defaultTimeout bounds one request when Config.Timeout is 0.
const defaultTimeout = 8 * time.Second

// New makes a client; it sends nothing. It fails for a URL, a login, a TLS version
// or a fingerprint that is not valid, and never shows a password in the error.
func New(cfg Config) (*Client, error) {
	u, err := parseURL(cfg.URL)
	if err == nil {
		cfg.Login, err = parseLoginFamily(cfg.Login, cfg.Username)
	}
	var tlsConfig *tls.Config
	if err == nil {
		tlsConfig, err = newTLSConfig(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("set up endpoint client: %w", err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	c := &Client{
		cfg: cfg, url: u, origin: u.Scheme + "://" + u.Host,
		log: cfg.Logger, now: cfg.Now, jitter: rand.Float64, sending: make(chan struct{}, 1),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.http = newHTTPClient(cfg.Timeout, tlsConfig)
	c.reading, c.changing = c.newRetrying(1), c.newRetrying(0)
	c.resumePause(cfg.LoginPause)
	return c, nil
}

// parseURL returns the address of action.cgi.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case err != nil:
		return nil, errors.New("url: it cannot be read as a URL") // the parser's own text would show a password in it
	case u.User != nil:
		return nil, errors.New("url: user and password do not belong in it; use username and password")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("url: scheme is %q, it must be https or http", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("url: the host is missing")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("url: a query or fragment does not belong in it")
	}
	u.Path = cmp.Or(u.Path, "/")
	if path.Base(u.Path) == "action.cgi" {
		return u.JoinPath(), nil
	}
	return u.JoinPath("action.cgi"), nil
}

func parseLoginFamily(login, username string) (string, error) {
	login = cmp.Or(login, loginAuto)
	if !slices.Contains([]string{loginAuto, loginAPI, loginWeb, loginNone}, login) {
		return "", fmt.Errorf("login: %q is not one of auto, api, web, none", login)
	}
	if username == "" {
		return loginNone, nil
	}
	return login, nil
}

// acquire waits for the right to send. The caller calls release.
func (c *Client) acquire(ctx context.Context) *Error {
	if ctx.Err() == nil {
		select {
		case c.sending <- struct{}{}:
			return nil
		case <-ctx.Done():
		}
	}
	return c.fail("", 0, ctx.Err())
}

func (c *Client) release() { <-c.sending }
