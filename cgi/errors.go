package cgi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// Kind says why there is no status. The names are the
// values of endpoint_state.
type Kind int

// The kinds of failure.
const (
	KindError       Kind = iota // an answer that is not a status
	KindUnreachable             // no answer: DNS, TCP, TLS, timeout
	KindRefused                 // the login or the session was refused
	KindBusy                    // the endpoint's session table is full, or a person is logged in
	KindUpgrading               // the endpoint upgrades its firmware
	KindWarning                 // of a Stage alone: it works, and something wants attention
)

// String returns the word used in endpoint_state.
func (k Kind) String() string {
	return [...]string{"error", "unreachable", "refused", "busy", "upgrading", "warning"}[k]
}

// Error is every failure of this package: what was tried, where, what came
// back. It never holds a password, a session id or a token.
type Error struct {
	Kind   Kind
	Action string // the CGI action, "" before the first request
	URL    string // scheme://host:port, no credentials
	// Reason is one short lower-case word for machines: "timeout",
	// "connection_refused", "no_route", "dns", "tls", "reset", "network",
	// "http_status", "too_large", "cut_body", "bad_header", "bad_json", "no_data",
	// "no_session", "auth_failed", "session_lost", "session_limit", "web_user",
	// "upgrading", "disabled", "api_error", "canceled".
	Reason     string
	ID, Code   int64 // the endpoint's error.id and error.code, 0 = not given
	HTTPStatus int   // 0 = no HTTP answer
	// NotUnderstood is what the endpoint said beside the numbers, such as
	// error.params, as in Status.
	NotUnderstood []Quirk
	// Hint is what an operator can do, as a code, "" = nothing; Facts are what its
	// words may name, such as "fingerprint", "names", "until".
	Hint  Hint
	Facts map[string]string
	// Fingerprint is the SHA-256 of the certificate that was not accepted, 64
	// lower-case hexadecimal digits; "" unless stage "tls" saw one.
	Fingerprint string
	Err         error
}

// Error says what was tried, where and what came back.
func (e *Error) Error() string {
	s := e.Reason
	if e.Action != "" {
		s = e.Action + ": " + s
	}
	if e.URL != "" {
		s = e.URL + ": " + s
	}
	if e.HTTPStatus != 0 && e.HTTPStatus != 200 {
		s += fmt.Sprintf(" (HTTP %d)", e.HTTPStatus)
	}
	if e.ID != 0 || e.Code != 0 {
		s += fmt.Sprintf(" (id %d, code %d)", e.ID, e.Code)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Advice is what an operator can do, as a code, with the facts that its words may
// name; "" = nothing.
func (e *Error) Advice() (code string, facts map[string]string) { return string(e.Hint), e.Facts }

// Warning reports whether what was tried works and is only worth a look.
func (e *Error) Warning() bool { return e.Kind == KindWarning }

// LogKind is what stays the same when the failure repeats: kind and reason, not the
// text, which may name another port every time.
func (e *Error) LogKind() string { return e.Kind.String() + " " + e.Reason }

// unauthorized: HTTP 401 or 403.
func (e *Error) unauthorized() bool {
	return e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden
}

// lostSession: the endpoint no longer accepts the session.
func (e *Error) lostSession() bool { return e.Reason == "session_lost" || e.unauthorized() }

// unanswered: nothing was decided by the endpoint, so nothing else need be tried.
func (e *Error) unanswered() bool { return e.Kind == KindUnreachable || e.Reason == "canceled" }

// located completes an error of a parser with what was tried and where.
func (c *Client) located(action string, err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return c.fail(action, 0, err)
	}
	e.Action, e.URL, e.HTTPStatus = action, c.origin, 200
	e.Err = c.scrub(e.Err)
	c.scrubQuirks(e.NotUnderstood)
	c.said = append(c.said, e)
	return e
}

// fail turns a failure of the transport into an *Error: what was tried, where,
// what came back, and what a technician can do.
func (c *Client) fail(action string, status int, err error) *Error {
	e := &Error{Kind: KindUnreachable, Action: action, URL: c.origin, HTTPStatus: status}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err // the rest repeats the address
	}
	e.Err = c.scrub(err)
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind, e.Reason = KindError, "canceled"
	case errors.Is(err, errStatus):
		e.Kind, e.Reason, e.Hint, e.Err = KindError, "http_status", statusHint(status), nil
		if e.unauthorized() {
			e.Kind = KindRefused
		}
	case errors.Is(err, errLarge), strings.Contains(err.Error(), "response headers exceeded"):
		e.Kind, e.Reason, e.Hint = KindError, "too_large", hintTooLarge
	case isTLS(err):
		e.Reason = "tls"
		e.Hint, e.Facts = tlsHint(err)
	case errors.As(err, &dns) && !dns.IsTimeout:
		e.Reason, e.Hint = "dns", hintDNS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		e.Reason, e.Hint = "timeout", hintNoAnswer
		if isDial(err) {
			e.Hint = hintSilent
		}
	case isErrno(err, syscall.ECONNREFUSED, wsaeConnRefused):
		e.Reason, e.Hint = "connection_refused", hintNobodyListens
	case isErrno(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH, wsaeHostUnreach, wsaeNetUnreach):
		e.Reason, e.Hint = "no_route", hintNoRoute
	case isBadHeader(err):
		// The text would show the header line, which may hold the session id.
		e.Kind, e.Reason, e.Hint, e.Err = KindError, "bad_header", hintBadHeader, errBadHeader
		if strings.Contains(err.Error(), `\x15\x03`) { // how a TLS alert begins
			e.Hint = hintSpeaksTLS
		}
	case isReset(err):
		e.Reason, e.Hint = "reset", hintReset
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Kind, e.Reason, e.Hint = KindError, "cut_body", hintCutBody
	default:
		e.Reason = "network"
	}
	return e
}

