package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomcall/agent/config"
)

// Several rooms run in one process: their tables are a config, each answers, each has
// its scenario, and each request is a line of the log.
func TestSimulateRunsSeveralRooms(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	var log bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, "test", []string{"simulate", "--listen", "127.0.0.1:0", "--rooms", "3",
			"--scenario", "near-end-bad,idle", "--log"}, in, &log, func(string) string { return "" })
		in.Close()
	}()
	var tables strings.Builder
	var urls []string
	for lines := bufio.NewScanner(out); len(urls) < 3 && lines.Scan(); {
		tables.WriteString(lines.Text() + "\n")
		if url, ok := strings.CutPrefix(lines.Text(), `url = "`); ok {
			urls = append(urls, strings.TrimSuffix(url, `"`))
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()

	c, _, err := config.LoadText("agent.toml", []byte("[mqtt]\nbroker = \"tcp://127.0.0.1:1\"\n"+tables.String()), config.Options{})
	if err != nil || len(c.Endpoints) != 3 {
		t.Fatalf("the tables are no config: %v\n%s", err, tables.String())
	}
	for i, inCall := range []bool{true, false, true} {
		resp, err := http.Post(urls[i]+"/action.cgi?ActionID=WEB_GetMultiCallStatusInfoAPI", "text/plain", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || bytes.Contains(body, []byte("AAC-LD")) != inCall {
			t.Errorf("room %d says %s (%v), want a call: %v", i+1, body, err, inCall)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("it ended with %d: %s", code, log.String())
	}
	for _, want := range []string{"sim-1 WEB_GetMultiCallStatusInfoAPI 200, ", "sim-2 ", ": idle\n", "sim-3 "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

func TestTheTablesOfSimulatedRoomsLogIn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("secret", []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, "test", []string{"simulate", "--listen", "127.0.0.1:0", "--rooms", "2", "--scenario", "idle",
			"--user", "api", "--password-file", "secret"}, in, io.Discard, func(string) string { return "" })
		in.Close()
	}()
	var tables strings.Builder
	for lines, rooms := bufio.NewScanner(out), 0; rooms < 2 && lines.Scan(); {
		tables.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "password_file") {
			rooms++
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	path := filepath.Join(t.TempDir(), "agent.toml")
	c, _, err := config.LoadText(path, []byte("[mqtt]\nbroker = \"tcp://127.0.0.1:1\"\n"+tables.String()), config.Options{})
	if err != nil || len(c.Endpoints) != 2 || c.Endpoints[1].Username != "api" {
		t.Fatalf("the tables are no config that logs in: %v\n%s", err, tables.String())
	}
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("it ended with %d", code)
	}
}
