package cgitest

import "crypto/tls"

// Family is one line of endpoints with its way to log in, its TLS and its
// reply habits. What the vendor documents is kept to the letter; what is only
// seen in public clients or inferred is said in Text.
type Family struct {
	Name string // "ideahub", "box", "te40", "te20"
	Text string // one line for people

	model string // szTermType, "" = the family answers numbers instead

	// Login.
	api, web     bool   // the login families the endpoint accepts
	idInBody     bool   // the session id comes in data.acSessionId, without a cookie
	idByHeader   bool   // the session id is read from the Sessionid header, not from the Cookie
	idLen        int    // length of a session id
	token        bool   // a CSRF token is handed out and wanted back
	change       string // WEB_ChangeSessionIDAPI: "cookie", "body" or "refused"
	expired      string // a request without a session: ExpiredRefused, Expired401 or Expired403
	redirectHTTP bool   // plain HTTP is sent on to HTTPS

	// Replies.
	plainObject bool   // data is a JSON object instead of a string that holds JSON
	exception   bool   // failures come as "exception" with an id alone
	topLevel    bool   // failures come as top-level code and msg
	multi       bool   // the endpoint knows multi-stream calls
	idleReply   string // multi-stream status outside a call: "placeholders", "error" or "empty"

	// TLS.
	tlsMin, tlsMax uint16
	suites         []uint16
	commonName     string
	dnsNames       []string
	caSigned       bool // a leaf under the vendor's own root; else self-signed
}

// The answers to a request whose session has expired. The vendor does not
// document one; each is seen in, or handled by, a public client.
const (
	ExpiredRefused = "refused" // HTTP 200, success 0
	Expired401     = "401"
	Expired403     = "403"
)

var families = []Family{
	{
		Name:  "ideahub",
		Text:  "IdeaHub as documented: API login, 64-hex session cookie, CSRF token, new cookie on change, TLS 1.2-1.3",
		model: "HUAWEI IdeaHub", api: true, web: true, idLen: 64, token: true, change: "cookie",
		expired: ExpiredRefused, multi: true, idleReply: "placeholders",
		tlsMin: tls.VersionTLS12, tlsMax: tls.VersionTLS13, commonName: "HUAWEI IdeaHub",
	},
	{
		Name:  "box",
		Text:  "CloudLink Box: API login by cookie, data as a plain object, 403 when the session is gone, TLS 1.2-1.3",
		model: "HUAWEI Box 300", api: true, idLen: 64, token: true, change: "cookie",
		expired: Expired403, plainObject: true, multi: true, idleReply: "error",
		tlsMin: tls.VersionTLS12, tlsMax: tls.VersionTLS13, commonName: "HUAWEI Box 300",
	},
	{
		Name:  "te40",
		Text:  "TE40: web login with browser headers, id in the body and by Sessionid header, no token, exceptions, 401, HTTP goes on to HTTPS, TLS 1.2 under the root huawei_ca",
		model: "TE40", web: true, idInBody: true, idByHeader: true, idLen: 31, change: "body",
		expired: Expired401, redirectHTTP: true, exception: true, multi: true, idleReply: "empty",
		tlsMin: tls.VersionTLS12, tlsMax: tls.VersionTLS12,
		suites: []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		},
		commonName: "vct.tp.huawei.com", dnsNames: []string{"*.tp.huawei.com"}, caSigned: true,
	},
	{
		Name: "te20",
		Text: "TE20: API login, id by Sessionid header, no token, change refused, errors at top level, single-stream calls only, TLS 1.1 with RSA key exchange",
		api:  true, web: true, idByHeader: true, idLen: 31, change: "refused",
		expired: ExpiredRefused, topLevel: true, idleReply: "error",
		tlsMin: tls.VersionTLS11, tlsMax: tls.VersionTLS11,
		suites:     []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA},
		commonName: "HUAWEI TE20",
	},
}

// Families lists the families in the order in which they are shown.
func Families() []Family { return append([]Family(nil), families...) }

// familyByName returns the named family; "" is the first.
func familyByName(name string) (Family, bool) {
	if name == "" {
		return families[0], true
	}
	for _, f := range families {
		if f.Name == name {
			return f, true
		}
	}
	return Family{}, false
}
