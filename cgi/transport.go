package cgi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// maxHeader bounds the header of a reply in bytes; the body is bounded by
// maxReply.
const maxHeader = 64 << 10

// connBuffer is what each connection keeps for reading, and the same for writing, in
// bytes: the header of a reply and a request fit, and a body does not go through it.
const connBuffer = 1 << 10

// errStatus is an HTTP status that is not an answer of the CGI.
var errStatus = errors.New("HTTP status")

// newHTTPClient makes the HTTP side of one endpoint: one connection, HTTP/1.1,
// no proxy from the environment, no redirects (they would carry the
// credentials elsewhere), no cookie jar (a jar keeps the endpoint's Secure
// cookie from being sent over http).
func newHTTPClient(timeout time.Duration, cfg *tls.Config) *http.Client {
	// Shorter than the whole request, so that "does not answer at all" and
	// "accepts the connection and hangs" can be told apart.
	dialer := &net.Dialer{Timeout: timeout * 3 / 4, KeepAlive: 30 * time.Second}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        cfg,
			TLSHandshakeTimeout:    timeout,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
			MaxConnsPerHost:        1,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        2 * time.Minute,
			MaxResponseHeaderBytes: maxHeader,
			ReadBufferSize:         connBuffer,
			WriteBufferSize:        connBuffer,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newRetrying wraps the HTTP client. What is retried is a connection that was
// reset, nothing else: a hang, a bad certificate or an HTTP error would come
// again.
func (c *Client) newRetrying(times int) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   c.http,
		RetryMax:     times,
		CheckRetry:   retryReset,
		Backoff:      shortBackoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

func retryReset(ctx context.Context, _ *http.Response, err error) (bool, error) {
	return ctx.Err() == nil && isReset(err), nil
}

// shortBackoff waits 100 to 300 ms, whatever Retry-After says.
func shortBackoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return 100*time.Millisecond + rand.N(200*time.Millisecond)
}

// answer is the reply to one action.
type answer struct {
	body   []byte
	cookie string // the session id of Set-Cookie, "" = none
	status int
	moved  string    // where a redirect points to, without path
	date   time.Time // the header Date, zero = none
}

// post sends one action, which is always POST, and returns the reply. No
// body goes out with length 0: an empty slice would count as a body of unknown
// length, and be sent in chunks, which a small web server need not understand.
func (c *Client) post(ctx context.Context, via *retryablehttp.Client, action string, body []byte) (answer, *Error) {
	var payload any
	if len(body) > 0 {
		payload = body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, c.origin+c.url.EscapedPath()+"?ActionID="+action, payload)
	if err != nil {
		return answer{}, c.fail(action, 0, err)
	}
	c.setHeaders(req.Header)
	var out answer
	req.SetResponseHandler(func(resp *http.Response) error {
		var err error
		out, err = readAnswer(resp)
		return err
	})
	if _, err := via.Do(req); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			err = ctx.Err()
		}
		failed := c.fail(action, out.status, err)
		if failed.Reason == "http_status" {
			c.hearReason(failed, out.body)
		}
		if out.moved != "" {
			failed.Hint, failed.Facts = hintMoved, map[string]string{"to": out.moved}
		}
		return answer{}, failed
	}
	if !out.date.IsZero() {
		c.clockAhead, c.clockKnown = out.date.Sub(c.now()), true
	}
	return out, nil
}

// hearReason adds the numbers that came with an HTTP status, if any.
func (c *Client) hearReason(failed *Error, body []byte) {
	var d decoder
	defer d.release()
	if _, said := d.open(body); said != nil && (said.ID != 0 || said.Code != 0) {
		failed.ID, failed.Code, failed.NotUnderstood = said.ID, said.Code, said.NotUnderstood
		c.scrubQuirks(failed.NotUnderstood)
		c.said = append(c.said, failed)
	}
}

// setHeaders sends the session id both as a cookie and as the header that TE
// models read. The case of the header names is as public clients have it.
func (c *Client) setHeaders(h http.Header) {
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "roomcall")
	if id := c.session.id; id != "" {
		h.Set("Cookie", "SessionID="+id)
		h["Sessionid"] = []string{id}
	}
	if c.session.web {
		h["userType"] = []string{"web"}
		h.Set("X-Requested-With", "XMLHttpRequest")
		h.Set("Origin", c.origin)
		h.Set("Referer", c.origin+"/login.html")
	}
}

// readAnswer reads a reply, at most maxReply bytes of it. The library retries
// only what fails in here.
func readAnswer(resp *http.Response) (answer, error) {
	defer func() { _ = resp.Body.Close() }()
	out := answer{status: resp.StatusCode, cookie: sessionCookie(resp)}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		out.date = at
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		if u, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
			out.moved = u.Scheme + "://" + u.Host
		}
		out.body, _ = io.ReadAll(io.LimitReader(resp.Body, maxRepaired)) // it may say why
		return out, fmt.Errorf("%w %d", errStatus, resp.StatusCode)
	}
	if resp.ContentLength > maxReply {
		return out, errLarge
	}
	body := bytes.NewBuffer(make([]byte, 0, max(resp.ContentLength, 0)+bytes.MinRead))
	_, err := body.ReadFrom(io.LimitReader(resp.Body, maxReply+1))
	if out.body = body.Bytes(); err != nil {
		return out, fmt.Errorf("read body: %w", err)
	}
	if len(out.body) > maxReply {
		return out, errLarge
	}
	return out, nil
}

// sessionCookie returns the last SessionID cookie that has a value.
func sessionCookie(resp *http.Response) string {
	id := ""
	for _, c := range resp.Cookies() {
		if strings.EqualFold(c.Name, "SessionID") && c.Value != "" && len(c.Value) <= maxToken {
			id = c.Value
		}
	}
	return id
}
