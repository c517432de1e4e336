//go:build unix

package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

// pollConfig is a config with two rooms that answer and one that does not.
func pollConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	fmt.Fprintf(&text, "[agent]\nclient_id = \"pc\"\ndata_dir = %q\n[mqtt]\nbroker = \"tcp://127.0.0.1:1\"\n", filepath.ToSlash(filepath.Join(dir, "data")))
	for i, room := range []string{"会议室 一", "会议室 二", ""} {
		url := "http://127.0.0.1:1"
		if room != "" {
			sim, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting"})
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(sim)
			t.Cleanup(srv.Close)
			url = srv.URL
		}
		fmt.Fprintf(&text, "[[endpoint]]\ndevice = \"room-%d\"\nroom = %q\nurl = %q\npoll_interval = \"100ms\"\nidle_interval = \"100ms\"\n", i+1, room, url)
	}
	path := filepath.Join(dir, "agent.toml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPollWatchRedrawsInPlaceOnATerminal(t *testing.T) {
	y := newTTY(t, 100, 40)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	path := pollConfig(t)
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, "test", []string{"--config", path, "poll", "--watch"}, y.prog, y.prog, func(string) string { return "" })
	}()
	for range 3 { // rounds
		y.waitText("Ctrl-C")
		y.sent()
		y.wait("another round", func(string) bool {
			y.mu.Lock()
			defer y.mu.Unlock()
			return bytes.Contains(y.raw.Bytes(), []byte("Ctrl-C"))
		})
		if sent := y.sent(); strings.Contains(sent, "\x1b[2J") {
			t.Errorf("it clears the screen: %q", sent)
		}
	}
	cancel()
	select {
	case code := <-ended:
		if code != exitOK {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	for _, once := range []string{"room-1  ", "room-2  ", "room-3: ", "Ctrl-C"} {
		if n := strings.Count(y.text(), once); n != 1 {
			t.Errorf("%q is on the screen %d times:\n%s", once, n, y.text())
		}
	}
}

func TestPollWatchPipedPrintsOneAfterTheOther(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &until{text: "room-2  ", times: 3, then: cancel}
	var errs bytes.Buffer
	if code := Main(ctx, "test", []string{"--config", pollConfig(t), "poll", "--watch"}, out, &errs, func(string) string { return "" }); code != exitOK {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if strings.Contains(out.all.String(), "\x1b") || strings.Contains(out.all.String(), "Ctrl-C") || !strings.Contains(errs.String(), "room-3: ") {
		t.Errorf("%q\n%q", out.all.String(), errs.String())
	}
}

// until does something when a text has come so many times.
type until struct {
	all   bytes.Buffer
	text  string
	times int
	then  func()
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.all.Write(p)
	if strings.Count(u.all.String(), u.text) >= u.times {
		u.then()
	}
	return n, err
}
