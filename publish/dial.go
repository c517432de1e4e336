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
	"time"

	"github.com/gorilla/websocket"
)

// Refusals of the HTTP upgrade of ws and wss.
var (
	errHTTPRefused = errors.New("websocket upgrade refused")
	errHTTPStatus  = errors.New("no websocket there")
)

// dial opens the byte stream to b: TCP, then TLS, then websocket, each bounded
// by ctx. No proxy is taken from the environment. raw is the socket below, which
// can be closed at once when a peer does not answer.
func (c *Client) dial(ctx context.Context, b broker) (conn, raw net.Conn, err error) {
	open := func(ctx context.Context, _, _ string) (net.Conn, error) {
		socket, err := c.cfg.Dial(ctx, "tcp", b.addr)
		if err != nil {
			return nil, err
		}
		raw = socket
		if b.tls {
			return c.handshake(ctx, socket, b)
		}
		return socket, nil
	}
	if b.ws {
		conn, err = dialWebsocket(ctx, b, open)
	} else {
		conn, err = open(ctx, "tcp", b.addr)
	}
	return conn, raw, err
}

// DialTCP sets the kernel's own checks: a peer that vanished is noticed after
// 10 s of silence and 3 probes 5 s apart, unacknowledged data after 20 s
// (Linux).
func DialTCP(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         setSocketOptions,
	}
	return d.DialContext(ctx, network, addr)
}

func (c *Client) handshake(ctx context.Context, conn net.Conn, b broker) (net.Conn, error) {
	cfg, err := c.tlsConfig(b)
	if err != nil {
		conn.Close()
		return nil, err
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(cfg.Certificates) > 0 {
			return &cfg.Certificates[0], nil
		}
		c.certMissing.Store(true)
		return &tls.Certificate{}, nil
	}
	if cfg.Certificates == nil { // else the broker would go on with the certificate of the first time
		cfg.ClientSessionCache = c.sessions
	}
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
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
