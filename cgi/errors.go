package cgi

import "fmt"

// Kind says what stands between the agent and a status. The names are the
// values of endpoint_state.
type Kind int

// The kinds of failure, see the contract's endpoint_state.
const (
	KindError       Kind = iota // an answer that is no status
	KindUnreachable             // no answer: DNS, TCP, TLS, timeout
	KindRefused                 // the login or the session was refused
	KindBusy                    // the endpoint's session table is full, or a person is logged in
	KindUpgrading               // the endpoint upgrades its firmware
)

// String gives the word used in endpoint_state.
func (k Kind) String() string {
	switch k {
	case KindUnreachable:
		return "unreachable"
	case KindRefused:
		return "refused"
	case KindBusy:
		return "busy"
	case KindUpgrading:
		return "upgrading"
	default:
		return "error"
	}
}

// Error is every failure of this package: what was tried, where, what came
// back. It never holds a password, a session id or a token.
type Error struct {
	Kind   Kind
	Action string // the CGI action, "" before the first request
	URL    string // scheme://host:port, no credentials
	// Reason is one short lower-case word for machines: "timeout",
	// "connection_refused", "dns", "tls", "reset", "http_status", "too_large",
	// "cut_body", "bad_header", "bad_json", "no_data", "no_session",
	// "auth_failed", "session_lost", "session_limit", "web_user", "upgrading",
	// "disabled", "api_error", "canceled".
	Reason     string
	ID, Code   int64 // the endpoint's error.id and error.code, 0 = not given
	HTTPStatus int   // 0 = no HTTP answer
	Hint       string
	Err        error
}

// Error tells what was tried, where and what came back.
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

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Advice is what an operator can do, "" = nothing.
func (e *Error) Advice() string { return e.Hint }

// LogKind is what stays the same when the failure repeats: kind and reason, not the
// text, which may name another port every time.
func (e *Error) LogKind() string { return e.Kind.String() + " " + e.Reason }
