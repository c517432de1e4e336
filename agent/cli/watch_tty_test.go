//go:build unix

package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/publish"
)

// watchOn runs the table of a fleet on a terminal; the returned function waits for its end.
func watchOn(t *testing.T, y *tty, f *fleet, lang health.Lang, env map[string]string) (wait func()) {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("TMUX", "")
	w := &watcher{app: &app{stdout: y.prog, stderr: y.prog, getenv: func(name string) string { return env[name] }},
		fleet: f, now: func() time.Time { return noon }, in: y.prog}
	ctx, cancel := context.WithCancel(t.Context())
	program := w.screen(ctx, lang)
	ended := make(chan error, 1)
	go func() {
		_, err := program.Run()
		ended <- err
	}()
	t.Cleanup(cancel)
	return func() {
		t.Helper()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the table ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the table does not end. The screen:\n%s", y.text())
		}
	}
}

func TestTheFleetOnATerminalIsAsTheGoldenScreens(t *testing.T) {
	for _, size := range []struct{ width, height int }{{80, 24}, {120, 40}} {
		for _, lang := range []health.Lang{health.English, health.Chinese} {
			name := fmt.Sprintf("watch-%dx%d-%s", size.width, size.height, lang)
			t.Run(name, func(t *testing.T) {
				y := newTTY(t, size.width, size.height)
				wait := watchOn(t, y, largeFleet(2000), lang, nil)
				y.golden(name)
				y.press("\x1b[6~\x1b[B") // page down, one more
				y.golden(name + "-down")
				y.press("\x1b[H/poor\r\r") // home, filter, the first room
				y.golden(name + "-room")
				y.press("q")
				wait()
			})
		}
	}
}

func TestOneChangeRedrawsOneRowNotTheScreen(t *testing.T) {
	y := newTTY(t, 80, 24)
	f := largeFleet(2000)
	wait := watchOn(t, y, f, health.English, nil)
	y.waitText("1/2000")
	y.waitText("q quit")
	y.sent()
	f.add(stateOf("pc-0003", "hub", `"room":"Changed","endpoint_state":"unreachable"`), noon)
	y.waitText("Changed")
	if sent := y.sent(); strings.Contains(sent, "\x1b[2J") || len(sent) > 2000 {
		t.Errorf("%d bytes for one row: %q", len(sent), sent)
	}
	y.press("\x03") // Ctrl-C
	wait()
	if y.screen.IsAltScreen() || y.screen.CursorHidden() {
		t.Error("the terminal is not as it was before")
	}
}

func TestColoursAreLeftOutWhereTheyAreNotWanted(t *testing.T) {
	for _, env := range []map[string]string{nil, {"NO_COLOR": "1"}} {
		y := newTTY(t, 80, 24)
		wait := watchOn(t, y, largeFleet(20), health.English, env)
		y.waitText("q quit")
		if coloured := strings.Contains(y.sent(), "\x1b[31m"); coloured != (env == nil) {
			t.Errorf("with %v coloured: %v", env, coloured)
		}
		y.press("q")
		wait()
	}
}

func TestTheScreenFollowsItsSize(t *testing.T) {
	for _, size := range []struct{ width, height int }{{1, 1}, {5, 3}, {20, 6}, {40, 10}, {300, 4}} {
		y := newTTY(t, size.width, size.height)
		wait := watchOn(t, y, largeFleet(50), health.Chinese, nil)
		y.press("\x1b[B\r\x1b[B")
		y.press("q")
		wait()
	}
}

var _ = publish.Received{}
