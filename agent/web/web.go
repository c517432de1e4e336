// Package web is the agent's local HTTP: the status page, health and readiness,
// Prometheus metrics and a small read-only API.
//
// Promise: it changes nothing. It answers GET and HEAD only, only to a Host
// name that means this listener, and never to a page of another site; every
// input is bounded, and a measurement that is not known is absent, never 0.
//
// Paths:
//
//	/                      status page for people; ?device= shows one of several rooms
//	/assets/               its script, styles and icons
//	/healthz               200 while the process is alive
//	/readyz                200, or 503 with one reason a line
//	/metrics               Prometheus text, base units (seconds, bytes, ratios)
//	/api/v1/status         Status as JSON
//	/api/v1/samples        newest samples; ?device= and ?since= are optional
//	/api/v1/history        an hour of readings, a day of minutes and calls; ?device=, ?since= is optional
//	/api/v1/events         what happens, as server-sent events; ?device= is optional
//	/api/v1/buffer         what waits in the store
//	/api/v1/buffer/export  the store's records, one JSON object a line; with Options.Key only
//	/api/v1/buffer/verify  checks the store's files
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/report"
)

// MaxSamples is the most samples that one answer of /api/v1/samples holds.
const MaxSamples = 1000

// Source is what the handler asks. Every method must be safe for concurrent
// use and must not wait for the network or for the poll and drain loops.
type Source interface {
	// Status is a snapshot of the whole agent.
	Status() health.Status
	// Samples are the newest sample payloads made at or after since, oldest
	// first, at most max. An empty device means all devices. cut: there were more,
	// older ones.
	Samples(device string, since time.Time, max int) (list []json.RawMessage, cut bool)
	// Buffer is the JSON object that `buffer info --json` prints.
	Buffer(ctx context.Context) (json.RawMessage, error)
	// Export writes the records that match, one JSON object a line, in the
	// order of the queue. An error after the first byte cuts the answer.
	Export(ctx context.Context, w io.Writer, f Filter) error
	// Verify checks the store's files and returns the JSON object that
	// `buffer verify --json` prints. An error means that the check itself
	// could not run; damage is a result, not an error.
	Verify(ctx context.Context) (json.RawMessage, error)
}

// Filter chooses records for an export. The zero value means all records that
// wait for delivery.
type Filter struct {
	report.Filter
	Delivered bool // also the delivered records that are still kept
}

// serverName is the Server header; the client knows an agent by it.
const serverName = "roomcall"

// Bounds of the server.
const (
	maxConns       = 64
	maxHeaderBytes = 16 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 30 * time.Second
	stopTimeout    = time.Second
)

// readRate is how fast a slow disk reads the store at least, bytes a second.
const readRate = 1 << 20

// Patience is how long the agent may work until its answer to a path begins. The
// client waits as long as the server does, so that neither gives up before the other.
// Who reads the whole store may need the time for it: maxBytes is [buffer] max_bytes.
func Patience(path string, maxBytes int64) time.Duration {
	path, _, _ = strings.Cut(path, "?")
	switch path {
	case "/api/v1/buffer/export", "/api/v1/buffer/verify":
		return writeTimeout + time.Duration(maxBytes/readRate)*time.Second
	}
	return writeTimeout
}

// Options of a Server. The zero value works.
type Options struct {
	// Hosts are further host names that clients may use, for a listener that
	// is not loopback.
	Hosts []string
	// MaxBytes is how large the store may be; see Patience.
	MaxBytes int64
	// History is what the page draws; nil = nothing.
	History *History
	// Key is what signs a request for what may have names of people, see GetWithKey;
	// "" = nobody may read that.
	Key string
	// Language is that of the page, [agent] language: "auto" and "" follow the browser.
	Language string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// Logger gets the server's own errors at debug level; nil = none.
	Logger *slog.Logger

	stopping <-chan struct{}
}

// Server is an open listener and the handler behind it.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Listen opens addr ("127.0.0.1:9478", port 0 = any) and prepares the handler.
// Connections wait in the kernel's queue until Serve is called. The caller must
// call Serve or Close.
func Listen(addr string, src Source, o Options) (*Server, error) {
	l, err := net.Listen(networkOf(addr), addr)
	if err != nil {
		return nil, &health.Trouble{Code: "page_unavailable", Err: fmt.Errorf("open local HTTP: %w", err)}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	stopping := make(chan struct{})
	o.stopping = stopping
	h := guard{next: newHandler(src, o), hosts: newHostRule(addr, l.Addr(), o.Hosts)}
	s := &Server{
		listener: l,
		http: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ConnState:         (&crowd{}).changed,
			ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		},
	}
	s.http.RegisterOnShutdown(func() { close(stopping) }) // what never ends by itself
	return s, nil
}

// CanListen tells why addr cannot be opened, as Listen would.
func CanListen(addr string) error {
	s, err := Listen(addr, nil, Options{})
	if err != nil {
		return err
	}
	return s.Close()
}

// crowd keeps the open connections to maxConns. For a new one beyond them the one
// goes that has not asked for anything for longest, else the oldest: slow and
// idle clients never make another one wait.
type crowd struct {
	mu   sync.Mutex
	open []member          // oldest first
	gone map[net.Conn]bool // those that were closed here, until the server notices: then they are active once more
}

type member struct {
	conn   net.Conn
	asking bool // an answer is under way
}

func (c *crowd) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone[conn] {
		if state == http.StateClosed {
			delete(c.gone, conn)
		}
		return
	}
	c.open = slices.DeleteFunc(c.open, func(m member) bool { return m.conn == conn })
	if state == http.StateClosed || state == http.StateHijacked {
		return
	}
	c.open = append(c.open, member{conn, state == http.StateActive})
	if len(c.open) > maxConns {
		leaves := max(0, slices.IndexFunc(c.open, func(m member) bool { return !m.asking }))
		if leaves == len(c.open)-1 {
			leaves = 0 // all others are asking
		}
		if c.gone == nil {
			c.gone = map[net.Conn]bool{}
		}
		c.gone[c.open[leaves].conn] = true
		c.open[leaves].conn.Close()
		c.open = slices.Delete(c.open, leaves, leaves+1)
	}
}

// networkOf keeps 0.0.0.0 to IPv4: Go's "tcp" would open every IPv6 address with
// it.
func networkOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		return "tcp4"
	}
	return "tcp"
}

// Addr is the real address, also when port 0 was asked for.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers until ctx ends, then stops within a second: running answers
// may finish in that time, what is left is cut. It returns nil after such a
// stop, and the error when the listener failed by itself.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve local HTTP: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := s.http.Shutdown(stop); err != nil {
		s.http.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve local HTTP: %w", err)
	}
	return nil
}

// Close closes a listener that was never served.
func (s *Server) Close() error {
	return errors.Join(s.listener.Close(), s.http.Close())
}
