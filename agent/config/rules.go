package config

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// This file holds what must be so between keys; keys.go holds what must be so in
// one.

func checkAgent(t *table, a Agent) {
	if isRemoteListen(a.HTTPListen) && !a.HTTPAllowRemote && !t.unresolved(a.HTTPListen) {
		t.failFound("http_listen", t.raw["http_listen"], &Error{Allowed: "a loopback address such as 127.0.0.1:9478",
			Hint: "or set http_allow_remote = true"})
	}
	if t.raw["client_id"] == nil && a.ClientID != "" && !t.opts.Elsewhere {
		warnDefaultID(t, a.ClientID)
	}
	if t.raw["client_id"] != nil || a.ClientID != "" {
		return
	}
	if t.opts.Elsewhere {
		t.fail("client_id", &Error{Problem: "missing; it names the room's folder", Hint: `write client_id = "{{column}}" below [agent]`})
	} else {
		t.fail("client_id", &Error{Problem: "missing, and nothing of the host name can be used", Allowed: idForm})
	}
}

// commonNames are host names that many machines have, because nobody gave them one.
var commonNames = []string{
	"localhost", "localhost-localdomain", "localdomain", "raspberrypi", "orangepi", "rock", "armbian", "debian", "ubuntu", "fedora",
	"centos", "rocky", "alpine", "linux", "archlinux", "kali", "desktop", "laptop", "notebook", "pc", "computer", "host", "hostname",
	"server", "machine", "default", "unknown", "none", "user", "admin", "home", "office", "room", "meeting", "meetingroom",
	"meeting-room", "conference", "win10", "win11", "windows", "win", "vm", "test", "roomcall", "changeme", "template", "image",
}

// commonDomains tell nothing of whose machine it is.
var commonDomains = []string{"localdomain", "local", "lan", "home", "internal", "home.arpa", "fritz.box", "localhost"}

var (
	containerID = regexp.MustCompile(`^[0-9a-f]{12}$`)
	numbered    = regexp.MustCompile(`[-0-9]+$`)
)

// warnDefaultID warns of a client_id from a host name that others may have too: two
// agents with one throw each other out at the broker.
func warnDefaultID(t *table, id string) {
	name, err := t.opts.Hostname()
	if err != nil {
		return
	}
	own := strings.ReplaceAll(strings.ToLower(name), ".", "-")
	first, domain, _ := strings.Cut(strings.ToLower(name), ".")
	common := slices.Contains(commonNames, first) || numbered.ReplaceAllString(first, "") == ""
	const hint = "set client_id to a name that no other agent has"
	switch {
	case own != id:
		t.warn("client_id", "it is %q, made from the host name %q, of which characters were lost, so another host may lead to the same one; %s", id, name, hint)
	case common && (domain == "" || slices.Contains(commonDomains, domain)):
		t.warn("client_id", "it is %q, from the host name, and many machines have that name; %s", id, hint)
	case containerID.MatchString(id):
		t.warn("client_id", "it is %q, from a host name that looks like a container's and changes with each one; %s", id, hint)
	}
}

// warnUser warns of a user name with blanks around it.
func warnUser(t *table, user string) {
	if strings.TrimSpace(user) != user {
		t.warn("username", "it begins or ends with a blank, which counts as part of it; remove it unless that is meant")
	}
}

