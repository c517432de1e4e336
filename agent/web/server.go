package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/netutil"
)

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

// Options of a Server. The zero value works.
type Options struct {
	// Hosts are further host names that clients may use, for a listener that
	// is not loopback.
	Hosts []string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// Logger takes the server's own errors at debug level; nil = none.
	Logger *slog.Logger
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
		return nil, fmt.Errorf("open local HTTP: %w (is another roomcall running? change [agent] http_listen, or set it to \"\" to do without)", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := guard{next: newHandler(src, o), hosts: newHostRule(addr, l.Addr(), o.Hosts)}
	return &Server{
		listener: netutil.LimitListener(l, maxConns),
		http: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		},
	}, nil
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
