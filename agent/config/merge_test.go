package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfDFilesAreLaidOver(t *testing.T) {
	path := write(t, map[string]string{
		"agent.toml": "[agent]\nsite = \"main\"\nlog_level = \"warn\"\n" + minimal +
			"username = \"u\"\npassword = \"old\"\n[limits.a]\nleave = 1\n",
		"conf.d/20-more.toml":  "[[endpoint]]\ndevice = \"room-3\"\nurl = \"https://c\"\nlimits = \"a\"\n[agent]\nsite = \"twenty\"\n[publish]\nviews = [\"zoom\"]\n",
		"conf.d/10-first.toml": "[[endpoint]]\ndevice = \"room-2\"\nurl = \"https://b\"\nlimits = \"b\"\n[agent]\nsite = \"ten\"\n[mqtt]\npassword_file = \"../s\"\n[limits.b]\nleave = 2\n[limits.a]\nenter = 2\n",
		"conf.d/readme.txt":    "not read",
		"conf.d/.hidden.toml":  "not = read",
		"s":                    "wrong folder",
	})
	_, _, err := Load(path, testOptions(nil))
	if err == nil || !strings.Contains(err.Error(), "10-first.toml:8: [mqtt] password_file: read secret") {
		t.Fatalf("relative names count from the folder of agent.toml; got %v", err)
	}
	writeOver(t, filepath.Dir(path), "conf.d/10-first.toml", "../s", "s")
	c, _, err := Load(path, testOptions(nil))
	if err != nil {
		t.Fatal(err)
	}
	var devices []string
	for _, e := range c.Endpoints {
		devices = append(devices, e.Device)
	}
	got := []any{c.Agent.Site, c.Agent.LogLevel, devices, c.MQTT.Password.Reveal(), c.Publish.Views, c.Limits["a"].Values, c.Limits["b"].Values}
	want := []any{"twenty", "warn", []string{"room-1", "room-2", "room-3"}, "wrong folder", []string{"zoom"},
		map[string]float64{"leave": 1, "enter": 2}, map[string]float64{"leave": 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, s := range c.Settings() {
		if s.Key == "agent.site" && !strings.HasSuffix(s.Origin, "20-more.toml:6") {
			t.Errorf("origin of site: %s", s.Origin)
		}
	}
	if !strings.Contains(c.AsWritten(), "# file "+filepath.Join(filepath.Dir(path), "conf.d", "10-first.toml")+"\n[[endpoint]]") {
		t.Errorf("as written:\n%s", c.AsWritten())
	}
}

func TestConfDErrorsNameTheRightFile(t *testing.T) {
	path := write(t, map[string]string{
		"agent.toml":    "[agent]\nsite = \"a\"\nlog_lvl = \"x\"\n" + minimal,
		"conf.d/a.toml": "[agent]\nlog_level = \"wran\"\n[[endpoint]]\ndevice = \"room-1\"\nurl = \"https://b\"\n",
		"conf.d/b.toml": "[mqtt]\nkeepalive = 3\nbrokr = 1\n[buffer\n",
		"conf.d/c.toml": "agent = 5\n[[limits]]\n[endpoint]\n",
	})
	_, _, err := Load(path, testOptions(nil))
	if err == nil {
		t.Fatal("loaded")
	}
	text := strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), "")
	checkGolden(t, "testdata/confd.txt", filepath.ToSlash(text)+"\n")
}

func TestConfDUnreadableIsAnError(t *testing.T) {
	path := write(t, map[string]string{"agent.toml": minimal, "conf.d": "a file"})
	if _, _, err := Load(path, testOptions(nil)); err == nil || !strings.Contains(err.Error(), "conf.d: read config") {
		t.Errorf("got %v", err)
	}
	path = write(t, map[string]string{"agent.toml": minimal, "conf.d/x.toml/y": ""})
	if _, _, err := Load(path, testOptions(nil)); err == nil || !strings.Contains(err.Error(), "x.toml: read config: it is a folder") {
		t.Errorf("got %v", err)
	}
}

func TestConfDIsEnoughWithoutTheMainFile(t *testing.T) {
	path := write(t, map[string]string{"conf.d/room.toml": minimal})
	c, _, err := Load(path, testOptions(nil))
	if err != nil || len(c.Endpoints) != 1 {
		t.Fatal(c, err)
	}
	_, _, err = Load(filepath.Join(t.TempDir(), "agent.toml"), testOptions(nil))
	if err == nil || !strings.Contains(err.Error(), "make one with `roomcall init`") {
		t.Errorf("nothing at all: %v", err)
	}
}

func TestVariablesDoNotTellFilesApart(t *testing.T) {
	path := write(t, map[string]string{"agent.toml": "[agent]\nsite = \"${SITE}\"\n" + minimal})
	var configs []*Config
	for _, site := range []string{"one", "two"} {
		c, _, err := Load(path, testOptions(map[string]string{"SITE": site}))
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, c)
	}
	if a, b := configs[0], configs[1]; a.Hash() == b.Hash() || a.WrittenHash() != b.WrittenHash() {
		t.Errorf("values %s, %s; as written %s, %s", a.Hash(), b.Hash(), a.WrittenHash(), b.WrittenHash())
	}
	writeOver(t, filepath.Dir(path), "agent.toml", "${SITE}", "x${SITE}")
	c, _, err := Load(path, testOptions(map[string]string{"SITE": "one"}))
	if err != nil || c.WrittenHash() == configs[0].WrittenHash() {
		t.Errorf("another text, the same hash: %v", err)
	}
}
