package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// guard lets through only what the local API is for: reading, from this
// machine's own names, and not on behalf of another web site.
type guard struct {
	next  http.Handler
	hosts hostRule
}

func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	securityHeaders(w.Header())
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, r, http.StatusMethodNotAllowed, "only GET and HEAD are answered here", "")
	case !g.hosts.allows(r.Host):
		fail(w, r, http.StatusForbidden, "this Host name is not served here",
			"open http://"+g.hosts.example()+"/ ; through a tunnel, use the same port on both sides")
	case crossSite(r):
		fail(w, r, http.StatusForbidden, "requests that come from another web site are refused",
			"type the address into the browser instead of following a link")
	default:
		g.next.ServeHTTP(w, r)
	}
}

// securityHeaders keeps the pages out of frames, caches and other origins.
func securityHeaders(h http.Header) {
	h.Set("Server", serverName)
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// crossSite reports whether a page of another origin caused the request. Browsers
// send Sec-Fetch-Site with every request to a loopback address; programs send none.
// Browsers before 2023 show it by the Referer.
func crossSite(r *http.Request) bool {
	own := "http://" + r.Host
	switch r.Header.Get("Sec-Fetch-Site") {
	case "none", "same-origin":
	case "":
		if from := r.Header.Get("Referer"); from != "" && !strings.EqualFold(siteOf(from), own) {
			return true
		}
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	return origin != "" && !strings.EqualFold(origin, own)
}

// siteOf is the origin of a URL; "" when it has none.
func siteOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// hostRule says which Host headers mean this listener. It is what stops DNS
// rebinding: a foreign name that points at 127.0.0.1 is refused.
type hostRule struct {
	port string
	// host is the host part of the configured listen address, "" when the
	// listener is open on every address of the machine.
	host string
	// anyIP: the listener is open on every address, so every literal address may
	// be ours. A literal cannot be rebound.
	anyIP bool
	// names are further host names, for example the machine's own.
	names []string
}

// newHostRule builds the rule for a listener at bound that was configured as
// listen ("127.0.0.1:9478").
func newHostRule(listen string, bound net.Addr, names []string) hostRule {
	rule := hostRule{names: names}
	if tcp, ok := bound.(*net.TCPAddr); ok {
		rule.port = strconv.Itoa(tcp.Port)
		rule.anyIP = tcp.IP.IsUnspecified()
	}
	if host, _, err := net.SplitHostPort(listen); err == nil && !rule.anyIP {
		rule.host = host
	}
	return rule
}

func (h hostRule) allows(hostport string) bool {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		// A browser leaves the port out when it is 80.
		host, port = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]"), "80"
	}
	if port != h.port || host == "" {
		return false
	}
	if strings.EqualFold(host, "localhost") || (h.host != "" && strings.EqualFold(host, h.host)) {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback() || h.anyIP
	}
	for _, n := range h.names {
		if strings.EqualFold(host, n) {
			return true
		}
	}
	return false
}

func (h hostRule) example() string {
	if h.host != "" {
		return net.JoinHostPort(h.host, h.port)
	}
	return net.JoinHostPort("127.0.0.1", h.port)
}
