package cgi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
)

// Hint is what an operator can do about an Error, as a stable code; the words for
// it are elsewhere.
type Hint string

// The hints. The facts of an Error that belong to one are named behind it.
const (
	hintDNS            Hint = "endpoint_dns"
	hintSilent         Hint = "endpoint_silent"
	hintNoAnswer       Hint = "endpoint_no_answer"
	hintNobodyListens  Hint = "endpoint_nobody_listens"
	hintNoRoute        Hint = "endpoint_no_route"
	hintReset          Hint = "endpoint_reset"
	hintTooLarge       Hint = "endpoint_too_large"
	hintCutBody        Hint = "endpoint_cut_body"
	hintBadHeader      Hint = "endpoint_bad_header"
	hintSpeaksTLS      Hint = "endpoint_speaks_tls"
	hintMoved          Hint = "endpoint_moved"
	hintWebPage        Hint = "endpoint_web_page"
	hintWantsSession   Hint = "endpoint_wants_session"
	hintNoCGI          Hint = "endpoint_no_cgi"
	hintBadRequest     Hint = "endpoint_bad_request"
	hintServiceFails   Hint = "endpoint_service_fails"
	hintOddStatus      Hint = "endpoint_odd_status"
	hintSessionLimit   Hint = "endpoint_session_limit"
	hintAuthFailed     Hint = "endpoint_auth_failed"
	hintDisabled       Hint = "endpoint_disabled"
	hintWebUser        Hint = "endpoint_web_user"
	hintNoSessionGiven Hint = "endpoint_no_session_given"
	hintNoSessionID    Hint = "endpoint_no_session_id"
	hintLoginRefused   Hint = "endpoint_login_refused"
	hintRefusedBefore  Hint = "endpoint_refused_before"
	hintWantsLogin     Hint = "endpoint_wants_login"
	hintSessionLost    Hint = "endpoint_session_lost"
	hintSessionsShort  Hint = "endpoint_sessions_short"
	hintOtherLogin     Hint = "endpoint_other_login"
	hintCallRefused    Hint = "endpoint_call_refused"
	hintNoJSON         Hint = "endpoint_no_json"
	hintUpgrading      Hint = "endpoint_upgrading"
	hintSpeaksPlain    Hint = "endpoint_speaks_plain"
	hintOtherPin       Hint = "endpoint_other_pin"
	hintUnknownCA      Hint = "endpoint_unknown_ca"
	hintOtherName      Hint = "endpoint_other_name"
	hintOutOfDate      Hint = "endpoint_out_of_date"
	hintNotAccepted    Hint = "endpoint_not_accepted"
	hintOldTLS         Hint = "endpoint_old_tls"
	hintNoCipher       Hint = "endpoint_no_cipher"
	hintUnreadable     Hint = "endpoint_unreadable"
	hintHandshake      Hint = "endpoint_handshake"
	hintWorksWith      Hint = "endpoint_works_with"
	hintNotChecked     Hint = "endpoint_not_checked"
	hintEndsSoon       Hint = "endpoint_ends_soon"
	hintNotUnderstood  Hint = "endpoint_values_not_understood"
	hintClocks         Hint = "endpoint_clocks"
)

func statusHint(status int) Hint {
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

// tlsHint says which setting helps, and the facts that belong to it. For some
// failures the library has no types, and the text is read.
func tlsHint(err error) (Hint, map[string]string) {
	var (
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		pin     *fingerprintError
		verify  *tls.CertificateVerificationError
	)
	facts := map[string]string{}
	if errors.As(err, &verify) && len(verify.UnverifiedCertificates) > 0 {
		facts["fingerprint"] = fingerprint(verify.UnverifiedCertificates[0])
	}
	says := func(text string) bool { return strings.Contains(err.Error(), text) }
	switch {
	case errors.As(err, &record), says("server gave HTTP response"):
		return hintSpeaksPlain, nil
	case errors.As(err, &pin):
		return hintOtherPin, map[string]string{"fingerprint": pin.seen}
	case errors.As(err, &unknown):
		return hintUnknownCA, facts
	case errors.As(err, &name):
		if cert := name.Certificate; cert != nil {
			names, common := cert.DNSNames, cert.Subject.CommonName
			switch {
			case len(names) == 0:
				facts["common_name"] = common
			case cert.VerifyHostname(common) == nil: // a wildcard is not a name to set
				facts["names"] = common
			default:
				facts["names"] = strings.Join(names[:min(len(names), 4)], ", ")
			}
		}
		return hintOtherName, facts
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return hintOutOfDate, facts
	case errors.As(err, &invalid):
		return hintNotAccepted, facts
	case says("protocol version"):
		return hintOldTLS, nil
	case says("handshake failure"), says("unsupported SSLv2"), says("insufficient security"):
		return hintNoCipher, nil
	case says("x509: "):
		return hintUnreadable, nil
	}
	return hintHandshake, nil
}
