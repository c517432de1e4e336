//go:build !windows

package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// ear collects what systemd would hear.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) send(m string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, m)
	return nil
}

// since forgets what was heard before and returns it.
func (e *ear) since() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := e.heard
	e.heard = nil
	return heard
}

func listen(o Options, watchdog time.Duration) (*notifier, *ear) {
	e := &ear{}
	o.Logger = discard()
	if o.Alive == nil {
		o.Alive = func() error { return nil }
	}
	return &notifier{o: o, watchdog: watchdog, send: e.send}, e
}

func TestSystemdHearsReadyBeatsAndStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, e := listen(Options{StatusLine: func() string { return "2 rooms,\nall well" }}, 30*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Second)
		defer cancel()
		if err := n.run(ctx, untilStopped); err != nil {
			t.Fatal(err)
		}
		want := []string{"READY=1\nSTATUS=2 rooms, all well", "STATUS=2 rooms, all well", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1",
			"STOPPING=1\nSTATUS=stopping"}
		if !slices.Equal(e.heard, want) {
			t.Errorf("heard %q, want %q", e.heard, want)
		}
	})
}

func TestReadyIsNotSaidBeforeStartUpIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, e := listen(Options{}, 0)
		failed := errors.New("store is locked\nby another")
		err := n.run(t.Context(), func(context.Context, func()) error { time.Sleep(time.Minute); return failed })
		if !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		heard := slices.DeleteFunc(e.heard, func(m string) bool { return m == "EXTEND_TIMEOUT_USEC=60000000" })
		if want := []string{"STOPPING=1\nSTATUS=failed: store is locked by another"}; !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}

// TestALongStartIsNotCutShort: systemd is asked for more time again and again before
// what it granted last is over, but not for ever, and not once the work is ready.
func TestALongStartIsNotCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const start, watchdog = 3 * time.Hour, time.Minute
		n, e := listen(Options{}, watchdog)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- n.run(ctx, func(ctx context.Context, ready func()) error {
				time.Sleep(start)
				ready()
				<-ctx.Done()
				return nil
			})
		}()
		var asked time.Duration // when more time was asked for last
		for at := time.Duration(0); at < start+time.Hour; at += time.Second {
			for _, m := range e.since() {
				if m != "EXTEND_TIMEOUT_USEC=60000000" {
					continue
				}
				if at-asked >= watchdog {
					t.Fatalf("nothing was asked for from %v to %v", asked, at)
				}
				asked = at
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if asked < startPatience-watchdog || asked > startPatience {
			t.Errorf("more time was asked for last after %v", asked)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWatchdogIsNotFedWhileTheWorkIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		alive := func() error {
			if stuck.Load() {
				return errors.New("poll loop: no poll for 40s")
			}
			return nil
		}
		n, e := listen(Options{Alive: alive}, 12*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() { ended <- n.run(ctx, untilStopped) }()
		beats := func(d time.Duration) int {
			synctest.Wait()
			e.since()
			time.Sleep(d)
			synctest.Wait()
			return len(e.since())
		}
		if got := beats(time.Minute); got != 15 {
			t.Errorf("%d beats in a minute of a 12 s watchdog, want 15", got)
		}
		stuck.Store(true)
		if got := beats(time.Minute); got != 0 {
			t.Errorf("%d beats while the work was stuck", got)
		}
		stuck.Store(false)
		if got := beats(time.Minute); got != 15 {
			t.Errorf("%d beats after the work moved again, want 15", got)
		}
		cancel()
		<-ended
	})
}

func TestStatusLineIsRefreshedWithoutAWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		polls := 0
		n, e := listen(Options{StatusLine: func() string { polls++; return fmt.Sprint(polls, " polls") }}, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Second)
		defer cancel()
		err := n.run(ctx, untilStopped)
		want := []string{"READY=1\nSTATUS=1 polls", "STATUS=2 polls", "STATUS=3 polls", "STATUS=4 polls", "STATUS=5 polls", "STOPPING=1\nSTATUS=stopping"}
		if err != nil || !slices.Equal(e.heard, want) {
			t.Errorf("heard %q, %v; want %q", e.heard, err, want)
		}
	})
}

func TestReadyIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, e := listen(Options{}, 0)
		err := n.run(t.Context(), func(_ context.Context, ready func()) error {
			ready()
			time.Sleep(time.Second)
			ready()
			time.Sleep(time.Second)
			return nil
		})
		if want := []string{"READY=1", "STOPPING=1\nSTATUS=stopping"}; err != nil || !slices.Equal(e.heard, want) {
			t.Errorf("heard %q, %v; want %q", e.heard, err, want)
		}
	})
}

func TestTroubleIsLoggedOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		began := time.Now()
		n, _ := listen(Options{Alive: func() error {
			if m := time.Since(began).Minutes(); m > 1 && m < 2 {
				return errors.New("no poll for 40s")
			}
			return nil
		}}, 3*time.Second)
		n.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		n.send = func(string) error { return errors.New("no such socket") }
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		if err := n.run(ctx, untilStopped); err != nil {
			t.Error(err)
		}
		for _, line := range []string{"the work is stuck", "the work moves again", "cannot report to systemd"} {
			if got := strings.Count(log.String(), line); got != 1 {
				t.Errorf("%d times %q in the log:\n%s", got, line, log.String())
			}
		}
	})
}

func TestStatusLineIsOneShortLine(t *testing.T) {
	if got := status("a\tb\n\x00\xffc"); strings.ContainsAny(got, "\n\t") {
		t.Errorf("got %q", got)
	}
	if got := status(strings.Repeat("ä", 1000)); len(got) > maxStatus+len("STATUS=") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}

func TestManagerThatDoesNotHearIsNoReasonToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := listen(Options{}, 3*time.Second)
		n.send = func(string) error { return errors.New("no such socket") }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := n.run(ctx, untilStopped); err != nil || ctx.Err() == nil {
			t.Errorf("ended early with %v", err)
		}
	})
}

func TestRunSpeaksToTheNotifySocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "60000000")
	next := func() string {
		buf := make([]byte, 4096)
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log strings.Builder
	ended := make(chan error)
	go func() {
		ended <- Run(ctx, Options{Name: "roomcall", Logger: slog.New(slog.NewTextHandler(&log, nil))}, untilStopped)
	}()
	if got := next(); got != "READY=1" {
		t.Errorf("first heard %q", got)
	}
	cancel()
	if got := next(); got != "STOPPING=1\nSTATUS=stopping" {
		t.Errorf("then heard %q", got)
	}
	if err := <-ended; err != nil || log.Len() > 0 {
		t.Errorf("%v, logged %s", err, log.String())
	}
}

func TestUnreadableWatchdogPeriodIsLogged(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	t.Setenv("WATCHDOG_USEC", "soon")
	var log strings.Builder
	err := Run(t.Context(), Options{Name: "roomcall", Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(context.Context, func()) error { return nil })
	if err != nil || !strings.Contains(log.String(), "watchdog is not fed") {
		t.Errorf("%v, logged %s", err, log.String())
	}
}

func TestRunInATerminalOnlyDoesTheWork(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	worked := false
	err := Run(t.Context(), Options{Name: "roomcall"}, func(_ context.Context, ready func()) error {
		ready()
		worked = true
		return nil
	})
	if err != nil || !worked {
		t.Errorf("worked %v, %v", worked, err)
	}
}

// TestASystemdThatDoesNotReadKeepsNobody: a message that has no room any more is an
// error after a moment, and the stop goes on.
func TestASystemdThatDoesNotReadKeepsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := notify("READY=1"); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, 64)
	if n, err := systemd.Read(heard); err != nil || string(heard[:n]) != "READY=1" {
		t.Errorf("heard %q, %v", heard[:n], err)
	}
	for range 100_000 { // more than the socket holds
		if err = notify("WATCHDOG=1"); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a full socket: %v", err)
	}
}
