package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reservedDevice is the topic level of the agent's own events.
const reservedDevice = "agent"

const idForm = `a-z, 0-9 and "-", 1 to 63 characters`

// IsID reports whether text may be a client id or a device: a level of a topic.
func IsID(text string) bool { return len(text) <= 63 && idPattern.MatchString(text) }

var idPattern = regexp.MustCompile(`^[a-z0-9-]+$`)

func checkID(v string) (string, *Error) {
	if IsID(v) {
		return v, nil
	}
	c := &Error{}
	if id := toID(v); id != "" && id != v {
		c.Hint = fmt.Sprintf("did you mean %q?", id)
	}
	return v, c
}

// toID makes an id of any name: lower case, every other character "-", no "-"
// at the ends, at most 63 characters; "" when nothing is left.
func toID(name string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	id = strings.Trim(id, "-")
	return strings.TrimRight(id[:min(len(id), 63)], "-")
}

func checkDevice(v string) (string, *Error) {
	if v == reservedDevice {
		return v, &Error{Problem: `"agent" is reserved for the agent's own events`, Allowed: "any other name of " + idForm}
	}
	_, c := checkID(v)
	if c != nil && toID(v) == reservedDevice {
		c.Hint = ""
	}
	return v, c
}

// isLabel bounds a text that people read.
func isLabel(v string) bool {
	return utf8.RuneCountInString(v) <= 200 && !strings.ContainsFunc(v, unicode.IsControl)
}

func isFilled(v string) bool { return v != "" }

func isUser(v string) bool { return len(v) <= 1024 && !strings.ContainsFunc(v, unicode.IsControl) }

func isServerName(v string) bool { return v == "" || isHost(v) && !strings.ContainsAny(v, "/@ ") }

// isPrefix wants one or more topic levels without MQTT's wildcards.
func isPrefix(v string) bool {
	return len(v) <= 128 && !strings.HasPrefix(v, "$") && !strings.ContainsAny(v, "+#") &&
		!slices.Contains(strings.Split(v, "/"), "") && !strings.ContainsFunc(v, unicode.IsControl)
}

// cleanFingerprint returns 64 lower-case hex digits.
func cleanFingerprint(v string) (string, *Error) {
	v = strings.ToLower(strings.ReplaceAll(v, ":", ""))
	if b, err := hex.DecodeString(v); err != nil || len(b) != sha256.Size {
		return "", &Error{}
	}
	return v, nil
}

const (
	endpointURLs = "https://ADDR[:PORT][/PATH] or http://ADDR[:PORT][/PATH]"
	brokerURLs   = "tcp://HOST[:PORT], tls://HOST[:PORT], ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"
)

// brokerPorts are the schemes of a broker and the port of each
// (IANA: mqtt 1883, secure-mqtt 8883).
var brokerPorts = map[string]string{"tcp": "1883", "tls": "8883", "ws": "80", "wss": "443"}

// parseURL checks what endpoint and broker URLs have in common.
func parseURL(text string, schemes []string) (*url.URL, *Error) {
	bad := &Error{hide: strings.Contains(text, "@")}
	if _, rest, ok := strings.Cut(text, "://"); ok {
		authority, _, _ := strings.Cut(rest, "/")
		if strings.Contains(authority, "@") {
			bad.Problem = "a user name or password in the URL is a secret in plain sight"
			bad.Hint = "use username and password_file"
			return nil, bad
		}
	}
	u, err := url.Parse(text)
	if err != nil || strings.ContainsAny(text, " \t\r\n") {
		return nil, bad
	}
	if !slices.Contains(schemes, u.Scheme) {
		bad.Hint = schemeHint(u.Scheme, text, schemes)
		return nil, bad
	}
	if !isHost(u.Hostname()) {
		bad.Problem = "no host name or address in the URL"
		return nil, bad
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			bad.Problem = "the port is not from 1 to 65535"
			return nil, bad
		}
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		bad.Problem, bad.hide = "a URL with ? or #", true
		return nil, bad
	}
	return u, nil
}

func isHost(h string) bool {
	if h == "" || len(h) > 253 {
		return false
	}
	if strings.Contains(h, ":") {
		_, err := netip.ParseAddr(h)
		return err == nil
	}
	for _, r := range h {
		if r <= ' ' || strings.ContainsRune(`"<>\^{|}`+"`", r) {
			return false
		}
	}
	return true
}

var schemeAliases = map[string]string{
	"mqtt": "tcp", "mqtts": "tls", "ssl": "tls", "tcps": "tls", "http": "ws", "https": "wss",
}

func schemeHint(scheme, text string, schemes []string) string {
	if !strings.Contains(text, "://") {
		return fmt.Sprintf("begin it with %s://", schemes[0])
	}
	if other := schemeAliases[scheme]; slices.Contains(schemes, other) {
		return fmt.Sprintf("did you mean \"%s://\"?", other)
	}
	if best := closest(scheme, schemes); best != "" {
		return fmt.Sprintf("did you mean \"%s://\"?", best)
	}
	return ""
}

func checkEndpointURL(text string) (string, *Error) {
	_, c := parseURL(text, []string{"https", "http"})
	return text, c
}

// cleanBroker returns the URL with its port.
func cleanBroker(text string) (string, *Error) {
	u, c := parseURL(text, []string{"tls", "tcp", "wss", "ws"})
	if c != nil {
		return "", c
	}
	if (u.Scheme == "tcp" || u.Scheme == "tls") && strings.Trim(u.Path, "/") != "" {
		return "", &Error{Problem: "a path needs ws:// or wss://"}
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), brokerPorts[u.Scheme])
	}
	return u.String(), nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// isListen wants ADDR:PORT, or "" for off.
func isListen(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, perr := strconv.Atoi(port)
	return text == "" || err == nil && perr == nil && n >= 0 && n <= 65535 && (host == "" || isHost(host))
}

// isRemoteListen tells whether others on the network can reach the address.
func isRemoteListen(text string) bool {
	host, _, err := net.SplitHostPort(text)
	return err == nil && !isLoopback(host)
}

const maxCertBytes = 1 << 20

func fileComplaint(what string, err error) *Error {
	hint := ""
	if errors.Is(err, os.ErrPermission) {
		hint = "give the user that runs roomcall the right to read it"
	}
	return &Error{Problem: what + ": " + reason(err), Hint: hint}
}

// checkCA wants a readable PEM file with at least one certificate.
func checkCA(path string) *Error {
	data, _, err := readBounded(path, maxCertBytes)
	if err != nil {
		return fileComplaint("read certificates", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		return &Error{Problem: "no certificate in the file"}
	}
	return nil
}

func checkReadable(path string) *Error {
	if _, _, err := readBounded(path, maxCertBytes); err != nil {
		return fileComplaint("read file", err)
	}
	return nil
}

// checkKeyPair wants a certificate and a key that belong together. What cannot be
// read is reported with its own key. The error of crypto/tls holds no part of the
// key.
func checkKeyPair(cert, key string) *Error {
	if checkReadable(cert) != nil || checkReadable(key) != nil {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return &Error{Problem: fmt.Sprintf("load certificate and key: %v", err), Allowed: "cert_file and key_file that belong together, PEM"}
	}
	return nil
}
