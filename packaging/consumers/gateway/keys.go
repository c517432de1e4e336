package main

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// readKeys reads a file of KEY:SECRET lines; # begins a comment.
func readKeys(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	keys := map[string]string{}
	for n, line := range strings.Split(string(bytes.TrimPrefix(b, []byte("\ufeff"))), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, secret, ok := strings.Cut(line, ":")
		if !ok || key == "" || len(secret) < 8 {
			return nil, fmt.Errorf("keys: %s:%d: want KEY:SECRET, the secret of at least 8 characters", path, n+1)
		}
		keys[key] = secret
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("keys: %s has none", path)
	}
	return keys, nil
}

// knows compares a key and its secret.
func (g *gateway) knows(key, secret string) bool {
	want, ok := g.keys[key]
	return subtle.ConstantTimeCompare([]byte(want), []byte(secret)) == 1 && ok
}

// basic checks HTTP basic authentication, as Agora's document wants it: 0 = allowed, else
// the status code.
func (g *gateway) basic(r *http.Request) int {
	key, secret, given := r.BasicAuth()
	switch {
	case g.keys == nil || given && g.knows(key, secret):
		return 0
	case !given:
		return http.StatusUnauthorized
	default:
		return http.StatusForbidden
	}
}

// clockSlack is how old a signature may be.
const clockSlack = 5 * time.Minute

// scheme is one of the two ways to sign a request; they differ in words only.
type scheme struct {
	algorithm, prefix, end string // "TC3-HMAC-SHA256", what stands before the secret, the end of the scope
	regional               bool   // the scope has a region
	date                   func(r *http.Request) (stamp string, at time.Time, err error)
}

// tencent is TC3-HMAC-SHA256 of Tencent Cloud's API 3.0.
var tencent = scheme{"TC3-HMAC-SHA256", "TC3", "tc3_request", false, func(r *http.Request) (string, time.Time, error) {
	stamp := r.Header.Get("X-TC-Timestamp")
	var seconds int64
	_, err := fmt.Sscanf(stamp, "%d", &seconds)
	return stamp, time.Unix(seconds, 0), err
}}

// volcano is HMAC-SHA256 of Volcengine's OpenAPI.
var volcano = scheme{"HMAC-SHA256", "", "request", true, func(r *http.Request) (string, time.Time, error) {
	stamp := r.Header.Get("X-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	return stamp, at, err
}}

// signed checks the signature of a request; body is what was sent.
func (g *gateway) signed(s scheme, r *http.Request, body []byte) error {
	if g.keys == nil {
		return nil
	}
	if key, secret, ok := r.BasicAuth(); ok && g.knows(key, secret) {
		return nil // for callers that cannot sign
	}
	algorithm, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if algorithm != s.algorithm {
		return fmt.Errorf("the request is not signed by %s", s.algorithm)
	}
	field := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		field[name] = value
	}
	key, scope, _ := strings.Cut(field["Credential"], "/")
	secret, known := g.keys[key]
	parts := strings.Split(scope, "/")
	if want := map[bool]int{false: 3, true: 4}[s.regional]; !known || len(parts) != want || parts[want-1] != s.end {
		return fmt.Errorf("the key is not known")
	}
	stamp, at, err := s.date(r)
	if age := g.now().Sub(at); err != nil || age.Abs() > clockSlack || strings.ReplaceAll(at.UTC().Format("2006-01-02"), "-", "") != strings.ReplaceAll(parts[0], "-", "") {
		return fmt.Errorf("the signature has expired")
	}
	sum := func(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text)) // a hash never fails
		return h.Sum(nil)
	}
	names := strings.Split(field["SignedHeaders"], ";")
	var headers strings.Builder
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		if s.algorithm == tencent.algorithm && name != "content-type" {
			value = strings.ToLower(value)
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	if !slices.Contains(names, "host") {
		return fmt.Errorf("the host is not signed")
	}
	canonical := strings.Join([]string{r.Method, cmp.Or(r.URL.EscapedPath(), "/"), query(r.URL.Query()), headers.String(), field["SignedHeaders"], sum(body)}, "\n")
	text := strings.Join([]string{s.algorithm, stamp, scope, sum([]byte(canonical))}, "\n")
	k := []byte(s.prefix + secret)
	for _, part := range parts {
		k = mac(k, part)
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(mac(k, text))), []byte(field["Signature"])) != 1 {
		return fmt.Errorf("the signature is wrong")
	}
	return nil
}

// query is a query string in canonical form: sorted, and a blank as %20.
func query(v url.Values) string { return strings.ReplaceAll(v.Encode(), "+", "%20") }
