package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
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

const dialTimeout = 3 * time.Second

// wsaeConnRefused is what Windows says for ECONNREFUSED.
const wsaeConnRefused = syscall.Errno(10061)

// Get asks the agent that listens at addr ([agent] http_listen) for path, for
// example "/api/v1/status". The caller closes the body. When nothing listens,
// the error wraps ErrNotRunning and says how to check; an answer other than
// 200 is an *AnswerError. The answer has to begin within patience, see Patience; ctx
// bounds the whole exchange, the body included.
func Get(ctx context.Context, addr, path string, patience time.Duration) (io.ReadCloser, error) {
	return GetWithKey(ctx, addr, path, patience, "")
}

// GetWithKey is Get for what may have names of people: key is the agent's Options.Key,
// which signs the request and is not sent.
func GetWithKey(ctx context.Context, addr, path string, patience time.Duration, key string) (io.ReadCloser, error) {
	if addr == "" {
		return nil, errors.New("ask the running agent: [agent] http_listen is \"\", so it cannot be asked; set it to \"127.0.0.1:9478\" and restart the agent")
	}
	addr = dialAddr(addr)
	asking := func(err error) error { return fmt.Errorf("ask the running agent at %s: %w", addr, err) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, asking(err)
	}
	if key != "" {
		req.Header.Set("Authorization", signature(key, req.URL.RequestURI(), time.Now()))
	}
	resp, err := (&http.Transport{
		DisableKeepAlives:     true, // one request; also no goroutine stays behind
		DisableCompression:    true,
		ResponseHeaderTimeout: patience + dialTimeout, // the agent began to count later
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
	}).RoundTrip(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaeConnRefused):
		look := "systemctl status roomcall"
		if runtime.GOOS == "windows" {
			look = "sc query roomcall"
		}
		return nil, asking(fmt.Errorf("%w: nothing listens there; see `%s`, or start it with `roomcall start`", ErrNotRunning, look))
	case err != nil:
		return nil, asking(err)
	case resp.Header.Get("Server") != serverName:
		resp.Body.Close()
		return nil, asking(fmt.Errorf("%w: another program answers there; change [agent] http_listen", ErrNotRunning))
	case resp.StatusCode == http.StatusOK:
		return resp.Body, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var said struct{ Error, Hint string }
	if json.Unmarshal(b, &said) != nil || said.Error == "" {
		said.Error = strings.TrimSpace(string(b))
	}
	return nil, &AnswerError{Code: resp.StatusCode, Text: said.Error, Hint: said.Hint}
}

// dialAddr turns an address to listen on into one to connect to.
func dialAddr(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.Is4() && ip.IsUnspecified():
		return net.JoinHostPort("127.0.0.1", port)
	case err == nil && ip.IsUnspecified():
		return net.JoinHostPort("::1", port)
	}
	return listen
}
