package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad wants an answer to any bytes, and a config that was accepted to
// keep its meaning in its effective form.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(files, "testdata/full.toml", "../../agent.toml") {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(minimal))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := testOptions(map[string]string{"A": "b"})
		o.Elsewhere = len(data)%2 == 0
		c, _, err := LoadText("agent.toml", data, o)
		if err != nil {
			if c != nil || err.Error() == "" {
				t.Errorf("config %v with error %q", c, err)
			}
			var all Errors
			if !errors.As(err, &all) || strings.Count(err.Error(), "\n") != len(all)-1 {
				t.Errorf("not one problem a line: %q", err)
			}
			return
		}
		again, _, err := LoadText("agent.toml", []byte(c.Effective()), o)
		if err != nil {
			t.Fatalf("the effective config does not load: %v\n%s", err, c.Effective())
		}
		if !strings.Contains(string(data), "${") && again.Hash() != c.Hash() {
			t.Errorf("the effective config means something else:\n%s\n%s", c.Effective(), again.Effective())
		}
	})
}