func checkEndpoint(t *table, e Endpoint) {
	warnUser(t, e.Username)
	login := e.Username != "" && e.Login != "none"
	if (e.Login == "api" || e.Login == "web") && e.Username == "" {
		t.fail("login", &Error{Problem: fmt.Sprintf("login %q needs a username", e.Login), Allowed: `a username, or login = "none"`})
	}
	if e.Username == "" && e.Password.IsSet() {
		t.warn(t.passwordKey(), "a password without a username is not used")
	}
	if login && t.passwordKey() == "" {
		t.warn("username", "a username without a password: the login is tried with an empty one, and endpoints lock accounts; set password_file")
	}
	if e.Username != "" && !login {
		t.warn("login", `login = "none": username and password are not used`)
	}
	switch {
	case e.InsecureSkipVerify && len(e.Fingerprints) > 0:
		t.warn("insecure_skip_verify", "fingerprint is checked all the same; this key has no effect")
	case e.InsecureSkipVerify:
		t.warn("insecure_skip_verify", "the certificate is not checked: anyone on the way can read the password; fingerprint is the safe way")
	}
	plain := strings.HasPrefix(e.URL, "http://")
	if plain && login && !isLoopback(hostOf(e.URL)) {
		t.warn("url", "http:// sends the password readable over the network; use https:// with fingerprint")
	}
	switch trust := e.CAFile != "" || e.ServerName != ""; {
	case plain && (trust || len(e.Fingerprints) > 0):
		t.warn("url", "http:// has no certificate: ca_file, server_name and fingerprint are not used")
	case trust && len(e.Fingerprints) > 0:
		t.warn("fingerprint", "fingerprint replaces the checks of ca_file and server_name")
	}
}

