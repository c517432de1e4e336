package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// reservedDevice is the topic level of the agent's own events.
const reservedDevice = "agent"

// builtinLimits are the profiles that need no table.
var builtinLimits = []string{"huawei", "teams", "polycom", "vidyo"}

var (
	kinds = []string{"sample", "stream", "event", "call", "minute"}
	views = []string{"zoom", "agora", "volc", "trtc"}
)

const idForm = `a-z, 0-9 and "-", 1 to 63 characters`

var idPattern = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

func checkID(v string) *complaint {
	if idPattern.MatchString(v) {
		return nil
	}
	c := allowed(idForm)
	if id := toID(v); id != "" && id != v {
		c.hint = fmt.Sprintf("did you mean %q?", id)
	}
	return c
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

func checkDevice(v string) *complaint {
	if v == reservedDevice {
		return &complaint{problem: `"agent" is reserved for the agent's own events`, allowed: "any other name of " + idForm}
	}
	c := checkID(v)
	if c != nil && toID(v) == reservedDevice {
		c.hint = ""
	}
	return c
}

// checkLabel bounds a text that people read.
func checkLabel(v string) *complaint {
	if utf8.RuneCountInString(v) > 200 || strings.ContainsFunc(v, unicode.IsControl) {
		return allowed("text of at most 200 characters on one line")
	}
	return nil
}

// checkUser bounds a user name.
func checkUser(v string) *complaint {
	if len(v) > 1024 || strings.ContainsFunc(v, unicode.IsControl) {
		return allowed("text of at most 1024 bytes on one line")
	}
	return nil
}

// checkServerName wants a host name or an address, without scheme and port.
func checkServerName(v string) *complaint {
	if v == "" || goodHost(v) && !strings.ContainsAny(v, "/@ ") {
		return nil
	}
	return allowed("a host name or an address, without scheme and port")
}

// checkPrefix wants one or more topic levels without MQTT's wildcards.
func checkPrefix(v string) *complaint {
	bad := len(v) > 128 || strings.HasPrefix(v, "$") || strings.ContainsAny(v, "+#") ||
		slices.Contains(strings.Split(v, "/"), "") || strings.ContainsFunc(v, unicode.IsControl)
	if bad {
		return allowed(`topic levels such as "roomcall/v1": none empty, no "+" or "#", no "$" at the start, at most 128 bytes`)
	}
	return nil
}

var hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// cleanFingerprint gives 64 lower-case hex digits.
func cleanFingerprint(v string) (string, *complaint) {
	hex := strings.ToLower(strings.ReplaceAll(v, ":", ""))
	if !hex64.MatchString(hex) {
		return "", allowed("a SHA-256 as 64 hex digits, colons optional")
	}
	return hex, nil
}

func (l *loader) agent(s *section) Agent {
	a := Agent{
		ClientID:        s.clientID(),
		Site:            s.text("site", "", checkLabel),
		DataDir:         s.folder("data_dir", defaultDataDir(l.opts.GOOS, l.opts.LookupEnv)),
		HTTPListen:      s.text("http_listen", "127.0.0.1:9478", checkListen),
		HTTPAllowRemote: s.boolean("http_allow_remote", false),
		LogLevel:        s.oneOf("log_level", "info", "debug", "info", "warn", "error"),
		LogFormat:       s.oneOf("log_format", "text", "text", "json"),
	}
	l.checkAgent(s, a)
	return a
}

func (s *section) clientID() string {
	host, err := s.l.opts.Hostname()
	id := ""
	if err == nil {
		id = toID(host)
	}
	v := s.text("client_id", id, checkID)
	if v == "" && s.table.get("client_id") == nil {
		c := &complaint{problem: "missing, and the host name gives none", allowed: idForm}
		if s.l.opts.Elsewhere {
			c = &complaint{problem: "missing; it names the room's folder", hint: `write client_id = "{{column}}" below [agent]`}
		}
		s.fail(nil, "client_id", nil, c)
	}
	return v
}

// folder reads a key that names a folder; it need not be there.
func (s *section) folder(key, def string) string {
	f := s.get(key)
	v, ok := s.value(f, key, "a folder name in quotes")
	switch {
	case !ok:
		v = def
	case v == "":
		s.fail(f, key, f.val, allowed("a folder name"))
	case !s.unresolved(v):
		v = joinPath(s.l.opts.GOOS, s.l.dir, v)
	}
	s.record(key, tomlText(v), f)
	return v
}

func (l *loader) endpoint(s *section) Endpoint {
	const ms100 = 100 * time.Millisecond
	e := Endpoint{
		Device:       s.required("device", idForm, checkDevice),
		Room:         s.text("room", "", checkLabel),
		URL:          s.required("url", endpointURLs, checkEndpointURL),
		Username:     s.text("username", "", checkUser),
		Password:     s.secret("password"),
		Login:        s.oneOf("login", "auto", "auto", "api", "web", "none"),
		PollInterval: s.duration("poll_interval", 5*time.Second, span{min: ms100, max: time.Hour}),
		IdleInterval: s.duration("idle_interval", 15*time.Second, span{min: ms100, max: time.Hour}),
		Timeout:      s.duration("timeout", 8*time.Second, span{min: ms100, max: 5 * time.Minute}),

		CAFile:             s.filename("ca_file", checkCA),
		ServerName:         s.text("server_name", "", checkServerName),
		Fingerprints:       s.list("fingerprint", "one fingerprint or a list of two, in quotes", 2, cleanFingerprint),
		InsecureSkipVerify: s.boolean("insecure_skip_verify", false),
		TLSMin:             s.oneOf("tls_min", "1.2", "1.0", "1.1", "1.2", "1.3"),
		LegacyCiphers:      s.boolean("legacy_ciphers", false),
		PeerNames:          s.oneOf("peer_names", "off", "off", "hash", "plain"),
		Limits:             s.text("limits", "huawei", nil),
	}
	l.checkEndpoint(s, e)
	return e
}

func (l *loader) mqtt(s *section) MQTT {
	const day = 24 * time.Hour
	m := MQTT{
		Brokers:            s.brokers(),
		Username:           s.text("username", "", checkUser),
		Password:           s.secret("password"),
		CAFile:             s.filename("ca_file", checkCA),
		CertFile:           s.filename("cert_file", checkReadable),
		KeyFile:            s.filename("key_file", checkReadable),
		ServerName:         s.text("server_name", "", checkServerName),
		InsecureSkipVerify: s.boolean("insecure_skip_verify", false),
		TopicPrefix:        s.text("topic_prefix", "roomcall/v1", checkPrefix),
		Confirm:            s.oneOf("confirm", "puback", "puback", "echo"),
		KeepAlive:          s.duration("keepalive", 30*time.Second, span{min: time.Second, max: time.Hour}),
		MaxInflight:        s.integer("max_inflight", 100, 1, 10000),
		ReconnectMin:       s.duration("reconnect_min", time.Second, span{min: 100 * time.Millisecond, max: time.Hour}),
		ReconnectMax:       s.duration("reconnect_max", 2*time.Minute, span{min: 100 * time.Millisecond, max: day}),
		ReplayRate:         s.integer("replay_rate", 0, 0, 1000000),
	}
	l.checkMQTT(s, m)
	return m
}

func (s *section) brokers() []string {
	const wanted = "one URL or a list of them, in quotes: " + brokerURLs
	out := s.list("broker", wanted, 16, cleanBroker)
	f := s.table.get("broker")
	if f == nil {
		s.missing("broker", brokerURLs)
	} else if f.val.kind == kindArray && len(f.val.items) == 0 {
		s.fail(f, "broker", nil, &complaint{problem: "an empty list", allowed: wanted})
	}
	return out
}

func (l *loader) buffer(s *section) Buffer {
	const decade = 87600 * time.Hour
	return Buffer{
		MaxBytes:      s.size("max_bytes", 256<<20, 1<<20, 1<<40),
		MaxAge:        s.duration("max_age", 720*time.Hour, span{min: time.Second, max: decade, zero: true}),
		KeepDelivered: s.duration("keep_delivered", 24*time.Hour, span{min: time.Second, max: decade, zero: true}),
	}
}

func (l *loader) publish(s *section) Publish {
	p := Publish{
		Kinds: s.words("kinds", kinds, kinds...),
		Views: s.words("views", nil, views...),
	}
	if f := s.table.get("kinds"); f != nil && f.val.kind == kindArray && len(f.val.items) == 0 {
		s.fail(f, "kinds", nil, &complaint{problem: "an empty list", allowed: "at least one of " + strings.Join(kinds, ", ")})
	}
	return p
}
