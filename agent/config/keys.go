package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

//go:generate go test -run TestGeneratedFilesAreFresh -update .

// section is a table of agent.toml with its keys.
type section struct {
	name   string // "mqtt"
	header string // "[mqtt]"
	form   string // how it must be written
	doc    string
	keys   []key
}

// key is a row of the table of keys. Checks, defaults, the order of `config show
// --effective`, what it redacts, agent.toml and the key tables of
// docs/configure.md come from these rows (`go generate ./agent/config` writes
// both files). A new key is a row here and a field with its name in the struct
// of its table; docs/develop.md has all steps.
type key struct {
	name string
	kind kind
	// def is the default in the type of the field: a value, required, optional,
	// or a func(*loader) any where it depends on the machine.
	def any
	doc string
	// example is in agent.toml in place of the default; where the default
	// depends on the machine, shown is what the guide has for it.
	example, shown string
}

type presence string

const (
	required presence = "required"
	optional presence = "optional" // no value is a meaning of its own
)

const (
	maxBrokers = 16

	ms100  = 100 * time.Millisecond
	day    = 24 * time.Hour
	decade = 87600 * time.Hour
)

// builtinLimits are the profiles that need no table.
var builtinLimits = []string{"huawei", "teams", "polycom", "vidyo"}

var kinds = []string{"sample", "stream", "event", "call", "minute"}

var (
	id           = text(idForm, checkID)
	label        = text("text of at most 200 characters on one line", is(isLabel))
	user         = text("text of at most 1024 bytes on one line", is(isUser))
	hostName     = text("a host name or an address, without scheme and port", is(isServerName))
	caFile       = text("a PEM file with CA certificates", nil).file(checkCA)
	pemFile      = text("a PEM file", nil).file(checkReadable)
	passwordFile = text(secretFile, nil).file(nil)
)

