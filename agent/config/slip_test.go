package config

import (
	"fmt"
	"strings"
	"testing"
)

// slips are configs that work and are probably not meant.
func slips(t *testing.T, host, secret, user string) string {
	t.Helper()
	path := write(t, map[string]string{
		"agent.toml": fmt.Sprintf("[[endpoint]]\ndevice = \"a\"\nurl = \"https://a\"\nusername = %q\npassword_file = \"secret\"\n[mqtt]\nbroker = \"tls://b\"\n", user),
		"secret":     secret,
	})
	o := testOptions(nil)
	o.Hostname = func() (string, error) { return host, nil }
	c, warnings, err := Load(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if want, _, _ := strings.Cut(secret, "\n"); c.Endpoints[0].Password.Reveal() != strings.TrimSuffix(want, "\r") {
		t.Errorf("%q is read as another secret", secret)
	}
	text := ""
	for _, w := range warnings {
		text += w.String() + "\n"
	}
	return text
}

func TestASecretThatIsProbablyNotMeantIsWarnedOf(t *testing.T) {
	for secret, want := range map[string]string{
		"good": "", "good\n": "", "two words\r\n": "", "it's": "", `"`: "", `a"b`: "",
		"hunter2 \n": "blank", " hunter2": "blank", "hunter2\t\n": "blank", "hunter2\u00a0": "blank",
		"\"hunter2\"\n": "quotes", "'hunter2'": "quotes", "“hunter2”": "quotes", "`x`": "quotes",
		"zero\u200bwidth": "not seen", "con\x1btrol": "not seen",
	} {
		got := slips(t, "pc-7", secret, "api")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", secret, got, want)
		}
		if s := strings.TrimSpace(secret); len(s) > 3 && strings.Contains(got, s) {
			t.Errorf("the warning shows the secret: %s", got)
		}
	}
	if got := slips(t, "pc-7", "good", "api "); !strings.Contains(got, "username") {
		t.Errorf("user with a blank: %q", got)
	}
}

func TestADefaultClientIDThatOthersMayHaveIsWarnedOf(t *testing.T) {
	for host, want := range map[string]string{
		"berlin-3": "", "Berlin-3.example.org": "", "DESKTOP-4F2K9QX": "", "raspberrypi-lobby": "",
		"ROOM_A": "lost", "会议室-01": "lost", "Zürich": "lost", "a room": "lost", "-x-": "lost", strings.Repeat("x", 70): "lost",
		"localhost": "many", "localhost.localdomain": "many", "raspberrypi": "many", "PC": "many", "desktop": "many",
		"ubuntu.local": "many", "01": "many", "ubuntu.example.org": "", "3f2a9c0d1e4b": "container",
	} {
		got := slips(t, host, "good", "api")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
