package cli

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestStatusShowsAsTheGoldenFiles(t *testing.T) {
	for name, s := range map[string]health.Status{"well": healthtest.Well(), "ill": healthtest.Ill()} {
		var text strings.Builder
		if err := writeStatus(&text, s, nil, healthtest.Noon); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), text.String()); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", path, diff)
		}
	}
}

func TestTextShowsNoControlCharacters(t *testing.T) {
	s := healthtest.Ill()
	s.Broker.Error = "bad\x1b[2Jthing"
	s.Broker.URL = "tcp://x\x07"
	s.Endpoints[0].Room = "a\tb\nc"
	var out strings.Builder
	if err := writeStatus(&out, s, nil, healthtest.Noon); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\t") || strings.Contains(out.String(), "\nc") {
		t.Errorf("got %q", out.String())
	}
}
