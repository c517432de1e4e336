package config

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testOptions is a fixed world: Linux, one host name, the given variables.
func testOptions(env map[string]string) Options {
	return Options{
		GOOS:     "linux",
		Hostname: func() (string, error) { return "Host.Example", nil },
		LookupEnv: func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		},
	}
}

// write puts files into a fresh folder and gives the path of agent.toml.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "agent.toml")
}

const minimal = `
[[endpoint]]
device = "room-1"
url = "https://192.0.2.10"
[mqtt]
broker = "tls://broker.example"
`

// mustLoad loads a text that has to be good.
func mustLoad(t *testing.T, text string, env map[string]string) (*Config, []Warning) {
	t.Helper()
	c, warnings, err := Load(write(t, map[string]string{"agent.toml": text}), testOptions(env))
	if err != nil {
		t.Fatalf("load: %v\n%s", err, text)
	}
	return c, warnings
}
