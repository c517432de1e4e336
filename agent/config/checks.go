package config

import (
	"fmt"
	"net/url"
	"strings"
)

// config reads the merged tree.
func (l *loader) config(root *node) *Config {
	c := &Config{}
	var sections []*section
	c.Agent = readTable(l, root, "agent", l.agent)
	c.Endpoints, sections = l.endpoints(root)
	c.MQTT = readTable(l, root, "mqtt", l.mqtt)
	c.Buffer = readTable(l, root, "buffer", l.buffer)
	c.Publish = readTable(l, root, "publish", l.publish)
	c.Limits = l.limits(root)
	l.checkLimits(c, sections)
	l.checkDevices(c, sections)
	l.checkTables(root)
	return c
}

func readTable[T any](l *loader, root *node, name string, read func(*section) T) T {
	s := &section{l: l, file: l.sources[0].path, header: "[" + name + "]", prefix: name}
	f := root.get(name)
	switch {
	case f == nil:
	case f.val.kind == kindTable:
		s.table = f.val
	case isTables(f.val):
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line},
			Problem: fmt.Sprintf("found [[%s]]", name), Allowed: fmt.Sprintf("one table [%s]", name)})
		s.table = f.val.items[0]
	default:
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line, Key: name},
			Found: f.val.describe(), Allowed: fmt.Sprintf("a table [%s]", name)})
		s.table = &node{kind: kindTable, file: f.file, line: f.line}
	}
	v := read(s)
	s.finish()
	return v
}

func (l *loader) endpoints(root *node) ([]Endpoint, []*section) {
	f := root.get("endpoint")
	switch {
	case f == nil:
		if !l.broken {
			l.errs = append(l.errs, &Error{Place: Place{File: l.sources[0].path},
				Problem: "no [[endpoint]] table: there is nothing to poll", Allowed: "one [[endpoint]] table a device"})
		}
		return nil, nil
	case f.val.kind == kindTable:
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line}, Problem: "found [endpoint]",
			Allowed: "[[endpoint]] in double brackets, one a device"})
		f.val = &node{kind: kindArray, tables: true, items: []*node{f.val}}
	case !isTables(f.val):
		l.errs = append(l.errs, &Error{Place: Place{File: f.file, Line: f.line, Key: "endpoint"},
			Found: f.val.describe(), Allowed: "[[endpoint]] tables, one a device"})
		return nil, nil
	}
	items := f.val.items
	if len(items) > maxEndpoints {
		l.errs = append(l.errs, &Error{Place: Place{File: items[maxEndpoints].file, Line: items[maxEndpoints].line},
			Problem: fmt.Sprintf("found %d endpoints", len(items)), Allowed: fmt.Sprintf("at most %d", maxEndpoints)})
		items = items[:maxEndpoints]
	}
	var out []Endpoint
	var sections []*section
	for i, t := range items {
		s := &section{l: l, table: t, file: t.file, header: "[[endpoint]]", prefix: fmt.Sprintf("endpoint[%d]", i+1)}
		if d := t.get("device"); d != nil && d.val.kind == kindText {
			s.device = shorten(d.val.text)
		}
		out = append(out, l.endpoint(s))
		s.finish()
		sections = append(sections, s)
	}
	return out, sections
}

// checkDevices wants device names to be unique and warns of a device that is
// polled twice.
func (l *loader) checkDevices(c *Config, sections []*section) {
	names, urls := map[string]*section{}, map[string]*section{}
	for i, e := range c.Endpoints {
		s := sections[i]
		if first := names[e.Device]; first != nil && e.Device != "" {
			f := s.table.get("device")
			s.fail(f, "device", f.val, &complaint{problem: "this device name stands twice",
				allowed: "a name of its own for each endpoint", hint: "the first is " + first.where("device")})
		} else {
			names[e.Device] = s
		}
		if first := urls[e.URL]; first != nil && e.URL != "" {
			s.warn("url", "same address as %s (%s): the device is polled twice", first.prefix, first.device)
		} else {
			urls[e.URL] = s
		}
	}
}

