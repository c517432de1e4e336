package publish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Class says what kind of trouble an Error is, so that an operator looks in
// the right place.
type Class string

// The classes.
const (
	ClassConfig         Class = "config"          // the settings cannot work
	ClassUnreachable    Class = "unreachable"     // name, route, port or patience
	ClassBadCertificate Class = "bad_certificate" // TLS trust, in either direction
	ClassRefusedLogin   Class = "refused_login"   // user name, password or right to connect
	ClassDenied         Class = "denied"          // the access list drops what is sent; only a check returns it, else see Proof
	ClassProtocol       Class = "protocol"        // something answers, but not as an MQTT 3.1.1 broker
	ClassLost           Class = "lost"            // an established connection ended or was given up
	ClassSilent         Class = "silent"          // given up: no acknowledgement, or no answer to a ping, in time
	ClassDropped        Class = "dropped"         // given up: acknowledged, but with Confirm "echo" not handed back in time
	ClassSameID         Class = "same_client_id"  // thrown out again and again: the client id is used twice
	ClassMessage        Class = "message"         // this message can never be sent
	ClassWindow         Class = "window"          // too many unconfirmed messages
	ClassUnproven       Class = "unproven"        // with Confirm "echo": nothing would be handed back now
	ClassProbe          Class = "probe"           // closed on purpose to ask the broker by MQTT 5; connect again at once
	ClassClosed         Class = "closed"          // closed by Close
	ClassWarning        Class = "warning"         // a stage of a check is well, but worth a look
)

// Error is every error of this package. It holds no secret: a broker's URL is
// shown without user information.
type Error struct {
	Class  Class
	Op     string // what was tried
	Broker string // URL, redacted; "" = before any broker
	Err    error
	// Hint is what an operator can do, as a code, "" = nothing; Facts are what its
	// words may name: "client_id", "topic", "times", "key", "extra".
	Hint  Hint
	Facts map[string]string
}

// Error says what was tried, where, and what came back, without the hint.
func (e *Error) Error() string {
	s := e.Op
	if e.Broker != "" {
		s += " " + e.Broker
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Advice is what an operator can do, as a code, with the facts that its words may
// name; "" = nothing.
func (e *Error) Advice() (code string, facts map[string]string) { return string(e.Hint), e.Facts }

// lostAt are the facts of hintLostAt.
func lostAt(e Extra) map[string]string { return map[string]string{"extra": string(e)} }

// AtExtra reports whether the connection ended at something beside the records.
func (e *Error) AtExtra() bool { return e.Hint == hintLostAt }

// Warning reports whether what was tried works and is only worth a look.
func (e *Error) Warning() bool { return e.Class == ClassWarning }

// LogKind is what stays the same when the trouble repeats: class and broker, not the
// text, which may name another port every time.
func (e *Error) LogKind() string { return string(e.Class) + " " + e.Broker }

// classOf is the class of err, "" when it is not an error of this package.
func classOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// Hint is what an operator can do about an Error or a Proof, as a stable code; the
// words for it are elsewhere.
type Hint string

// The hints.
const (
	hintDNS           Hint = "broker_dns"
	hintUnreachable   Hint = "broker_unreachable"
	hintNoAnswer      Hint = "broker_no_answer"
	hintEndsConnect   Hint = "broker_ends_connect"
	hintLostAt        Hint = "broker_lost_at"
	hintUnavailable   Hint = "broker_unavailable"
	hintLogin         Hint = "broker_login"
	hintTrust         Hint = "broker_unknown_ca"
	hintName          Hint = "broker_other_name"
	hintExpired       Hint = "broker_expired"
	hintClientCert    Hint = "broker_client_cert"
	hintNoTLS         Hint = "broker_no_tls"
	hintClientID      Hint = "broker_client_id"
	hintPath          Hint = "broker_path"
	hintURL           Hint = "broker_url"
	hintFile          Hint = "broker_file"
	hintLost          Hint = "broker_lost"
	hintHalfOpen      Hint = "broker_half_open"
	hintNoAck         Hint = "broker_no_ack"
	hintNoEcho        Hint = "broker_no_echo"
	hintLostEarly     Hint = "broker_lost_early"
	hintSameID        Hint = "broker_same_client_id"
	hintSubscribe     Hint = "broker_subscribe"
	hintNotChecked    Hint = "broker_not_checked"
	hintEndsSoon      Hint = "broker_ends_soon"
	hintEndsOnWrite   Hint = "broker_ends_on_write"
	hintNoWrite       Hint = "broker_no_write"
	hintReasonCode    Hint = "broker_reason_code"
	hintNoRead        Hint = "broker_no_read"
	hintNoReadConfirm Hint = "broker_no_read_confirm"
	hintNoReadWrite   Hint = "broker_no_read_write"
)

// errCertMissing explains the end of a connection whose broker asked for a
// client certificate. With TLS 1.3 a missing one is rejected only after the
// handshake, and the reset that follows may overtake the alert.
var errCertMissing = errors.New("the broker asked for a client certificate and ended the connection")

// connectError classifies what ended a connection attempt.
func (c *Client) connectError(b broker, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	class, hint := classify(err)
	err = cause(err)
	switch {
	case class == "" && c.certMissing.Load():
		class, hint, err = ClassBadCertificate, hintClientCert, fmt.Errorf("%w: %w", errCertMissing, err)
	case class == "":
		class, hint = ClassUnreachable, hintEndsConnect
	}
	return &Error{Class: class, Op: "connect", Broker: b.name, Err: err, Hint: hint}
}

// cause drops the MQTT library's own "network Error" in front of an error.
func cause(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if list := joined.Unwrap(); len(list) == 2 && errors.Is(list[0], packets.ErrorNetworkError) {
			return list[1]
		}
	}
	return err
}

// classify knows all but the end of a connection without a word.
func classify(err error) (Class, Hint) {
	if class, hint, ok := classifyTLS(err); ok {
		return class, hint
	}
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return ClassRefusedLogin, hintLogin
	case errors.Is(err, packets.ErrorRefusedServerUnavailable):
		return ClassUnreachable, hintUnavailable
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return ClassProtocol, hintClientID
	case errors.Is(err, errMalformed):
		return ClassProtocol, hintNoAnswer
	case errors.Is(err, errHTTPRefused):
		return ClassRefusedLogin, hintLogin
	case errors.Is(err, errHTTPStatus):
		return ClassProtocol, hintPath
	}
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return ClassUnreachable, hintDNS
	case errors.As(err, &op) && op.Op == "dial":
		return ClassUnreachable, hintUnreachable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled):
		return ClassUnreachable, hintNoAnswer
	}
	return "", ""
}

// classifyTLS knows the errors of crypto/tls. A refusal by the broker comes as
// an OpError "remote error", in TLS 1.3 only with the first read.
func classifyTLS(err error) (Class, Hint, bool) {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &name):
		return ClassBadCertificate, hintName, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ClassBadCertificate, hintExpired, true
	case errors.As(err, &unknown), errors.As(err, &verify), errors.As(err, &invalid):
		return ClassBadCertificate, hintTrust, true
	case errors.As(err, &record):
		return ClassProtocol, hintNoTLS, true
	case errors.As(err, &op) && op.Op == "remote error":
		return ClassBadCertificate, hintClientCert, true
	}
	return "", "", false
}
