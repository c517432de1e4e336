package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Refusals of the HTTP upgrade of ws and wss.
var (
	errHTTPRefused = errors.New("websocket upgrade refused")
	errHTTPStatus  = errors.New("no websocket there")
)

// dial opens the byte stream to b: TCP, then TLS, then websocket, each bounded
// by ctx. No proxy is taken from the environment. The second value is the
// socket below, which can be closed at once when a peer does not answer.
func (c *Client) dial(ctx context.Context, b broker) (net.Conn, net.Conn, error) {
	var raw net.Conn
	tcp := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := dialTCP(ctx, b.addr)
		raw = conn
		return conn, err
	}
	secure := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := tcp(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		asked := &certAsked{Conn: conn}
		raw = asked
		return c.handshake(ctx, asked, b)
	}
	open := tcp
	if b.tls {
		open = secure
	}
	if b.ws {
		conn, err := dialWebsocket(ctx, b, open)
		return conn, raw, err
	}
	conn, err := open(ctx, "tcp", b.addr)
	return conn, raw, err
}

// dialTCP sets the kernel's own checks: a peer that vanished is noticed after
// 10 s of silence and 3 probes 5 s apart, unacknowledged data after 20 s
// (Linux).
func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         setSocketOptions,
	}
	return d.DialContext(ctx, "tcp", addr)
}

func (c *Client) handshake(ctx context.Context, conn *certAsked, b broker) (net.Conn, error) {
	cfg, err := c.tlsConfig(b)
	if err != nil {
		conn.Close()
		return nil, err
	}
	cfg.GetClientCertificate = conn.certificate(cfg.Certificates)
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
		c.mu.Lock()
		c.status.BrokerCertExpires = certs[0].NotAfter
		c.mu.Unlock()
	}
	return t, nil
}

// errCertWanted stands before the end of a connection whose broker asked for a
// client certificate. With TLS 1.3 a missing one is refused only after the
// handshake, and the reset that follows may overtake the alert.
var errCertWanted = errors.New("the broker asked for a client certificate and ended the connection")

// certAsked marks read and write errors as errCertWanted when the broker asked
// for a certificate and got none, until the connection is accepted.
type certAsked struct {
	net.Conn
	refused atomic.Bool
}

func (a *certAsked) certificate(have []tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(have) > 0 {
			return &have[0], nil
		}
		a.refused.Store(true)
		return &tls.Certificate{}, nil
	}
}

func (a *certAsked) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	return n, a.mark(err)
}

func (a *certAsked) Write(p []byte) (int, error) {
	n, err := a.Conn.Write(p)
	return n, a.mark(err)
}

func (a *certAsked) mark(err error) error {
	if err != nil && a.refused.Load() {
		return fmt.Errorf("%w: %w", errCertWanted, err)
	}
	return err
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func dialWebsocket(ctx context.Context, b broker, open dialFunc) (net.Conn, error) {
	d := websocket.Dialer{
		NetDialContext:    open,
		NetDialTLSContext: open,
		Proxy:             nil,
		Subprotocols:      []string{"mqtt"},
	}
	conn, resp, err := d.DialContext(ctx, b.url.String(), nil)
	if err == nil {
		conn.SetReadLimit(maxInbound)
		return &wsConn{Conn: conn}, nil
	}
	if resp == nil || !errors.Is(err, websocket.ErrBadHandshake) {
		return nil, err
	}
	kind := errHTTPStatus
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		kind = errHTTPRefused
	}
	return nil, fmt.Errorf("%w: HTTP status %d", kind, resp.StatusCode)
}

// wsConn makes a byte stream of binary websocket messages (MQTT 3.1.1, 6).
type wsConn struct {
	*websocket.Conn
	rest io.Reader // of the current message
	mu   sync.Mutex
}

func (w *wsConn) Read(p []byte) (int, error) {
	for {
		if w.rest == nil {
			_, r, err := w.NextReader()
			if err != nil {
				return 0, err
			}
			w.rest = r
		}
		n, err := w.rest.Read(p)
		if errors.Is(err, io.EOF) {
			w.rest, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (w *wsConn) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}