// where names the place of a key without the key: "agent.toml:12".
func (s *section) where(key string) string {
	p := s.place(s.table.get(key), key)
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// checkTables reports what stands at the top level and does not belong there.
func (l *loader) checkTables(root *node) {
	tables := []string{"agent", "endpoint", "mqtt", "buffer", "publish", "limits"}
	known := map[string]bool{}
	for _, t := range tables {
		known[t] = true
	}
	for _, f := range root.fields {
		if known[f.name] {
			continue
		}
		name := shorten(f.name)
		e := &Error{Place: Place{File: f.file, Line: f.line, Key: name}, Problem: "unknown key outside any table"}
		e.Hint = homeOf(f.name)
		if f.val.kind == kindTable || isTables(f.val) {
			e.Key, e.Problem = "", "unknown table ["+name+"]"
			e.Hint = tableHint(f.name, tables)
		}
		if e.Hint == "" {
			e.Hint = "known tables are " + strings.Join(tables, ", ")
		}
		l.errs = append(l.errs, e)
	}
}

func tableHint(found string, tables []string) string {
	best := closest(found, tables)
	switch best {
	case "":
		return ""
	case "endpoint":
		return "did you mean [[endpoint]]?"
	case "limits":
		return "did you mean [limits.NAME]?"
	}
	return "did you mean [" + best + "]?"
}

// homeOf tells the tables that know a key.
func homeOf(key string) string {
	var homes []string
	for _, s := range schema() {
		if s.Name == key {
			homes = append(homes, s.Table)
		}
	}
	if len(homes) == 0 {
		return ""
	}
	return "it belongs below " + strings.Join(homes, " or ")
}

func (l *loader) checkAgent(s *section, a Agent) {
	if isRemoteListen(a.HTTPListen) && !a.HTTPAllowRemote && !s.unresolved(a.HTTPListen) {
		f := s.table.get("http_listen")
		s.fail(f, "http_listen", f.val, &complaint{allowed: "a loopback address such as 127.0.0.1:9478",
			hint: "or set http_allow_remote = true"})
	}
}

func (l *loader) checkEndpoint(s *section, e Endpoint) {
	if (e.Login == "api" || e.Login == "web") && e.Username == "" {
		s.fail(s.table.get("login"), "login", nil, &complaint{problem: fmt.Sprintf("login %q needs a username", e.Login),
			allowed: `a username, or login = "none"`})
	}
	if e.Username == "" && e.Password.IsSet() {
		s.warn("password", "a password without a username is not used")
	}
	if e.Login == "none" && e.Username != "" {
		s.warn("login", `login = "none": username and password are not used`)
	}
	switch {
	case e.InsecureSkipVerify && len(e.Fingerprints) > 0:
		s.warn("insecure_skip_verify", "fingerprint is checked all the same; this key has no effect")
	case e.InsecureSkipVerify:
		s.warn("insecure_skip_verify", "the certificate is not checked: anyone on the way can read the password; fingerprint is the safe way")
	}
	if strings.HasPrefix(e.URL, "http://") {
		l.warnPlainHTTP(s, e)
	} else if len(e.Fingerprints) > 0 && (e.CAFile != "" || e.ServerName != "") {
		s.warn("fingerprint", "fingerprint replaces the checks of ca_file and server_name")
	}
}

func (l *loader) warnPlainHTTP(s *section, e Endpoint) {
	if e.Username != "" && e.Login != "none" && !isLoopback(hostOf(e.URL)) {
		s.warn("url", "http:// sends the password readable over the network; use https:// with fingerprint")
	}
	if e.CAFile != "" || e.ServerName != "" || len(e.Fingerprints) > 0 {
		s.warn("url", "http:// has no certificate: ca_file, server_name and fingerprint are not used")
	}
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (l *loader) checkMQTT(s *section, m MQTT) {
	if m.ReconnectMax < m.ReconnectMin {
		f := s.table.get("reconnect_max")
		if f == nil {
			f = s.table.get("reconnect_min")
		}
		s.fail(f, f.name, f.val, &complaint{allowed: fmt.Sprintf("reconnect_max (%s) not below reconnect_min (%s)",
			durationText(m.ReconnectMax), durationText(m.ReconnectMin))})
	}
	if m.Password.IsSet() && m.Username == "" {
		s.fail(s.table.get("password"), "password", nil, &complaint{problem: "a password without a username",
			allowed: "username with password; MQTT 3.1.1 sends no password alone"})
	}
	l.checkClientCert(s, m)
	if m.InsecureSkipVerify {
		s.warn("insecure_skip_verify", "the broker's certificate is not checked: anyone on the way can read and change the data")
	}
	l.warnBrokers(s, m)
}

func (l *loader) checkClientCert(s *section, m MQTT) {
	if (m.CertFile == "") != (m.KeyFile == "") {
		have, want := "cert_file", "key_file"
		if m.CertFile == "" {
			have, want = want, have
		}
		s.fail(s.table.get(have), have, nil, &complaint{problem: have + " without " + want, allowed: "both or none"})
		return
	}
	if m.CertFile == "" || l.opts.Elsewhere {
		return
	}
	if c := checkKeyPair(m.CertFile, m.KeyFile); c != nil {
		s.fail(s.table.get("cert_file"), "cert_file", nil, c)
	}
}

func (l *loader) warnBrokers(s *section, m MQTT) {
	encrypted, seen := false, map[string]bool{}
	for _, b := range m.Brokers {
		if seen[b] {
			s.warn("broker", "%s stands in the list twice", b)
		}
		seen[b] = true
		if strings.HasPrefix(b, "tls:") || strings.HasPrefix(b, "wss:") {
			encrypted = true
		} else if m.Password.IsSet() && !isLoopback(hostOf(b)) {
			s.warn("broker", "%s sends the password readable over the network; use tls:// or wss://", b)
		}
	}
	if len(m.Brokers) > 0 && !encrypted && (m.CAFile != "" || m.CertFile != "" || m.ServerName != "") {
		s.warn("broker", "no broker is tls:// or wss://: ca_file, cert_file, key_file and server_name are not used")
	}
}
