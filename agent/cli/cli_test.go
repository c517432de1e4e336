package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/run"
)

func TestTheHintOfAnErrorIsInTheReadersLanguage(t *testing.T) {
	t.Setenv("LC_ALL", "zh_CN.UTF-8")
	var stderr strings.Builder
	(&app{stderr: &stderr}).exit(&health.Trouble{Code: "store_not_writable", Err: errors.New("denied")})
	if !strings.Contains(stderr.String(), "denied\nhint: 请") {
		t.Errorf("got %q", stderr.String())
	}
}

func TestTheExitCodeSaysWhatKindOfErrorItWas(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	for _, c := range []struct {
		err   error
		code  int
		shown string // on stderr, "" = nothing
	}{
		{nil, 0, ""},
		{errReported, 1, ""},
		{fmt.Errorf("poll: %w", errReported), 1, ""},
		{errors.New("no route"), 1, "roomcall: no route\n"},
		{fmt.Errorf("replay: %w", &health.Trouble{Code: "store_not_writable", Err: errors.New("denied")}), 1, "hint: give the user that runs"},
		{context.Canceled, 1, "interrupted"},
		{usageError{errors.New("bad flag")}, 2, "roomcall help"},
		{errReportedConfig, 2, ""},
		{config.Errors{{Place: config.Place{File: "agent.toml", Line: 3}, Problem: "unknown key"}}, 2, "agent.toml:3"},
		{fmt.Errorf("start: %w", run.ConfigError{Err: errors.New("two rooms")}), 2, "two rooms"},
	} {
		var stderr strings.Builder
		code := (&app{stdout: io.Discard, stderr: &stderr}).exit(c.err)
		if code != c.code || !strings.Contains(stderr.String(), c.shown) || (c.shown == "") != (stderr.Len() == 0) {
			t.Errorf("%v: exit code %d, want %d; stderr %q", c.err, code, c.code, stderr.String())
		}
	}
}

func TestAServiceWaitsOnlyWhereThereIsNoConfigAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.toml")
	if !waitsForConfig(path) {
		t.Error("nothing there")
	}
	if err := os.WriteFile(path, []byte("password_file = \"gone\""), 0o600); err != nil {
		t.Fatal(err)
	}
	if waitsForConfig(path) {
		t.Error("a config with errors")
	}
	os.Remove(path)
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !waitsForConfig(path) {
		t.Error("an empty conf.d")
	}
	if err := os.WriteFile(filepath.Join(dir, "conf.d", "room.toml"), []byte("[agent]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if waitsForConfig(path) {
		t.Error("a file in conf.d")
	}
}
