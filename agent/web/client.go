package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// ErrNotRunning means that nothing listens at the agent's local address.
var ErrNotRunning = errors.New("no agent is running here")

// AnswerError is an answer of the agent other than 200.
type AnswerError struct {
	Code int    // HTTP status
	Text string // what the agent said
	Hint string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("the agent answered %d: %s", e.Code, e.Text)
}

// Get asks the agent that listens at addr ([agent] http_listen) for path, for
// example "/api/v1/status". The caller closes the body. When nothing listens,
// the error wraps ErrNotRunning and says how to check; an answer other than
// 200 is an *AnswerError. ctx bounds the whole exchange, the body included.
func Get(ctx context.Context, addr, path string) (io.ReadCloser, error) {
	if addr == "" {
		return nil, errors.New("ask the running agent: [agent] http_listen is \"\", so it cannot be asked; set it to \"127.0.0.1:9478\" and restart the agent")
	}
	addr = dialAddr(addr)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the running agent at %s: %w", addr, err)
	}
	resp, err := (&http.Transport{
		DisableKeepAlives:     true, // one request; also no goroutine stays behind
		DisableCompression:    true,
		ResponseHeaderTimeout: verifyTimeout + writeTimeout,
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
	}).RoundTrip(req)
	if err != nil {
		return nil, notRunning(addr, err)
	}
	return checked(addr, resp)
}

func notRunning(addr string, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errConnRefused) {
		return fmt.Errorf("ask the running agent at %s: %w: nothing listens there; %s", addr, ErrNotRunning, checkHint)
	}
	return fmt.Errorf("ask the running agent at %s: %w", addr, err)
}

// checked passes a good answer of a roomcall agent on.
func checked(addr string, resp *http.Response) (io.ReadCloser, error) {
	if resp.Header.Get("Server") != serverName {
		resp.Body.Close()
		return nil, fmt.Errorf("ask the running agent at %s: %w: another program answers there; change [agent] http_listen", addr, ErrNotRunning)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	e := &AnswerError{Code: resp.StatusCode, Text: strings.TrimSpace(string(b))}
	var said struct{ Error, Hint string }
	if json.Unmarshal(bytes.TrimSpace(b), &said) == nil && said.Error != "" {
		e.Text, e.Hint = said.Error, said.Hint
	}
	return nil, e
}

// dialAddr turns an address to listen on into one to connect to.
func dialAddr(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		if ip.Is4() {
			return net.JoinHostPort("127.0.0.1", port)
		}
		return net.JoinHostPort("::1", port)
	}
	return listen
}