// sections are all tables and keys, in the order in which they are shown.
var sections = []section{
	{"agent", "[agent]", "a table [agent]", "", []key{
		{name: "client_id", kind: id, def: hostID,
			doc:     "The name of this agent at the broker, MQTT client id and topic level. The default is the host name.",
			example: `"pc-berlin-3"`, shown: "host name, lower case, others to `-`"},
		{name: "site", kind: label, def: "",
			doc: "Copied into every payload, to tell sites apart."},
		{name: "data_dir", kind: text("a folder name", is(isFilled)).file(nil), def: dataDir,
			doc:     `The folder of the store. On Windows the default is %ProgramData%\roomcall\data.`,
			example: `"/var/lib/roomcall"`, shown: "`\"/var/lib/roomcall\"` (Windows `%ProgramData%\\roomcall\\data`)"},
		{name: "http_listen", kind: text(`ADDR:PORT such as "127.0.0.1:9478", or "" for off`, is(isListen)), def: DefaultHTTPListen,
			doc: "Status page, health, metrics and the local API."},
		{name: "http_allow_remote", kind: boolean, def: false,
			doc: "Must be true for an http_listen that others on the network can reach."},
		{name: "log_level", kind: oneOf("debug", "info", "warn", "error"), def: "info",
			doc: "Lines of this level and above are logged."},
		{name: "log_format", kind: oneOf("text", "json"), def: "text",
			doc: "How log lines are written."},
		{name: "language", kind: oneOf("auto", "en", "zh"), def: "auto",
			doc: "The language of what people read: status page, hints, event texts. auto = as the browser or the system asks, else English. Keys, codes and the log are English always."},
	}},
	{"endpoint", "[[endpoint]]", "[[endpoint]] in double brackets, one for each device", fmt.Sprintf("One table for each device, at most %d.", maxEndpoints), []key{
		{name: "device", kind: text(idForm, checkDevice), def: required, example: `"room-1"`,
			doc: "The topic level of the device; unique, and not \"agent\"."},
		{name: "room", kind: label, def: "",
			doc: "The room's name for people, in any language."},
		{name: "url", kind: text(endpointURLs, checkEndpointURL), def: required, example: `"https://192.0.2.10"`,
			doc: "The device's address, with a path if it needs one."},
		{name: "username", kind: user, def: "",
			doc: "Without a username there is no login."},
		{name: "password", kind: secret, def: Secret{},
			doc: "A password in this file, which others should not be able to read then; password_file is better."},
		{name: "password_file", kind: passwordFile, def: "",
			doc: "A file with the password on its first line, which roomcall alone should be able to read."},
		{name: "login", kind: oneOf("auto", "api", "web", "none"), def: "auto",
			doc: "Which of the device's two logins to use; auto finds out."},
		{name: "poll_interval", kind: duration(ms100, time.Hour), def: 5 * time.Second,
			doc: "How often the device is polled in a call."},
		{name: "idle_interval", kind: duration(ms100, time.Hour), def: 15 * time.Second,
			doc: "How often the device is polled outside a call."},
		{name: "timeout", kind: duration(ms100, 5*time.Minute), def: 8 * time.Second,
			doc: "How long one request may last."},
		{name: "ca_file", kind: caFile, def: "",
			doc: "The CAs to trust instead of the system's."},
		{name: "server_name", kind: hostName, def: "",
			doc: "The name in the certificate, if it is not the URL's."},
		{name: "fingerprint", kind: text("a SHA-256 as 64 hex digits, colons optional", cleanFingerprint).
			listOf(list{form: "one fingerprint or a list of two, in quotes", most: 2}), def: []string(nil),
			doc: "The SHA-256 of the device's certificate (a list of two while it changes); replaces the checks of chain and name. `roomcall check` shows it."},
		{name: "insecure_skip_verify", kind: boolean, def: false,
			doc: "Do not check the certificate: anyone on the way can then read the password."},
		{name: "tls_min", kind: oneOf("1.0", "1.1", "1.2", "1.3"), def: "1.2",
			doc: "The lowest TLS version, for old terminals."},
		{name: "legacy_ciphers", kind: boolean, def: false,
			doc: "Allow cipher suites with plain RSA, for old terminals."},
		{name: "peer_names", kind: oneOf("off", "hash", "plain"), def: "off",
			doc: "Whether the names of remote sites, which are personal data, are published."},
		{name: "limits", kind: text(strings.Join(builtinLimits, ", ")+", or the NAME of a table [limits.NAME]", nil), def: "huawei",
			doc: "The profile that grades: what is fair and what is poor."},
	}},
	{"mqtt", "[mqtt]", "a table [mqtt]", "TLS to the broker is at least 1.2. A reconnect resumes the TLS session where the broker offers that, except with a client certificate, which is read again each time.", []key{
		{name: "broker", kind: text(brokerURLs, cleanBroker).
			listOf(list{form: "one URL or a list of them, in quotes: " + brokerURLs, most: maxBrokers, some: true}), def: required, example: `"tcp://127.0.0.1:1883"`,
			doc: fmt.Sprintf("One URL, or a list of up to %d that are tried in turn, beginning at a place that depends on client_id, so that a fleet is spread over them. Without a port it is 1883 (tcp), 8883 (tls), 80 (ws) or 443 (wss).", maxBrokers)},
		{name: "username", kind: user, def: "",
			doc: "The user at the broker."},
		{name: "password", kind: secret, def: Secret{},
			doc: "A password in this file, which others should not be able to read then; password_file is better."},
		{name: "password_file", kind: passwordFile, def: "",
			doc: "A file with the password on its first line."},
		{name: "ca_file", kind: caFile, def: "",
			doc: "The CAs to trust instead of the system's."},
		{name: "cert_file", kind: pemFile, def: "",
			doc: "The client certificate, for brokers that want one; goes with key_file."},
		{name: "key_file", kind: pemFile, def: "",
			doc: "The key of cert_file."},
		{name: "server_name", kind: hostName, def: "",
			doc: "The name in the broker's certificate, if it is not the URL's."},
		{name: "insecure_skip_verify", kind: boolean, def: false,
			doc: "Do not check the broker's certificate: anyone on the way can then read and change the data."},
		{name: "topic_prefix", kind: text(`topic levels such as "roomcall/v1": none empty, no "+" or "#", no "$" at the start, at most 128 bytes`, is(isPrefix)), def: "roomcall/v1",
			doc: "Topics begin with topic_prefix/client_id/."},
		{name: "confirm", kind: oneOf("puback", "echo"), def: "puback",
			doc: "When a record counts as delivered: when the broker has acknowledged it, or when it has handed it back to the agent."},
		{name: "keepalive", kind: duration(time.Second, time.Hour), def: 30 * time.Second,
			doc: "How long the connection may be silent before the agent pings the broker."},
		{name: "max_inflight", kind: whole(1, 10000), def: 100,
			doc: "Unacknowledged records in flight."},
		{name: "reconnect_min", kind: duration(ms100, time.Hour), def: time.Second,
			doc: "The wait before the next connect is random between this and reconnect_max."},
		{name: "reconnect_max", kind: duration(ms100, day), def: 2 * time.Minute,
			doc: "The longest wait; not below reconnect_min."},
		{name: "replay_rate", kind: whole(0, 1000000), def: 2000,
			doc: "Records a second at most while catching up, because common brokers drop, after acknowledging it, what a subscriber cannot take at once; 0 = no limit."},
	}},
	{"buffer", "[buffer]", "a table [buffer]", "", []key{
		{name: "max_bytes", kind: size(1<<20, 1<<40), def: int64(256 << 20),
			doc: "The bound of the whole store on disk; beyond it the oldest record goes first, and every such loss is announced. At least 64KiB for each endpoint."},
		{name: "max_age", kind: orZero(duration(time.Second, decade)), def: 720 * time.Hour,
			doc: `The bound of a record's age; "0s" = no limit.`},
		{name: "commit_interval", kind: orZero(duration(time.Second, 5*time.Minute)), def: time.Duration(0),
			doc: `Polls are collected in memory for this long and written together: less wear of a memory card, and a kill or a power cut loses what was collected. "0s" = each poll is written at once.`},
		{name: "keep_delivered", kind: orZero(duration(time.Second, decade)), def: day,
			doc: "Delivered records stay this long for `roomcall buffer replay`, inside max_bytes."},
	}},
	{"publish", "[publish]", "a table [publish]", "", []key{
		{name: "kinds", kind: oneOf(kinds...).listOf(list{form: "at least one of " + strings.Join(kinds, ", "), most: 100, brackets: true, some: true, once: true}), def: kinds,
			doc: "What is recorded."},
		{name: "views", kind: oneOf("zoom", "agora", "volc", "trtc").listOf(list{most: 100, brackets: true, once: true}), def: []string(nil),
			doc: "The same facts in another system's shape, beside the records."},
		{name: "state_interval", kind: orZero(duration(time.Second, time.Hour)), def: time.Duration(0),
			doc: `The least time between two ` + "`state`" + ` messages of a device; a change of state, grade or call goes out at once. "0s" = one with each poll.`},
		{name: "view_timezone", kind: text(`"UTC", an offset such as "+08:00", or a name such as "Asia/Shanghai"`, is(isZone)), def: "UTC",
			doc: "Where the days of the volc view begin."},
	}},
	{"limits", "[limits.NAME]", "tables [limits.NAME]", "A profile of your own: name it in an endpoint's `limits`.", limitKeys()},
}

