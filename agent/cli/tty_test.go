//go:build unix

package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
)

// tty is a terminal with a person before it: what a program writes to prog is on the
// screen.
type tty struct {
	t       *testing.T
	prog    *os.File
	master  *os.File
	changed chan struct{} // the screen may have changed

	mu     sync.Mutex // guards everything below
	screen *vt.Emulator
	raw    bytes.Buffer // all that came
}

func newTTY(t *testing.T, width, height int) *tty {
	t.Helper()
	master, prog, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(prog, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	y := &tty{t: t, prog: prog, master: master, screen: vt.NewEmulator(width, height), changed: make(chan struct{}, 1)}
	var both sync.WaitGroup
	both.Go(func() { // to the screen
		b := make([]byte, 32<<10)
		for {
			n, err := master.Read(b)
			y.mu.Lock()
			y.raw.Write(b[:n])
			_, _ = y.screen.Write(b[:n])
			y.mu.Unlock()
			select {
			case y.changed <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	})
	both.Go(func() { // answers of the terminal
		b := make([]byte, 1<<10)
		for {
			n, err := y.screen.Read(b)
			if err != nil {
				return
			}
			_, _ = master.Write(b[:n])
		}
	})
	t.Cleanup(func() {
		_, _ = master.WriteString("\n") // ends a read of keys that holds prog open
		prog.Close()
		master.Close()
		_ = y.screen.InputPipe().(io.Closer).Close() // Close itself races with Read
		both.Wait()
	})
	return y
}

// press sends keys.
func (y *tty) press(keys string) {
	if _, err := y.master.WriteString(keys); err != nil {
		y.t.Error(err)
	}
}

// text is what is on the screen, without trailing blanks.
func (y *tty) text() string {
	y.mu.Lock()
	lines := strings.Split(y.screen.String(), "\n")
	y.mu.Unlock()
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

// asBefore reports whether the terminal is as a program found it.
func (y *tty) asBefore() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return !y.screen.IsAltScreen() && !y.screen.CursorHidden()
}

// sent is all that came since it was asked last.
func (y *tty) sent() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	defer y.raw.Reset()
	return y.raw.String()
}

// wait waits until the screen is as wanted.
func (y *tty) wait(what string, good func(text string) bool) {
	y.t.Helper()
	late := time.After(20 * time.Second)
	for !good(y.text()) {
		select {
		case <-y.changed:
		case <-late:
			y.t.Fatalf("%s: it never came. The screen:\n%s", what, y.text())
		}
	}
}

func (y *tty) waitText(text string) {
	y.t.Helper()
	y.wait(text, func(all string) bool { return strings.Contains(all, text) })
}

// golden waits until the screen is that of a file.
func (y *tty) golden(name string) {
	y.t.Helper()
	path := filepath.Join("testdata", name+".screen.txt")
	if *update {
		settled := time.NewTimer(time.Second)
		for done := false; !done; {
			select {
			case <-y.changed:
				settled.Reset(time.Second)
			case <-settled.C:
				done = true
			}
		}
		if err := os.WriteFile(path, []byte(y.text()), 0o644); err != nil {
			y.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		y.t.Fatal(err)
	}
	late := time.After(20 * time.Second)
	for y.text() != string(want) {
		select {
		case <-y.changed:
		case <-late:
			y.t.Fatalf("%s differs (-want +got):\n%s", path, cmp.Diff(string(want), y.text()))
		}
	}
}
