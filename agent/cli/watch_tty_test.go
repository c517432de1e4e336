//go:build unix

package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/agent/health"
)

// watchOn runs the table of a fleet on a terminal; the returned function waits for its end.
func watchOn(t *testing.T, y *tty, f *fleet, lang health.Lang, env map[string]string) (wait func()) {
	t.Helper()
	a := &app{stdout: y.prog, stderr: y.prog, getenv: func(name string) string { return env[name] }}
	s := &fleetScreen{fleet: f, lang: lang, now: func() time.Time { return noon }}
	ended := make(chan error, 1)
	go func() { ended <- s.run(t.Context(), y.prog, y.prog, a.colours(y.prog)) }()
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

func TestAChangeRedrawsOneRow(t *testing.T) {
	for _, names := range []string{"Room %d-%d", "会议室 %d 号楼 %d 层"} {
		y := newTTY(t, 80, 24)
		f := newFleet()
		for i := range 2000 {
			f.add(stateOf(fmt.Sprintf("pc-%04d", i), "hub", fmt.Sprintf(`"room":"`+names+`","endpoint_state":"refused","err":"refused"`, i/40, i%40)), noon)
		}
		wait := watchOn(t, y, f, health.English, nil)
		y.waitText("q quit")
		y.sent()
		f.add(stateOf("pc-0000", "hub", fmt.Sprintf(`"room":"`+names+`","endpoint_state":"refused","err":"changed"`, 0, 0)), noon)
		y.waitText("changed")
		if sent := y.sent(); strings.Contains(sent, "\x1b[2J") || strings.Contains(sent, "\x1b[J") || len(sent) > 200 {
			t.Errorf("%d bytes for one row: %q", len(sent), sent)
		}
		y.press("\x03") // Ctrl-C
		wait()
		y.wait("the terminal as it was before", func(string) bool { return y.asBefore() })
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
