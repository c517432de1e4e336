package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCtrlCBlamesNothingOnTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.toml")
	text := "[agent]\nclient_id = \"pc\"\ndata_dir = \"data\"\nhttp_listen = \"\"\n" +
		"[[endpoint]]\ndevice = \"hub\"\nurl = \"http://127.0.0.1:1\"\n[mqtt]\nbroker = \"tcp://127.0.0.1:1\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := Main(ctx, "test", []string{"--config", path, "check"}, &out, &errs, os.Getenv)
	if code != exitFail || !strings.Contains(out.String(), "interrupted") ||
		strings.Contains(out.String(), "canceled") || strings.Contains(out.String(), "[mqtt] broker") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	if code := (&app{stderr: &errs}).exit(context.Canceled); code != exitFail || !strings.Contains(errs.String(), "roomcall: interrupted\n") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}
