package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	endpointURLs = "https://ADDR[:PORT][/PATH] or http://ADDR[:PORT][/PATH]"
	brokerURLs   = "tcp://HOST[:PORT], tls://HOST[:PORT], ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"
)

// brokerPorts are the schemes of a broker with the port that each stands for
// (IANA: mqtt 1883, secure-mqtt 8883).
var brokerPorts = map[string]string{"tcp": "1883", "tls": "8883", "ws": "80", "wss": "443"}

// parseURL checks what endpoint and broker URLs have in common.
func parseURL(text, wanted string, schemes []string) (*url.URL, *complaint) {
	bad := &complaint{allowed: wanted, hide: strings.Contains(text, "@")}
	if _, rest, ok := strings.Cut(text, "://"); ok {
		authority, _, _ := strings.Cut(rest, "/")
		if strings.Contains(authority, "@") {
			bad.problem = "a user name or password in the URL is a secret in plain sight"
			bad.hint = "use username and password_file"
			return nil, bad
		}
	}
	u, err := url.Parse(text)
	if err != nil || strings.ContainsAny(text, " \t\r\n") {
		return nil, bad
	}
	if !slices.Contains(schemes, u.Scheme) {
		bad.hint = schemeHint(u.Scheme, text, schemes)
		return nil, bad
	}
	if !goodHost(u.Hostname()) {
		bad.problem = "no host name or address in the URL"
		return nil, bad
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			bad.problem = "the port is not from 1 to 65535"
			return nil, bad
		}
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		bad.problem, bad.hide = "a URL with ? or #", true
		return nil, bad
	}
	return u, nil
}

func goodHost(h string) bool {
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

func checkEndpointURL(text string) *complaint {
	_, c := parseURL(text, endpointURLs, []string{"https", "http"})
	return c
}

// cleanBroker gives the URL with its port.
func cleanBroker(text string) (string, *complaint) {
	u, c := parseURL(text, brokerURLs, []string{"tls", "tcp", "wss", "ws"})
	if c != nil {
		return "", c
	}
	if (u.Scheme == "tcp" || u.Scheme == "tls") && strings.Trim(u.Path, "/") != "" {
		return "", &complaint{problem: "a path needs ws:// or wss://", allowed: brokerURLs}
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

// checkListen wants ADDR:PORT or "".
func checkListen(text string) *complaint {
	if text == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	n, perr := strconv.Atoi(port)
	ok := err == nil && perr == nil && n >= 0 && n <= 65535 && (host == "" || goodHost(host))
	if !ok {
		return allowed(`ADDR:PORT such as "127.0.0.1:9478", or "" for off`)
	}
	return nil
}

// isRemoteListen tells whether others on the network can reach the address.
func isRemoteListen(text string) bool {
	host, _, err := net.SplitHostPort(text)
	return err == nil && !isLoopback(host)
}