// metrics are what a profile grades. Audio has no fps.
var metrics = []struct {
	name string
	high float64
	doc  string
}{
	{"loss_pct", 100, "Percent of the packets lost"},
	{"delay_ms", 60000, "Milliseconds of delay"},
	{"jitter_ms", 60000, "Milliseconds of jitter"},
	{"fps", 1000, "Frames a second"},
}

// maxSamples bounds the window of samples that opens or closes an incident.
const maxSamples = 16

func limitKeys() []key {
	keys := []key{{name: "base", kind: oneOf(builtinLimits...), def: optional,
		doc: "The built-in profile to start from; without it only what the table names is graded."}}
	for _, medium := range []string{"audio", "video", "aux"} {
		for _, m := range metrics {
			if medium == "audio" && m.name == "fps" {
				continue
			}
			for _, grade := range []string{"fair", "poor"} {
				where := "from here on"
				if m.name == "fps" { // low is bad
					where = "below this"
				}
				keys = append(keys, key{name: medium + "_" + m.name + "_" + grade, kind: number(m.high), def: optional,
					doc: fmt.Sprintf("%s: %s %s.", m.doc, grade, where)})
			}
		}
	}
	return append(keys,
		key{name: "enter", kind: whole(1, maxSamples), def: optional, shown: "3", doc: "An incident opens when this many of the last `of` samples are poor."},
		key{name: "of", kind: whole(1, maxSamples), def: optional, shown: "4", doc: "How many of the last samples `enter` looks at; not below `enter`."},
		key{name: "leave", kind: whole(1, maxSamples), def: optional, shown: "3", doc: "An incident closes after this many good samples in a row."})
}

func sectionOf(name string) section {
	return sections[slices.IndexFunc(sections, func(s section) bool { return s.name == name })]
}

// names lists the keys.
func (s section) names() []string {
	out := make([]string, len(s.keys))
	for i, k := range s.keys {
		out[i] = k.name
	}
	return out
}

// isSecret tells whether a key of that name is secret in any table.
func isSecret(name string) bool {
	return slices.ContainsFunc(sections, func(s section) bool {
		return slices.ContainsFunc(s.keys, func(k key) bool { return k.name == name && k.kind.isSecret })
	})
}

// homesOf lists the tables that know a key. A limit has no place but its own.
func homesOf(name string) (homes []string) {
	for _, s := range sections {
		if s.name != "limits" && slices.Contains(s.names(), name) {
			homes = append(homes, s.header)
		}
	}
	return homes
}

func hostID(l *loader) any {
	host, err := l.opts.Hostname()
	if err != nil {
		return ""
	}
	return toID(host)
}

func dataDir(l *loader) any { return defaultDataDir(l.opts.GOOS, l.opts.LookupEnv) }
