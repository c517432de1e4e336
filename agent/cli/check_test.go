package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/cgi/cgitest"
	"roomcall/publish"
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

// net/http gives the standard logger what an endpoint sends too much.
func TestPollAndCheckShowNothingOfTheStandardLogger(t *testing.T) {
	sim, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting"})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	defer srv.Close()
	defer stdlog.SetOutput(stdlog.Writer())
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.toml")
	text := fmt.Sprintf("[agent]\ndata_dir = %q\n[[endpoint]]\ndevice = \"room-1\"\nurl = %q\n[mqtt]\nbroker = \"tcp://127.0.0.1:1\"\n",
		filepath.ToSlash(filepath.Join(dir, "data")), srv.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"poll", "--json"}, {"check", "--offline"}} {
		var seen, out, errs bytes.Buffer
		stdlog.SetOutput(&seen)
		if code := Main(t.Context(), "test", append([]string{"--config", path}, command...), &out, &errs, os.Getenv); code != exitOK {
			t.Fatalf("%v: exit code %d: %s%s", command, code, &out, &errs)
		}
		if stdlog.Writer() != io.Discard {
			t.Errorf("%v leaves the standard logger as it is", command)
		}
	}
}

func TestAStageIsWellWarnsOrFails(t *testing.T) {
	stages := []publish.Stage{
		{Name: "fine", Run: func(context.Context) (string, error) { return "connected\x1b[2J", nil }},
		{Name: "silent", Run: func(context.Context) (string, error) { return "", nil }},
		{Name: "warns", Run: func(context.Context) (string, error) {
			return "certificate", &publish.Error{Class: publish.ClassWarning, Op: "check", Err: errors.New("soon"), Hint: "broker_ends_soon"}
		}},
		{Name: "fails", Run: func(context.Context) (string, error) {
			return "", &publish.Error{Class: publish.ClassRefusedLogin, Op: "connect", Err: errors.New("no"), Hint: "broker_login"}
		}},
		{Name: "never run", Run: func(context.Context) (string, error) { t.Error("ran after one that failed"); return "", nil }},
	}
	var out bytes.Buffer
	c := &checker{app: &app{stdout: &out}}
	runStages(t.Context(), c, "broker", stages[:3])
	if c.failed {
		t.Error("a warning counts as a failure")
	}
	runStages(t.Context(), c, "broker", stages[3:])
	var got []string
	for _, s := range c.stages {
		got = append(got, s.Result+" "+s.Name+": "+s.Detail)
	}
	want := []string{"ok broker fine: connected\ufffd[2J", "warn broker warns: certificate", "FAIL broker fails: connect: no"}
	if !slices.Equal(got, want) || !c.failed {
		t.Errorf("got %q, failed %v", got, c.failed)
	}
	for _, hint := range []string{"renew the broker's certificate", "username and password_file"} {
		if !strings.Contains(out.String(), "hint: ") || !strings.Contains(out.String(), hint) {
			t.Errorf("no hint %q:\n%s", hint, &out)
		}
	}
}

func TestADiskThatIsTooSmallIsNamed(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		free, used, limit int64
		warns, fails      bool
		hint              string
	}{
		{300 * mib, 0, 256 * mib, false, false, ""},
		{20 * mib, 240 * mib, 256 * mib, false, false, ""},
		{255 * mib, 0, 256 * mib, true, false, "256 MiB"},
		{mib - 1, 255 * mib, 256 * mib, false, true, "free space"},
		{0, 256 * mib, 256 * mib, false, true, "free space"},
	} {
		err := tooSmall(c.free, c.used, c.limit)
		warns := health.IsWarning(err)
		if warns != c.warns || (err != nil && !warns) != c.fails || !strings.Contains(health.English.Hint(err), c.hint) {
			t.Errorf("%+v: %v, warning %v, hint %q", c, err, warns, health.English.Hint(err))
		}
	}
}

