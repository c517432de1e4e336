package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMinimalConfigHasEveryDefault(t *testing.T) {
	c, warnings := mustLoad(t, minimal, nil)
	want := &Config{
		Agent: Agent{ClientID: "host-example", DataDir: "/var/lib/roomcall", HTTPListen: "127.0.0.1:9478", LogLevel: "info", LogFormat: "text", Language: "auto"},
		Endpoints: []Endpoint{{
			Device: "room-1", URL: "https://192.0.2.10", Login: "auto",
			PollInterval: 5 * time.Second, IdleInterval: 15 * time.Second, Timeout: 8 * time.Second,
			TLSMin: "1.2", PeerNames: "off", Limits: "huawei",
		}},
		MQTT: MQTT{
			Brokers: []string{"tls://broker.example:8883"}, TopicPrefix: "roomcall/v1", Confirm: "puback",
			KeepAlive: 30 * time.Second, MaxInflight: 100, ReconnectMin: time.Second, ReconnectMax: 2 * time.Minute, ReplayRate: 2000,
		},
		Buffer:  Buffer{MaxBytes: 256 << 20, MaxAge: 720 * time.Hour, KeepDelivered: 24 * time.Hour},
		Publish: Publish{Kinds: []string{"sample", "stream", "event", "call", "minute"}, ViewTimezone: "UTC"},
	}
	ignore := cmp.Options{cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Path", "Files"), cmp.Comparer(func(a, b Secret) bool { return a == b })}
	if diff := cmp.Diff(want, c, ignore); diff != "" {
		t.Errorf("(- want, + got):\n%s", diff)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "agent.toml")
	os.WriteFile(path, text, 0o600)
	os.WriteFile(filepath.Join(dir, "endpoint.secret"), []byte("pass word \r\nsecond line\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "mqtt.secret"), []byte("\xef\xbb\xbfbroker-pass"), 0o600)
	writeCert(t, dir)
	c, _, err := Load(path, testOptions(map[string]string{"SITE": "Köln"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Endpoints[0].Password.Reveal(); got != "pass word " {
		t.Errorf("endpoint password %q", got)
	}
	if got := c.MQTT.Password.Reveal(); got != "broker-pass" {
		t.Errorf("broker password %q", got)
	}
	effective := strings.ReplaceAll(c.Effective(), dir+string(filepath.Separator), "")
	effective = regexp.MustCompile(` +# `).ReplaceAllString(effective, " # ") // the padding counts the folder's name
	checkGolden(t, "testdata/full.effective.toml", filepath.ToSlash(effective))
	for _, s := range sections {
		for _, k := range s.keys {
			if k.name == "password" || k.name == "password_file" || s.name == "limits" {
				continue
			}
			if !slices.ContainsFunc(c.Settings(), func(got Setting) bool {
				return got.Table == s.header && got.Name == k.name && !strings.HasPrefix(got.Origin, "default") && got.Value != tomlValue(k.def)
			}) {
				t.Errorf("testdata/full.toml does not change %s %s", s.header, k.name)
			}
		}
	}
}

func TestEnvironmentIsTakenIntoTexts(t *testing.T) {
	cases := []struct{ text, want string }{
		{"${A}", "alpha"},
		{"x${A}${B_2}y", "xalphabetay"},
		{"$${A}", "${A}"},
		{"$${A}${A}", "${A}alpha"},
		{"$$", "$$"},
		{"cost $5", "cost $5"},
		{"${EMPTY}", ""},
		{"${NESTED}", "${A}"},
		{"${ProgramFiles(x86)}", "pf"},
	}
	env := map[string]string{"A": "alpha", "B_2": "beta", "EMPTY": "", "NESTED": "${A}", "ProgramFiles(x86)": "pf"}
	for _, c := range cases {
		got, _ := mustLoad(t, "[agent]\nsite = '"+c.text+"'\n"+minimal, env)
		if got.Agent.Site != c.want {
			t.Errorf("%q gave %q, want %q", c.text, got.Agent.Site, c.want)
		}
	}
}

func TestSizesAndDurationsHaveTheirUnits(t *testing.T) {
	sizes := map[string]int64{`"256MiB"`: 256 << 20, `"1GiB"`: 1 << 30, `"2GB"`: 2e9, `"5000 kB"`: 5e6, `"2048KiB"`: 2 << 20, `"2097152"`: 2 << 20, `"2097152B"`: 2 << 20, `2_097_152`: 2 << 20}
	for text, want := range sizes {
		c, _ := mustLoad(t, minimal+"[buffer]\nmax_bytes = "+text, nil)
		if c.Buffer.MaxBytes != want {
			t.Errorf("%s gave %d, want %d", text, c.Buffer.MaxBytes, want)
		}
	}
	for text, want := range map[string]time.Duration{"0s": 0, "0": 0, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute} {
		c, _ := mustLoad(t, minimal+"[buffer]\nmax_age = \""+text+"\"", nil)
		if c.Buffer.MaxAge != want {
			t.Errorf("%s gave %v, want %v", text, c.Buffer.MaxAge, want)
		}
	}
}

func TestBrokersGetTheirPortAndKeepTheirOrder(t *testing.T) {
	c, _ := mustLoad(t, strings.Replace(minimal, `"tls://broker.example"`, `["wss://b/mqtt", "tcp://[2001:db8::1]", "ws://10.0.0.1", "tls://b:1"]`, 1), nil)
	want := []string{"wss://b:443/mqtt", "tcp://[2001:db8::1]:1883", "ws://10.0.0.1:80", "tls://b:1"}
	if diff := cmp.Diff(want, c.MQTT.Brokers); diff != "" {
		t.Error(diff)
	}
}

func TestPortsOfAnEndpoint(t *testing.T) {
	for port, good := range map[string]bool{"1": true, "65535": true, "0": false, "65536": false, "x": false, "": false} {
		_, _, err := LoadText("agent.toml", []byte(strings.Replace(minimal, "192.0.2.10", "192.0.2.10:"+port, 1)), testOptions(nil))
		if good != (err == nil) {
			t.Errorf("port %q: %v", port, err)
		}
	}
}

func TestFingerprintForms(t *testing.T) {
	plain := strings.Repeat("ab", 32)
	colons := strings.TrimSuffix(strings.Repeat("AB:", 32), ":")
	for _, text := range []string{`"` + plain + `"`, `["` + colons + `"]`} {
		c, _ := mustLoad(t, strings.Replace(minimal, "[mqtt]", "fingerprint = "+text+"\n[mqtt]", 1), nil)
		if diff := cmp.Diff([]string{plain}, c.Endpoints[0].Fingerprints); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestClientIDComesFromTheHostName(t *testing.T) {
	for host, want := range map[string]string{
		"PC-Berlin_3.example.COM": "pc-berlin-3-example-com",
		"_x_":                     "x",
		strings.Repeat("a", 80):   strings.Repeat("a", 63),
	} {
		o := testOptions(nil)
		o.Hostname = func() (string, error) { return host, nil }
		c, _, err := Load(write(t, map[string]string{"agent.toml": minimal}), o)
		if err != nil || c.Agent.ClientID != want {
			t.Errorf("%s gave %v, err %v", host, c, err)
		}
	}
	o := testOptions(nil)
	o.Hostname = func() (string, error) { return "会议室", nil }
	if _, _, err := Load(write(t, map[string]string{"agent.toml": minimal}), o); err == nil || !strings.Contains(err.Error(), "client_id") {
		t.Errorf("an unusable host name: got %v", err)
	}
}

func TestConfigForAnotherMachineNeedsNoFilesAndVariables(t *testing.T) {
	text := minimal + "username = \"u\"\npassword_file = \"${CREDENTIALS_DIRECTORY}/mqtt\"\nca_file = \"/not/here.pem\"\n"
	o := testOptions(nil)
	o.Elsewhere = true
	c, _, err := Load(write(t, map[string]string{"agent.toml": text}), o)
	if err != nil || c.MQTT.Password.IsSet() {
		t.Errorf("got %v, err %v", c, err)
	}
	sized, _, err := LoadText("agent.toml", []byte(minimal+"[buffer]\nmax_bytes = \"${SIZE}\"\n"), o)
	if err != nil || sized.Buffer.MaxBytes != 256<<20 || !strings.Contains(sized.Effective(), "max_bytes = \"256MiB\"") {
		t.Errorf("a size that is known there: got %v, err %v", sized, err)
	}
	o.Elsewhere = false
	if _, _, err := Load(write(t, map[string]string{"agent.toml": text}), o); err == nil {
		t.Error("here both are needed")
	}
}

func TestEndpointByDevice(t *testing.T) {
	c, _ := mustLoad(t, minimal, nil)
	if e := c.Endpoint("room-1"); e == nil || e.URL != "https://192.0.2.10" {
		t.Errorf("got %v", e)
	}
	if c.Endpoint("room-2") != nil {
		t.Error("found a device that is not there")
	}
}

// writeOver replaces a text in a file below dir.
func writeOver(t *testing.T, dir, name, from, to string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheAddressOfTheAgentIsReadFromAConfigThatIsWrongElsewhere(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key":          {"[agent]\nhttp_listen = \"127.0.0.1:9000\"\nsight = 1\n", "127.0.0.1:9000"},
		"switched off":            {"[agent]\nhttp_listen = \"\"\nsight = 1\n", ""},
		"no address":              {"[agent]\nhttp_listen = \"here\"\n", DefaultHTTPListen},
		"not in it":               {"[mqtt]\nbroker = 1\n", DefaultHTTPListen},
		"not TOML":                {"[agent]\nhttp_listen = \"127.0.0.1:9000\n", DefaultHTTPListen},
		"an unset variable in it": {"[agent]\nhttp_listen = \"${NOT_SET}\"\n", DefaultHTTPListen},
	} {
		path := filepath.Join(t.TempDir(), "agent.toml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Listen(path, Options{LookupEnv: func(string) (string, bool) { return "", false }}); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := Listen(filepath.Join(t.TempDir(), "none.toml"), Options{}); got != DefaultHTTPListen {
		t.Errorf("no file: %q", got)
	}
}
