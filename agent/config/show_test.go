package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEffectiveConfigLoadsAgainAsTheSame(t *testing.T) {
	text, err := os.ReadFile("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, map[string]string{"agent.toml": string(text), "endpoint.secret": "a\n", "mqtt.secret": "b\n"})
	writeCert(t, filepath.Dir(path))
	env := map[string]string{"SITE": `a ${b} "c" \ é`}
	first, _, err := Load(path, testOptions(env))
	if err != nil {
		t.Fatal(err)
	}
	second, warnings := mustLoad(t, first.Effective(), nil)
	ignore := cmp.Options{cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Path", "Files"),
		cmp.Comparer(func(a, b Secret) bool { return a == b || a.Reveal() == redacted || b.Reveal() == redacted })}
	if diff := cmp.Diff(first, second, ignore); diff != "" {
		t.Errorf("(- first, + second):\n%s", diff)
	}
	if first.Hash() != second.Hash() {
		t.Error("the hash differs")
	}
	if !strings.Contains(fmt.Sprint(warnings), "is in place of the secret") {
		t.Errorf("no warning of the redacted secret: %v", warnings)
	}
}

func TestAsWrittenKeepsCommentsAndEverythingButSecrets(t *testing.T) {
	text := "# hello\n" + minimal + "username = \"u\" # who\npassword = '''hun\nter2'''\n# a password: \"x\", more\n"
	c, _ := mustLoad(t, text, nil)
	want := "# hello\n" + minimal + "username = \"u\" # who\npassword = \"[redacted]\"\n# a password: \"[redacted]\", more\n"
	if diff := cmp.Diff(want, c.AsWritten()); diff != "" {
		t.Error(diff)
	}
}

func TestHashIsOfTheMeaning(t *testing.T) {
	hash := func(text string) string {
		c, _ := mustLoad(t, text, nil)
		return c.Hash()
	}
	base := hash(minimal)
	same := map[string]string{
		"comments":           "# x\n" + minimal,
		"written defaults":   minimal + "keepalive = \"30s\"\n[buffer]\nmax_bytes = 268435456\n",
		"another order":      "[mqtt]\nbroker = \"tls://broker.example\"\n[[endpoint]]\nurl = \"https://192.0.2.10\"\ndevice = \"room-1\"\n",
		"other duration":     minimal + "keepalive = \"30000ms\"\n",
		"the default's port": strings.Replace(minimal, "broker.example", "broker.example:8883", 1),
	}
	for name, text := range same {
		if hash(text) != base {
			t.Errorf("%s changed the hash", name)
		}
	}
	other := map[string]string{
		"a value":     strings.Replace(minimal, "room-1", "room-2", 1),
		"a new table": minimal + "[limits.x]\nleave = 2\n",
	}
	for name, text := range other {
		if hash(text) == base {
			t.Errorf("%s did not change the hash", name)
		}
	}
	withSecret := strings.Replace(minimal, "[mqtt]", "[mqtt]\nusername = \"u\"\npassword = \"SECRET\"", 1)
	if hash(withSecret) != hash(strings.Replace(withSecret, "SECRET", "other", 1)) {
		t.Error("the secret is in the hash")
	}
	if hash(withSecret) != hash(strings.Replace(withSecret, "password = \"SECRET\"", "", 1)) {
		t.Error("that there is a secret is in the hash")
	}
}

func TestWarnings(t *testing.T) {
	endpoint := func(lines string) string { return strings.Replace(minimal, "[mqtt]", lines+"\n[mqtt]", 1) }
	cases := []struct{ text, want string }{
		{endpoint(`insecure_skip_verify = true`), "[1].insecure_skip_verify (room-1): the certificate is not checked"},
		{endpoint(`password = "x"`), "a password without a username is not used"},
		{endpoint("username = \"x\"\nlogin = \"none\""), "are not used"},
		{endpoint(`username = "x"`), "[1].username (room-1): a username without a password: the login is tried with an empty one"},
		{minimal + `username = "u"`, "[mqtt] username: a username without a password: most brokers refuse that"},
		{strings.Replace(endpoint("username = \"x\"\npassword = \"y\""), "https:", "http:", 1), "http:// sends the password readable"},
		{strings.Replace(endpoint(`server_name = "x"`), "https:", "http:", 1), "http:// has no certificate"},
		{endpoint("server_name = \"x\"\nfingerprint = \"" + strings.Repeat("00", 32) + "\""), "fingerprint replaces"},
		{minimal + "[[endpoint]]\ndevice = \"b\"\nurl = \"https://192.0.2.10\"\n", "the device is polled twice"},
		{minimal + "insecure_skip_verify = true", "[mqtt] insecure_skip_verify: the broker's certificate is not checked"},
		{strings.Replace(minimal, "tls:", "tcp:", 1) + "username = \"u\"\npassword = \"x\"", "[mqtt] broker: tcp://broker.example:1883 sends the password readable"},
		{strings.Replace(minimal, "tls:", "ws:", 1) + "server_name = \"x\"", "no broker is tls:// or wss://"},
		{strings.Replace(minimal, `"tls://broker.example"`, `["tls://b", "tls://b:8883"]`, 1), "is listed twice"},
		{minimal + "[limits.mine]\nleave = 2\n", "no endpoint uses this profile"},
	}
	for _, c := range cases {
		_, warnings := mustLoad(t, c.text, nil)
		if len(warnings) != 1 || !strings.Contains(warnings[0].String(), c.want) {
			t.Errorf("got %v, want %q", warnings, c.want)
		}
	}
	quiet := strings.Replace(strings.Replace(minimal, "tls://broker.example", "tcp://127.0.0.1", 1), "https://192.0.2.10", "http://localhost", 1)
	if _, warnings := mustLoad(t, strings.Replace(quiet, "[mqtt]", "username = \"u\"\npassword = \"y\"\n[mqtt]\nusername = \"u\"\npassword = \"x\"", 1), nil); len(warnings) != 0 {
		t.Errorf("loopback is no network: %v", warnings)
	}
}

func TestTrimLeavesTheHashes(t *testing.T) {
	c, _, err := LoadText("agent.toml", []byte("[agent]\nclient_id = \"a\"\n[[endpoint]]\ndevice = \"room-1\"\nurl = \"http://192.0.2.1\"\n[mqtt]\nbroker = \"tcp://127.0.0.1:1883\"\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	hash, written := c.Hash(), c.WrittenHash()
	c.Trim()
	if hash == "" || c.Hash() != hash || c.WrittenHash() != written || len(c.Settings()) != 0 || c.AsWritten() != "" {
		t.Errorf("hashes %q and %q became %q and %q, %d settings are left", hash, written, c.Hash(), c.WrittenHash(), len(c.Settings()))
	}
}
