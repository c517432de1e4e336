package host

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roomcall/agent/host/hosttest"
)

// terminal is a pseudo-terminal: what is written to the keyboard is read from the tty,
// and what the tty shows is read from the keyboard.
func terminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED, A HIDDEN PASSWORD IS NOT TESTED: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return keyboard, tty
}

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// untilHidden waits until the terminal waits for a password.
func untilHidden(t *testing.T, tty *os.File) {
	t.Helper()
	for deadline := time.Now().Add(hosttest.Patience); echoes(t, tty); {
		if time.Now().After(deadline) {
			t.Fatal("the terminal still shows what is typed")
		}
	}
}

func TestAPasswordIsReadWithoutBeingShown(t *testing.T) {
	keyboard, tty := terminal(t)
	if !echoes(t, tty) {
		t.Fatal("this terminal shows nothing anyway")
	}
	type reply struct {
		secret string
		err    error
	}
	came := make(chan reply, 1)
	go func() {
		secret, err := ReadHidden(t.Context(), tty)
		came <- reply{secret, err}
	}()
	untilHidden(t, tty)
	fmt.Fprint(keyboard, " hunter 2 \n")
	if r := <-came; r.secret != " hunter 2 " || r.err != nil {
		t.Errorf("read %q, %v", r.secret, r.err)
	}
	if !echoes(t, tty) {
		t.Error("the terminal shows nothing any more")
	}
	fmt.Fprint(tty, "end")
	shown := make([]byte, 100)
	n, err := keyboard.Read(shown)
	if err != nil || strings.Contains(string(shown[:n]), "hunter") {
		t.Errorf("shown: %q, %v", shown[:n], err)
	}
}

func TestCtrlCLeavesATerminalThatShowsWhatIsTyped(t *testing.T) {
	keyboard, tty := terminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	came := make(chan error, 1)
	go func() {
		_, err := ReadHidden(ctx, tty)
		came <- err
	}()
	untilHidden(t, tty)
	cancel()
	if err := <-came; err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if !echoes(t, tty) {
		t.Error("the terminal shows nothing any more")
	}
	fmt.Fprint(keyboard, "\n") // ends the read, as the end of the process does
}
