package cgi

import (
	"errors"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

const (
	testUser     = "api"
	testPassword = "s3cret-Passw0rd<&>"
)

// clock is a handed-in clock that both sides share.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

// newClock starts at the true time, within the validity of the certificates.
func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// rig is a simulated endpoint on loopback and a client for it.
type rig struct {
	*cgitest.Endpoint
	client *Client
	clock  *clock
	server *httptest.Server
	id     cgitest.Identity
}

// rigOptions change a rig; the zero value is an IdeaHub with a login, over
// plain HTTP, in a quiet meeting.
type rigOptions struct {
	sim    cgitest.Options
	tls    *cgitest.TLSOptions
	client Config
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := &rig{clock: newClock()}
	o.sim.Now, o.client.Now = r.clock.Now, r.clock.Now
	if o.sim.Scenario == "" {
		o.sim.Scenario = "quiet-meeting"
	}
	if o.sim.Username == "" {
		o.sim.Username, o.sim.Password = testUser, testPassword
	}
	var err error
	if r.Endpoint, err = cgitest.New(o.sim); err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewUnstartedServer(r.Endpoint)
	r.server.Config.ErrorLog = quietLog()
	if o.tls != nil {
		if r.server.TLS, r.id, err = r.Family().TLS(*o.tls); err != nil {
			t.Fatal(err)
		}
		r.server.StartTLS()
	} else {
		r.server.Start()
	}
	t.Cleanup(r.server.Close)
	if o.client.URL == "" {
		o.client.URL = r.server.URL
	}
	if o.client.Login != loginNone && o.client.Username == "" {
		o.client.Username, o.client.Password = testUser, testPassword
	}
	if o.client.Timeout == 0 {
		o.client.Timeout = 10 * time.Second
	}
	r.client = newClient(t, o.client)
	return r
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.jitter = func() float64 { return 0 }
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func (r *rig) poll(t *testing.T) Status {
	t.Helper()
	st, err := r.client.Poll(t.Context())
	if err != nil {
		t.Fatalf("poll: %v", err)
	}
	return st
}

// pollError polls and wants a failure of a kind and reason.
func (r *rig) pollError(t *testing.T, kind Kind, reason string) *Error {
	t.Helper()
	_, err := r.client.Poll(t.Context())
	return wantError(t, err, kind, reason)
}

func wantError(t *testing.T, err error, kind Kind, reason string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want an *Error", err, err)
	}
	if e.Kind != kind || e.Reason != reason {
		t.Fatalf("got %v/%s (%v; hint %q), want %v/%s", e.Kind, e.Reason, e, e.Hint, kind, reason)
	}
	return e
}

// logins counts the passwords that the endpoint saw.
func (r *rig) logins() int {
	return r.Count("WEB_RequestCertificateAPI") + r.Count("Web_RequestCertificate")
}

// closedAddress returns a loopback address on which nothing listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
