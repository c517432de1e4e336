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
	Hint   string // what an operator can do; "" = nothing
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

// Advice is what an operator can do, "" = nothing.
func (e *Error) Advice() string { return e.Hint }

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

const (
	hintDNS         = "the name in [mqtt] broker cannot be found from this machine: check it and the machine's DNS, or use the address"
	hintUnreachable = "check the host and port in [mqtt] broker, the network and the firewall, and that the broker runs"
	hintNoAnswer    = "something accepts connections there but does not speak MQTT: check scheme and port in [mqtt] broker (tcp 1883, tls 8883)"
	hintLogin       = "check [mqtt] username and password_file, and the broker's users"
	hintTrust       = "set [mqtt] ca_file to the CA that signed the broker's certificate"
	hintName        = "the broker's certificate is for another name: correct the host in [mqtt] broker or set [mqtt] server_name"
	hintExpired     = "renew the broker's certificate, or correct the clock of this machine"
	hintClientCert  = "the broker does not accept the client certificate: check [mqtt] cert_file and key_file, and their expiry"
	hintNoTLS       = "the broker's port has no TLS: use tcp:// in [mqtt] broker, or the broker's TLS port"
	hintClientID    = "the broker does not accept the client id: check [agent] client_id and the broker's rules for it"
	hintPath        = "check the path of the websocket URL in [mqtt] broker, often /mqtt"
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
		class, hint = ClassProtocol, hintNoAnswer
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
func classify(err error) (Class, string) {
	if class, hint, ok := classifyTLS(err); ok {
		return class, hint
	}
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return ClassRefusedLogin, hintLogin
	case errors.Is(err, packets.ErrorRefusedServerUnavailable):
		return ClassUnreachable, "the broker says that it is not available; wait, or look at its log"
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return ClassProtocol, hintClientID
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
func classifyTLS(err error) (Class, string, bool) {
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
