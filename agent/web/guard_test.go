package web

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"roomcall/agent/health/healthtest"
)

func TestOnlyReadingIsAnswered(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
		w := ask(&fake{status: healthtest.Well()}, "/api/v1/status", func(r *http.Request) { r.Method = method })
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestForeignHostIsRefused(t *testing.T) {
	loopback := hostRule{port: "9478", host: "127.0.0.1"}
	lan := newHostRule("10.1.2.3:9478", &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 9478}, nil)
	all := newHostRule(":9478", &net.TCPAddr{IP: net.IPv6unspecified, Port: 9478}, []string{"room-pc"})
	for _, c := range []struct {
		rule hostRule
		host string
		want bool
	}{
		{loopback, "127.0.0.1:9478", true}, {loopback, "localhost:9478", true}, {loopback, "LOCALHOST:9478", true},
		{loopback, "[::1]:9478", true}, {loopback, "127.8.8.8:9478", true},
		{loopback, "127.0.0.1:80", false}, {loopback, "127.0.0.1", false}, {loopback, "localhost", false},
		{loopback, "evil.example:9478", false}, {loopback, "localhost.evil.example:9478", false},
		{loopback, "10.1.2.3:9478", false}, {loopback, "", false}, {loopback, ":9478", false}, {loopback, "127.0.0.1:9478:9478", false},
		{loopback, "2130706433:9478", false}, {loopback, "[::ffff:127.0.0.1]:9478", true},
		{lan, "10.1.2.3:9478", true}, {lan, "10.1.2.4:9478", false}, {lan, "evil.example:9478", false},
		{all, "10.1.2.4:9478", true}, {all, "room-pc:9478", true}, {all, "[fe80::1]:9478", true}, {all, "evil.example:9478", false},
		{hostRule{port: "80", host: "127.0.0.1"}, "localhost", true}, {hostRule{port: "80"}, "[::1]", true},
	} {
		if got := c.rule.allows(c.host); got != c.want {
			t.Errorf("Host %q for %+v: allowed %v", c.host, c.rule, got)
		}
	}
	w := ask(&fake{status: healthtest.Well()}, "/api/v1/status", func(r *http.Request) { r.Host = "evil.example:9478" })
	if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "evil") || !strings.Contains(w.Body.String(), "127.0.0.1:9478") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestRequestOfAnotherSiteIsRefused(t *testing.T) {
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"Sec-Fetch-Site", "cross-site", 403}, {"Sec-Fetch-Site", "same-site", 403}, {"Sec-Fetch-Site", "new-value", 403},
		{"Sec-Fetch-Site", "none", 200}, {"Sec-Fetch-Site", "same-origin", 200},
		{"Origin", "https://evil.example", 403}, {"Origin", "null", 403}, {"Origin", "http://127.0.0.1:3000", 403},
		{"Origin", "http://127.0.0.1:9478", 200}, {"X-Other", "x", 200},
		{"Referer", "https://evil.example/page", 403}, {"Referer", "http://127.0.0.1:3000/", 403}, {"Referer", "%", 403},
		{"Referer", "http://127.0.0.1:9478/", 200}, {"Referer", "http://127.0.0.1:9478", 200},
	} {
		w := ask(&fake{status: healthtest.Well()}, "/metrics", func(r *http.Request) { r.Header.Set(c.header, c.value) })
		if w.Code != c.want {
			t.Errorf("%s: %s answered %d, want %d", c.header, c.value, w.Code, c.want)
		}
	}
}

func TestEveryAnswerForbidsFramesSniffingCachesAndOtherOrigins(t *testing.T) {
	for _, path := range []string{"/", "/healthz", "/metrics", "/api/v1/status", "/nothing"} {
		h := ask(&fake{status: healthtest.Well()}, path).Header()
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, h)
		}
		for name := range h {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s lets other origins in: %s", path, name)
			}
		}
	}
}

func TestPageHasOnlyItsOwnScriptAndStyle(t *testing.T) {
	w := ask(&fake{status: healthtest.Ill()}, "/")
	page := w.Body.String()
	for _, own := range []string{"<script src=\"/assets/page.js\" defer></script>", "<script src=\"/assets/uplot/uPlot.iife.min.js\" defer></script>"} {
		page = strings.Replace(page, own, "", 1)
	}
	for _, active := range []string{"<script", " src=", "style=\"", "<style", "javascript:", " onload", "url(", "http-equiv"} {
		if strings.Contains(page, active) {
			t.Errorf("the page holds %q", active)
		}
	}
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		t.Errorf("policy %q", csp)
	}
}

func TestAssetsAreThePagesOwnAndNothingElse(t *testing.T) {
	for path, kind := range map[string]string{
		"/assets/page.js": "text/javascript; charset=utf-8", "/assets/page.css": "text/css; charset=utf-8",
		"/assets/uplot/uPlot.iife.min.js": "text/javascript; charset=utf-8", "/assets/poor.svg": "image/svg+xml",
		"/assets/uplot/LICENSE": "", "/assets/": "", "/assets/other.svg": "", "/assets/..%2fweb.go": "", "/assets/../page.js": "",
	} {
		w := ask(&fake{status: healthtest.Well()}, path)
		if kind == "" && w.Code == http.StatusOK || kind != "" && (w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind || w.Body.Len() == 0) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}