var errBadHeader = errors.New("the reply's HTTP header cannot be read")

func isBadHeader(err error) bool {
	var p textproto.ProtocolError
	return errors.As(err, &p) || strings.Contains(err.Error(), "malformed") ||
		strings.Contains(err.Error(), "transfer encoding") || strings.Contains(err.Error(), "bad Content-Length")
}

// Windows has its own numbers for what POSIX calls ECONNREFUSED and so on.
const (
	wsaeNetUnreach  = syscall.Errno(10051)
	wsaeConnAborted = syscall.Errno(10053)
	wsaeConnReset   = syscall.Errno(10054)
	wsaeConnRefused = syscall.Errno(10061)
	wsaeHostUnreach = syscall.Errno(10065)
)

func isErrno(err error, list ...syscall.Errno) bool {
	var n syscall.Errno
	return errors.As(err, &n) && slices.Contains(list, n)
}

// isReset: the connection was closed before an answer came, as
// happens when an endpoint drops an idle connection at the moment of a
// request.
func isReset(err error) bool {
	return err != nil && (isErrno(err, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, wsaeConnReset, wsaeConnAborted) ||
		errors.Is(err, io.EOF) || strings.Contains(err.Error(), "server closed idle connection"))
}

// isDial: no connection came about.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// isTLS: the handshake or the certificate failed.
func isTLS(err error) bool {
	var (
		alert  tls.AlertError
		record tls.RecordHeaderError
		verify *tls.CertificateVerificationError
		pin    *fingerprintError
		name   x509.HostnameError
	)
	return errors.As(err, &alert) || errors.As(err, &record) || errors.As(err, &verify) ||
		errors.As(err, &pin) || errors.As(err, &name) || strings.Contains(err.Error(), "tls: ") ||
		strings.Contains(err.Error(), "x509: ") || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// scrub removes the password and the session from a text that came from
// elsewhere.
func (c *Client) scrub(err error) error {
	if err == nil {
		return nil
	}
	text := c.scrubText(err.Error())
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

func (c *Client) scrubText(text string) string {
	for _, secret := range []string{c.cfg.Password, c.session.id, c.session.token} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

func (c *Client) scrubQuirks(list []Quirk) {
	for i := range list {
		list[i].Key, list[i].Text = c.scrubText(list[i].Key), c.scrubText(list[i].Text)
	}
}
