package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"

	"roomcall/agent/host/hosttest"
	"roomcall/cgi/cgitest"
)

// simulator is an endpoint on loopback that can go away and come back at the
// same address.
type simulator struct {
	*cgitest.Endpoint
	t      testing.TB
	secure *tls.Config
	addr   string
	mu     sync.Mutex
	server *http.Server
	wg     sync.WaitGroup
}

func newSimulator(t testing.TB, o cgitest.Options) *simulator {
	t.Helper()
	return newSecureSimulator(t, o, nil)
}

// newSecureSimulator speaks HTTPS when secure is not nil.
func newSecureSimulator(t testing.TB, o cgitest.Options, secure *tls.Config) *simulator {
	t.Helper()
	if o.Scenario == "" {
		o.Scenario = "quiet-meeting"
	}
	o.Keep = 20000
	ep, err := cgitest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &simulator{Endpoint: ep, t: t, secure: secure, addr: "127.0.0.1:0"}
	s.back()
	t.Cleanup(s.gone)
	return s
}

func (s *simulator) url() string {
	if s.secure != nil {
		return "https://" + s.addr
	}
	return "http://" + s.addr
}

// back opens the port.
func (s *simulator) back() {
	s.t.Helper()
	var l net.Listener
	hosttest.WaitFor(s.t, "the endpoint's port is free", func() (bool, string) {
		var err error
		l, err = net.Listen("tcp", s.addr)
		return err == nil, fmt.Sprint(err)
	})
	s.addr = l.Addr().String()
	if s.secure != nil {
		l = tls.NewListener(l, s.secure)
	}
	server := &http.Server{Handler: s.Endpoint, ErrorLog: log.New(io.Discard, "", 0)}
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
	s.wg.Go(func() { _ = server.Serve(l) }) // ends with gone
}

// gone closes the port and every connection.
func (s *simulator) gone() {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	_ = server.Close()
	s.wg.Wait()
}
