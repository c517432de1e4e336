package service

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func packaged() Config {
	return Config{
		Name: "roomcall", DisplayName: "roomcall", Description: "Call quality of meeting rooms to MQTT",
		Binary: "/usr/bin/roomcall", Args: []string{"--config", "/etc/roomcall/agent.toml", "run"},
		ConfigFile: "/etc/roomcall/agent.toml", DataDir: "/var/lib/roomcall",
	}
}

// awkward has what a unit file would read as its own syntax.
func awkward() Config {
	c := packaged()
	c.Description = "100% of the rooms"
	c.Binary = "/opt/room call/room$call"
	c.Args = []string{"--config", `/etc/room "call"/50% of $5.toml`, "run"}
	c.DataDir = "/srv/room data"
	c.Credentials = []Credential{{"mqtt", "/etc/roomcall/secrets/mqtt"}, {"room-1", "/etc/roomcall/secrets/100%"}}
	return c
}

func TestUnitIsTheGoldenFile(t *testing.T) {
	for name, c := range map[string]Config{"packaged.service": packaged(), "awkward.service": awkward()} {
		path := filepath.Join("testdata", name)
		got := Unit(c)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", path, diff)
		}
	}
}

func TestSysusersNamesUserAndHome(t *testing.T) {
	want := `u roomcall - "Call quality of meeting rooms to MQTT" /var/lib/roomcall -` + "\n"
	if got := Sysusers(packaged()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// analyze writes the unit, with a binary that is there, and asks systemd.
func analyze(t *testing.T, c Config, verb ...string) string {
	t.Helper()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed here: the unit is not checked by systemd")
	}
	c.Binary = filepath.Join(t.TempDir(), "roomcall")
	if err := os.WriteFile(c.Binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "roomcall.service")
	if err := os.WriteFile(unit, []byte(Unit(c)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, append(verb, unit)...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %v: %v\n%s", verb, err, out)
	}
	return string(out)
}

func TestSystemdUnderstandsTheWholeUnit(t *testing.T) {
	for _, c := range []Config{packaged(), awkward()} {
		for line := range strings.Lines(analyze(t, c, "verify", "--man=no")) {
			if strings.Contains(line, "roomcall.service") {
				t.Errorf("systemd says: %s", line)
			}
		}
	}
}

func TestSystemdRatesTheUnitAtMost1Point5(t *testing.T) {
	out := analyze(t, packaged(), "security", "--offline=true", "--no-pager")
	m := regexp.MustCompile(`Overall exposure level[^:]*: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no rating in:\n%s", out)
	}
	t.Logf("exposure level %s", m[1])
	if rating, err := strconv.ParseFloat(m[1], 64); err != nil || rating > 1.5 {
		t.Errorf("rating %s, want 1.5 or better:\n%s", m[1], out)
	}
}
