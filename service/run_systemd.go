//go:build !windows

package service

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// startPatience bounds a start. A large store that has to be repaired takes longer
	// than the unit's TimeoutStartSec, and a start that is cut short begins anew.
	startPatience = time.Hour
	// startGrant is what is asked for at a time, at each beat.
	startGrant = time.Minute
	// statusBeat is how often the status line is refreshed, and the watchdog fed, at
	// least.
	statusBeat = 5 * time.Second
	// tellPatience bounds a message to a systemd that does not read.
	tellPatience = time.Second
	// maxStatus bounds a status line, in bytes.
	maxStatus = 512
)

// IsWindowsService reports whether the Windows service manager started this
// process, so that nobody sees its output.
func IsWindowsService() bool { return false }

// run speaks sd_notify when systemd started the process, and does only the work
// otherwise.
func run(ctx context.Context, o Options, work Work) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return work(ctx, func() {})
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		o.Logger.Warn("systemd's watchdog is not fed: its period cannot be read", "error", err)
	}
	n := &notifier{o: o, watchdog: watchdog, send: notify}
	return n.run(ctx, work)
}

// notify sends one message to $NOTIFY_SOCKET. daemon.SdNotify would wait for ever
// for a systemd that does not read.
func notify(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(tellPatience)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

// notifier tells systemd how the work goes (sd_notify(3)).
type notifier struct {
	o        Options
	watchdog time.Duration // period; 0 = no watchdog
	send     func(message string) error

	deaf  bool   // the last send failed and was logged
	stuck bool   // the last Alive failed and was logged
	shown string // the last status line
}

// run does the work and beats beside it until the work ends. All messages are
// sent from this goroutine.
func (n *notifier) run(ctx context.Context, work Work) error {
	ready := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- work(ctx, sync.OnceFunc(func() { close(ready) })) }()
	period := statusBeat
	if n.watchdog > 0 {
		period = min(period, max(n.watchdog/3, time.Millisecond)) // one late beat does no harm
	}
	beat := time.NewTicker(period)
	defer beat.Stop()
	stopping := ctx.Done()
	started := time.Now()
	extend := fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", startGrant.Microseconds()) // sd_notify(3)
	for {
		select {
		case <-ready:
			ready = nil
			n.tell("READY=1", n.statusLine())
		case <-beat.C:
			if ready != nil && stopping != nil && time.Since(started) < startPatience {
				n.tell(extend)
			}
			n.beat()
		case <-stopping:
			stopping = nil
			n.tell("STOPPING=1", "STATUS=stopping")
		case err := <-done:
			if err != nil {
				n.tell("STOPPING=1", status("failed: "+err.Error()))
			} else if stopping != nil {
				n.tell("STOPPING=1", "STATUS=stopping")
			}
			return err
		}
	}
}

// beat feeds the watchdog while the work moves. When it is stuck, systemd hears
// nothing, ends the process with SIGABRT and starts it again.
func (n *notifier) beat() {
	if line := n.statusLine(); line != "" && line != n.shown {
		n.tell(line)
		n.shown = line
	}
	err := n.o.Alive()
	if err != nil && !n.stuck {
		n.o.Logger.Error("the work is stuck, so the watchdog is not fed", "error", err)
	}
	if err == nil && n.stuck {
		n.o.Logger.Info("the work moves again")
	}
	n.stuck = err != nil
	if err == nil && n.watchdog > 0 {
		n.tell("WATCHDOG=1")
	}
}

// statusLine is a STATUS= message, "" when there is nothing to say.
func (n *notifier) statusLine() string {
	if n.o.StatusLine == nil {
		return ""
	}
	return status(n.o.StatusLine())
}

func status(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus], "")
	}
	if text == "" {
		return ""
	}
	return "STATUS=" + text
}

// tell sends one message; a service manager that does not hear is no reason to
// stop, and is logged once.
func (n *notifier) tell(lines ...string) {
	err := n.send(strings.TrimSpace(strings.Join(lines, "\n")))
	if err != nil && !n.deaf {
		n.o.Logger.Warn("cannot report to systemd", "error", err)
	}
	n.deaf = err != nil
}