func TestAPasswordThatWasChangedIsTried(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "broker.secret")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	started := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		mqtt config.MQTT
		want bool
	}{
		{started.Add(-time.Hour), config.MQTT{PasswordFile: file}, false},
		{started.Add(time.Hour), config.MQTT{PasswordFile: file}, true},
		{started.Add(time.Hour), config.MQTT{Password: config.NewSecret("x")}, true},
		{started.Add(time.Hour), config.MQTT{}, false},
		{started, config.MQTT{PasswordFile: file + "-gone"}, false},
	} {
		if err := os.Chtimes(file, c.at, c.at); err != nil {
			t.Fatal(err)
		}
		if got := secretChanged(c.mqtt, []string{file}, started); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestCheckFailsWhileTheRunningAgentsStoreTakesNothing(t *testing.T) {
	cfg := &config.Config{Agent: config.Agent{DataDir: t.TempDir()}} // not the one that it has open: data_dir was changed
	for state, fails := range map[string]bool{"full": true, "failed": true, "open": false, "": false} {
		c := &checker{app: &app{stdout: io.Discard}}
		c.try(t.Context(), "store", func(context.Context) (string, error) {
			return c.store(cfg, health.Status{Buffer: health.Buffer{State: state, Error: "no space left on device"}})
		})
		s := c.stages[0]
		if c.failed != fails || fails && (!strings.Contains(s.Detail, "accepts nothing: no space left") || s.Hint == "") {
			t.Errorf("%q: %+v", state, s)
		}
	}
}

func TestCheckTellsWhatTheRunningAgentsStoreIsMissing(t *testing.T) {
	cfg := &config.Config{Agent: config.Agent{DataDir: t.TempDir()}}
	for want, c := range map[string]health.Buffer{
		stageOK:   {State: "open"},
		stageWarn: {State: "open", Quarantined: 4, Evicted: 2},
		stageFail: {State: "open", Quarantined: 4, Missed: []health.Missed{{Device: "room-1", Count: 3, Last: time.Now()}}},
	} {
		checks := &checker{app: &app{stdout: io.Discard}, lang: health.English}
		checks.try(t.Context(), "store", func(context.Context) (string, error) { return checks.store(cfg, health.Status{Buffer: c}) })
		s := checks.stages[0]
		if s.Result != want || strings.Contains(s.Detail, "because the broker rejects them: 4 records") != (c.Quarantined > 0) || (s.Hint == "") != (want == stageOK) {
			t.Errorf("%+v: %+v", c, s)
		}
	}
}

func TestCheckSaysThatPollsAreCollected(t *testing.T) {
	for every, said := range map[time.Duration]bool{0: false, 30 * time.Second: true} {
		cfg := &config.Config{Agent: config.Agent{DataDir: t.TempDir()}, Buffer: config.Buffer{CommitInterval: every}}
		c := &checker{app: &app{stdout: io.Discard}, lang: health.English}
		detail, err := c.store(cfg, health.Status{})
		if strings.Contains(detail, "collected for 30s before they are stored, a kill loses them") != said || err != nil {
			t.Errorf("%s: %q, %v", every, detail, err)
		}
	}
}

func TestTheStoreOfAnotherAgentSaysNothingAboutThisOne(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "roomcall")
		io.WriteString(w, `{"client_id":"pc-2","config_path":"/elsewhere/agent.toml","config_written_hash":"x","buffer":{"state":"full"}}`)
	}))
	defer other.Close()
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.toml")
	text := fmt.Sprintf("[agent]\nclient_id = \"pc-1\"\ndata_dir = %q\nhttp_listen = %q\n[[endpoint]]\ndevice = \"room-1\"\nurl = \"https://192.0.2.1\"\n[mqtt]\nbroker = \"tcp://127.0.0.1:1\"\n",
		filepath.ToSlash(filepath.Join(dir, "data")), other.Listener.Addr())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := Main(t.Context(), "test", []string{"--config", path, "check", "--offline"}, &out, &errs, os.Getenv)
	if code != exitOK || !strings.Contains(out.String(), "Another agent answers") || strings.Contains(out.String(), "accepts nothing") {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
}
