package cgi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"syscall"
)

// fail turns a failure of the transport into an *Error: what was tried, where,
// what came back, and what a technician can do.
func (c *Client) fail(action string, status int, err error) *Error {
	e := &Error{Kind: KindUnreachable, Action: action, URL: c.origin, HTTPStatus: status}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err // the rest repeats the address
	}
	e.Err = c.scrub(err)
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind, e.Reason = KindError, "canceled"
	case errors.Is(err, errStatus):
		e.Kind, e.Reason, e.Err = KindError, "http_status", nil
		e.Hint = statusHint(status)
		if e.unauthorized() {
			e.Kind = KindRefused
		}
	case errors.Is(err, errLarge), strings.Contains(err.Error(), "response headers exceeded"):
		e.Kind, e.Reason = KindError, "too_large"
		e.Hint = "the answer is larger than any endpoint's; check that the url names the endpoint"
	default:
		c.classify(e, err)
	}
	return e
}

func (c *Client) classify(e *Error, err error) {
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case isTLS(err):
		e.Reason, e.Hint = "tls", tlsHint(err)
	case errors.As(err, &dns) && !dns.IsTimeout:
		e.Reason, e.Hint = "dns", "the name in url is not known here; check it, or use the address"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		e.Reason, e.Hint = "timeout", timeoutHint(err)
	case isErrno(err, syscall.ECONNREFUSED, wsaeConnRefused):
		e.Reason, e.Hint = "connection_refused", "the address answers, but nothing listens on the port; check the port in url and that the endpoint's web service is on"
	case isErrno(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH, wsaeHostUnreach, wsaeNetUnreach):
		e.Reason, e.Hint = "no_route", "there is no way to the address; check cable, VLAN and gateway"
	case isBadHeader(err):
		// The text would show the header line, which may hold the session id.
		e.Kind, e.Reason, e.Err = KindError, "bad_header", errBadHeader
		e.Hint = badHeaderHint(err)
	case isReset(err):
		e.Reason, e.Hint = "reset", "the endpoint closed the connection; it may be starting, or allow no more connections"
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Kind, e.Reason = KindError, "cut_body"
		e.Hint = "the answer ended before its announced length"
	default:
		e.Reason = "network"
	}
}

var errBadHeader = errors.New("the reply's HTTP header cannot be read")

func isBadHeader(err error) bool {
	var p textproto.ProtocolError
	return errors.As(err, &p) || strings.Contains(err.Error(), "malformed") ||
		strings.Contains(err.Error(), "transfer encoding") || strings.Contains(err.Error(), "bad Content-Length")
}

// badHeaderHint knows the first bytes of a TLS alert.
func badHeaderHint(err error) string {
	if strings.Contains(err.Error(), `\x15\x03`) {
		return "the port speaks TLS; set url to https://"
	}
	return "the endpoint's firmware sends an HTTP header that is not to the standard, or another program listens on the port"
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
	if !errors.As(err, &n) {
		return false
	}
	for _, one := range list {
		if n == one {
			return true
		}
	}
	return false
}

// isReset tells that the connection was closed before an answer came, as
// happens when an endpoint drops an idle connection at the moment of a
// request.
func isReset(err error) bool {
	if err == nil {
		return false
	}
	return isErrno(err, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, wsaeConnReset, wsaeConnAborted) ||
		errors.Is(err, io.EOF) || strings.Contains(err.Error(), "server closed idle connection")
}

// isDial tells that no connection came about.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func timeoutHint(err error) string {
	if isDial(err) {
		return "the address does not answer; check that the endpoint is on and that its IP whitelist has this machine"
	}
	return "the endpoint did not answer in time; it may be starting or overloaded, or timeout is too short"
}

func statusHint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "the endpoint wants a session; check username, password and login"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "there is no action.cgi at this address; check host, port and path in url"
	case http.StatusBadRequest:
		return "the endpoint does not understand the request; check http:// or https:// in url"
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "the endpoint's web service fails; it may be starting; if it stays so, restart the endpoint"
	}
	return "no endpoint is known to answer like this; check that the url names the endpoint"
}

// unauthorized: HTTP 401 or 403.
func (e *Error) unauthorized() bool {
	return e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden
}

// lostSession: the endpoint no longer takes the session.
func (e *Error) lostSession() bool { return e.Reason == "session_lost" || e.unauthorized() }

// isTLS tells that the handshake or the certificate failed.
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

// scrub takes the password and the session out of a text that came from
// elsewhere.
func (c *Client) scrub(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, secret := range []string{c.cfg.Password, c.session.id, c.session.token} {
		if secret != "" {
			clean = strings.ReplaceAll(clean, secret, "***")
		}
	}
	if clean == text {
		return err
	}
	return errors.New(clean)
}
