package cgi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What a technician can do about an error, or a warning of a Stage.
const (
	hintDNS           = "the name in url is not known here; check it, or use the address"
	hintSilent        = "the address does not answer; check that the endpoint is on and that its IP whitelist has this machine"
	hintNoAnswer      = "the endpoint did not answer in time; it may be starting or overloaded, or timeout is too short"
	hintNobodyListens = "the address answers, but nothing listens on the port; check the port in url and that the endpoint's web service is on"
	hintNoRoute       = "there is no way to the address; check cable, VLAN and gateway"
	hintReset         = "the endpoint closed the connection; it may be starting, or allow no more connections"

	hintTooLarge  = "the answer is larger than any endpoint's; check that the url names the endpoint"
	hintCutBody   = "the answer ended before its announced length"
	hintBadHeader = "the endpoint's firmware sends an HTTP header that does not follow the standard, or another program listens on the port"
	hintSpeaksTLS = "the port speaks TLS; set url to https://"
	hintMoved     = "the endpoint sends the request on to %s; set url to it, if it is the endpoint"
	hintWebPage   = "the answer is a web page; check that the url names the endpoint and its port"

	hintWantsSession = "the endpoint wants a session; check username, password and login"
	hintNoCGI        = "there is no action.cgi at this address; check host, port and path in url"
	hintBadRequest   = "the endpoint does not understand the request; check http:// or https:// in url"
	hintServiceFails = "the endpoint's web service fails; it may be starting; if this does not stop, restart the endpoint"
	hintOddStatus    = "no endpoint is known to answer like this; check that the url names the endpoint"

	hintSessionLimit   = "the endpoint's session table is full; sessions of other programs or people have to end first"
	hintAuthFailed     = "the endpoint refuses user or password"
	hintDisabled       = "the endpoint has its HTTP interface switched off; use https, or switch it on"
	hintWebUser        = "a person is logged in on the endpoint's web page; the agent waits and does not throw them out"
	hintNoSessionGiven = "the endpoint opens no session: its session table is full, it is being upgraded, or it knows another login (set login)"
	hintNoSessionID    = "the endpoint sent no session id, neither as a cookie nor in the reply"
	hintLoginRefused   = "the endpoint refuses the login; check username and password, or set login to the other family"
	hintRefusedBefore  = "check username and password; they were refused before this start"
	hintPaused         = "; endpoints lock accounts, so a running agent does not send the password again before %s or a change of its settings"
	hintWantsLogin     = "the endpoint refuses every request; it may want a login: set username and password"
	hintSessionLost    = "the endpoint no longer accepts the session"
	hintSessionsShort  = "the endpoint ends each session soon after the login; check that the account may use the API"
	hintUpgrading      = "the endpoint installs new firmware; the agent waits until it is done"

	hintSpeaksPlain   = "the port does not speak TLS; set url to http://, or check the port"
	hintOtherPin      = "if the endpoint's certificate was changed on purpose, set fingerprint = \"%s\""
	hintUnknownCA     = "the certificate is not from a known authority; set ca_file to the endpoint's root certificate"
	hintOtherName     = "the certificate is for another name"
	hintOnlyCN        = " (it carries only the common name %s, which is not checked any more)"
	hintNames         = "; set server_name to one that it carries: %s"
	hintOutOfDate     = "the certificate is outside its validity; check the endpoint's and this machine's clock, or renew it"
	hintNotAccepted   = "the certificate is not accepted"
	hintPin           = "; or pin it, after comparing it with the endpoint's own: fingerprint = \"%s\""
	hintOldTLS        = "the endpoint speaks an older TLS version; set tls_min to \"1.1\" or \"1.0\", old terminals need legacy_ciphers = true too"
	hintNoCipher      = "the endpoint and the agent have no cipher in common; set legacy_ciphers = true, old terminals need tls_min = \"1.0\" too"
	hintUnreadable    = "the certificate cannot be read or is not accepted; pin it with fingerprint, or put a TLS proxy in front of the endpoint"
	hintHandshake     = "the TLS handshake failed; try tls_min = \"1.0\" and legacy_ciphers = true"
	hintWorksWith     = "it works with tls_min = \"%s\"%s; its certificate has the fingerprint %s"
	hintLegacyToo     = " and legacy_ciphers = true"
	hintNotChecked    = "the certificate is not checked; compare the fingerprint with the endpoint's own and set fingerprint = \"%s\" instead"
	hintEndsSoon      = "the certificate ends soon, or has ended; renew it on the endpoint"
	hintNotUnderstood = "%d values were not understood: %s; send them to support together with the output of poll --raw"
	hintClocks        = "one of the two clocks is wrong: give this machine and the endpoint a time server (NTP); records carry this machine's time"
)

func statusHint(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return hintWantsSession
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return hintNoCGI
	case http.StatusBadRequest:
		return hintBadRequest
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return hintServiceFails
	}
	return hintOddStatus
}

func pausedHint(until time.Time) string {
	return fmt.Sprintf(hintPaused, until.Format("15:04:05 MST"))
}

// tlsHint says which setting helps. For some failures the library has no types,
// and the text is read.
func tlsHint(err error) string {
	var (
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		pin     *fingerprintError
	)
	says := func(text string) bool { return strings.Contains(err.Error(), text) }
	switch {
	case errors.As(err, &record), says("server gave HTTP response"):
		return hintSpeaksPlain
	case errors.As(err, &pin):
		return fmt.Sprintf(hintOtherPin, pin.seen)
	case errors.As(err, &unknown):
		return hintUnknownCA + pinHint(err)
	case errors.As(err, &name):
		return hintOtherName + namesHint(name.Certificate) + pinHint(err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return hintOutOfDate + pinHint(err)
	case errors.As(err, &invalid):
		return hintNotAccepted + pinHint(err)
	case says("protocol version"):
		return hintOldTLS
	case says("handshake failure"), says("unsupported SSLv2"), says("insufficient security"):
		return hintNoCipher
	case says("x509: "):
		return hintUnreadable
	}
	return hintHandshake
}

// pinHint offers the fingerprint of the certificate that was refused.
func pinHint(err error) string {
	var verify *tls.CertificateVerificationError
	if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0 {
		return ""
	}
	return fmt.Sprintf(hintPin, fingerprint(verify.UnverifiedCertificates[0]))
}

func namesHint(cert *x509.Certificate) string {
	if cert == nil {
		return ""
	}
	names := cert.DNSNames
	switch common := cert.Subject.CommonName; {
	case len(names) == 0 && common != "":
		return fmt.Sprintf(hintOnlyCN, common)
	case len(names) == 0:
		return ""
	case cert.VerifyHostname(common) == nil: // a wildcard is not a name to set
		names = []string{common}
	}
	return fmt.Sprintf(hintNames, strings.Join(names[:min(len(names), 4)], ", "))
}