// passwordKey is the key that names the table's password, "" = none does. On
// another machine the secret itself cannot be read.
func (t *table) passwordKey() string {
	for _, key := range []string{"password", "password_file"} {
		if text, _ := t.raw[key].(string); text != "" {
			return key
		}
	}
	return ""
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func checkMQTT(t *table, m MQTT) {
	if m.ReconnectMax < m.ReconnectMin {
		key := "reconnect_max"
		if t.raw[key] == nil {
			key = "reconnect_min"
		}
		t.failFound(key, t.raw[key], &Error{Allowed: fmt.Sprintf("reconnect_max (%s) not below reconnect_min (%s)",
			durationText(m.ReconnectMax), durationText(m.ReconnectMin))})
	}
	warnUser(t, m.Username)
	if m.Password.IsSet() && m.Username == "" {
		t.fail(t.passwordKey(), &Error{Problem: "a password without a username",
			Allowed: "username with password; MQTT 3.1.1 sends no password alone"})
	}
	if m.Username != "" && m.CertFile == "" && t.passwordKey() == "" {
		t.warn("username", "a username without a password: most brokers refuse that; set password_file")
	}
	switch {
	case m.CertFile != "" && m.KeyFile == "":
		t.fail("cert_file", &Error{Problem: "cert_file without key_file", Allowed: "both or none"})
	case m.CertFile == "" && m.KeyFile != "":
		t.fail("key_file", &Error{Problem: "key_file without cert_file", Allowed: "both or none"})
	case m.CertFile != "" && !t.opts.Elsewhere:
		if c := checkKeyPair(m.CertFile, m.KeyFile); c != nil {
			t.fail("cert_file", c)
		}
	}
	if m.InsecureSkipVerify {
		t.warn("insecure_skip_verify", "the broker's certificate is not checked: anyone on the way can read and change the data")
	}
	encrypted, seen := false, map[string]bool{}
	for _, b := range m.Brokers {
		if seen[b] {
			t.warn("broker", "%s is listed twice", b)
		}
		seen[b] = true
		if strings.HasPrefix(b, "tls:") || strings.HasPrefix(b, "wss:") {
			encrypted = true
		} else if m.Password.IsSet() && !isLoopback(hostOf(b)) {
			t.warn("broker", "%s sends the password readable over the network; use tls:// or wss://", b)
		}
	}
	if len(m.Brokers) > 0 && !encrypted && (m.CAFile != "" || m.CertFile != "" || m.ServerName != "") {
		t.warn("broker", "no broker is tls:// or wss://: ca_file, cert_file, key_file and server_name are not used")
	}
}

// bytesPerEndpoint is how much of max_bytes an endpoint needs at least: each file of the
// store, eight or more, has a copy of its state, and records have to fit beside it.
const bytesPerEndpoint = 64 << 10

func checkBuffer(t *table, b Buffer, endpoints int) {
	if need := int64(endpoints) * bytesPerEndpoint; b.MaxBytes > 0 && b.MaxBytes < need {
		t.failFound("max_bytes", t.raw["max_bytes"], &Error{Allowed: fmt.Sprintf("at least %s for %d endpoints, %s for each",
			sizeText(need), endpoints, sizeText(bytesPerEndpoint))})
	}
}

// checkLimits checks one [limits.NAME] table.
func checkLimits(t *table, name string, v Limits) {
	at := t.places[t.path]
	at.Key = "limits." + shorten(name)
	switch _, c := checkID(name); {
	case c != nil:
		c.Allowed = idForm
		t.failAt(at, c)
	case slices.Contains(builtinLimits, name):
		t.failAt(at, &Error{Problem: "the profile " + name + " is built in", Allowed: "any other name"})
	}
	if len(t.raw) == 0 {
		t.failAt(at, &Error{Problem: "the table is empty", Allowed: "at least one limit, such as audio_loss_pct_poor = 10"})
	}
	for _, k := range t.keys {
		metric, isFair := strings.CutSuffix(k.name, "_fair")
		fair, hasFair := v.Values[k.name]
		poor, hasPoor := v.Values[metric+"_poor"]
		if !isFair || !hasFair || !hasPoor {
			continue
		}
		if low := strings.HasSuffix(metric, "fps"); low && fair < poor {
			t.failFound(k.name, t.raw[k.name], &Error{Allowed: fmt.Sprintf("not below %s_poor (%g)", metric, poor)})
		} else if !low && fair > poor {
			t.failFound(k.name, t.raw[k.name], &Error{Allowed: fmt.Sprintf("not above %s_poor (%g)", metric, poor)})
		}
	}
	if enter, of := v.Values["enter"], v.Values["of"]; enter > 0 && of > 0 && enter > of {
		t.failFound("enter", t.raw["enter"], &Error{Allowed: fmt.Sprintf("not above of (%g)", of)})
	}
}

// checkProfiles wants every endpoint's profile to exist, and tells of tables
// that no endpoint uses.
func checkProfiles(l *loader, c *Config, endpoints []*table) {
	own := slices.Sorted(maps.Keys(c.Limits))
	names := slices.Concat(builtinLimits, own)
	used := map[string]bool{}
	for i, t := range endpoints {
		want := c.Endpoints[i].Limits
		used[want] = true
		if written, isText := t.raw["limits"].(string); isText && !slices.Contains(names, want) && !t.unresolved(want) {
			hint := didYouMean(want, names)
			if hint == "" {
				hint = "or add a table [limits.NAME]"
			}
			t.failFound("limits", written, &Error{Allowed: strings.Join(names, ", "), Hint: hint})
		}
	}
	for _, name := range own {
		if !used[name] {
			at := l.places[join("limits", name)]
			at.Key = "limits." + name
			l.warnings = append(l.warnings, Warning{at, fmt.Sprintf("no endpoint uses this profile; use it with limits = %q", name)})
		}
	}
}

// checkDevices wants device names to be unique and warns of a device that is
// polled twice.
func checkDevices(c *Config, endpoints []*table) {
	names, urls := map[string]*table{}, map[string]*table{}
	for i, e := range c.Endpoints {
		t := endpoints[i]
		if first := names[e.Device]; first != nil && e.Device != "" {
			at := first.place("device")
			t.failFound("device", e.Device, &Error{Problem: "this device name is used twice",
				Allowed: "a name of its own for each endpoint", Hint: fmt.Sprintf("the first is %s:%d", at.File, at.Line)})
		} else {
			names[e.Device] = t
		}
		if first := urls[e.URL]; first != nil && e.URL != "" {
			t.warn("url", "same address as %s (%s): the device is polled twice", first.path, first.device)
		} else {
			urls[e.URL] = t
		}
	}
}
