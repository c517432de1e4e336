package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hidden = "hunter2-äöü"

// secretConfig has the secret in every place where one may be.
func secretConfig(t *testing.T) (*Config, []Warning) {
	t.Helper()
	path := write(t, map[string]string{
		"agent.toml": `# password = "` + hidden + `"
[[endpoint]]
device = "a"
url = "https://a" # was https://admin:` + hidden + `@a
username = "u"
password = "` + hidden + `"   # token: ` + hidden + `
[[endpoint]]
device = "b"
url = "https://b"
username = "u"
password_file = "secret"
[mqtt]
broker = "tls://b"
username = "u"
password = "${MQTT_PASSWORD}"
`,
		"conf.d/x.toml": "endpoint = [{device = \"c\", url = \"https://c\", username = \"u\", password = '" + hidden + "'}]\n",
		"secret":        hidden + "\n",
	})
	c, w, err := Load(path, testOptions(map[string]string{"MQTT_PASSWORD": hidden}))
	if err != nil {
		t.Fatal(err)
	}
	return c, w
}

func TestSecretsAreReadButNeverPrinted(t *testing.T) {
	c, warnings := secretConfig(t)
	for _, s := range []Secret{c.Endpoints[0].Password, c.Endpoints[1].Password, c.Endpoints[2].Password, c.MQTT.Password} {
		if s.Reveal() != hidden {
			t.Errorf("read %q", s.Reveal())
		}
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "secret", c.MQTT.Password, "mqtt", c.MQTT)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "secret", c.MQTT.Password, "mqtt", c.MQTT)
	forms := map[string]string{
		"as written": c.AsWritten(), "effective": c.Effective(), "settings": fmt.Sprint(c.Settings()),
		"json": string(asJSON), "slog": log.String(), "warnings": fmt.Sprint(warnings), "hash": c.Hash(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		forms[verb] = fmt.Sprintf(verb, *c) + fmt.Sprintf(verb, c.MQTT.Password) + fmt.Sprintf(verb, &c.MQTT)
	}
	for name, text := range forms {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", hidden)) {
			t.Errorf("%s shows the secret:\n%s", name, text)
		}
	}
}

func TestSecretFilesThatGiveNoSecret(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"empty":     {"", "first line is empty"},
		"only line": {"\n", "first line is empty"},
		"CR":        {"\r\nx", "first line is empty"},
		"NUL":       {"a\x00b\n", "not UTF-8 text"},
		"Latin-1":   {"gr\xfcn\n", "not UTF-8 text"},
		"UTF-16":    {"\xff\xfea\x00", "save it as UTF-8"},
		"too large": {strings.Repeat("a", maxSecretBytes+1), "larger than 16KiB"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := write(t, map[string]string{"agent.toml": minimal + "username = \"u\"\npassword_file = \"s\"\n", "s": c.text})
			_, _, err := Load(path, testOptions(nil))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestReadableSecretsAreWarnedOf(t *testing.T) {
	path := write(t, map[string]string{
		"agent.toml": "[agent]\n" + strings.Replace(minimal, "[mqtt]", "username = \"u\"\npassword = \"p\"\n[mqtt]", 1) + "username = \"u\"\npassword_file = \"s\"\n",
		"s":          "secret\n",
	})
	load := func(goos string) string {
		o := testOptions(nil)
		o.GOOS = goos
		_, w, err := Load(path, o)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(w)
	}
	if got := load("linux"); got != "[]" {
		t.Errorf("private files: %s", got)
	}
	os.Chmod(path, 0o644)
	os.Chmod(filepath.Join(filepath.Dir(path), "s"), 0o640)
	got := load("linux")
	for _, want := range []string{"agent.toml:7: endpoint[1].password (room-1): others on this machine can read the secret (file mode 0644)", "[mqtt] password_file: others on this machine can read the secret file (file mode 0640)"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in %s", want, got)
		}
	}
	os.WriteFile(path, []byte(minimal+"username = \"u\"\npassword = \"${EMPTY}p${EMPTY}\"\n"), 0o644)
	o := testOptions(map[string]string{"EMPTY": ""})
	if _, w, err := Load(path, o); err != nil || len(w) != 0 {
		t.Errorf("a secret of the environment is not in the file: %v, err %v", w, err)
	}
	windows := minimal + "username = \"u\"\npassword = \"p\"\n"
	os.WriteFile(path, []byte(windows), 0o644)
	if got := load("linux"); !strings.Contains(got, "others on this machine") {
		t.Errorf("no warning: %s", got)
	}
	if got := load("windows"); strings.Contains(got, "others on this machine") {
		t.Errorf("file modes mean nothing on Windows: %s", got)
	}
}
