package service

import (
	"context"
	"strings"
	"sync"
	"time"
)

const (
	// statusBeat is how often the status line is refreshed without a watchdog.
	statusBeat = 10 * time.Second
	// maxStatus bounds a status line, in bytes.
	maxStatus = 512

	saidStopping = "STOPPING=1\nSTATUS=stopping"
)

// notifier tells systemd how the work goes (sd_notify(3)).
type notifier struct {
	o        Options
	watchdog time.Duration // WATCHDOG_USEC; 0 = no watchdog
	send     func(state string) error

	deaf    bool // the last send failed and was logged
	stalled bool // the last Alive failed and was logged
	said    string
}

// run does the work and beats beside it until the work ends. All messages are
// sent from this goroutine.
func (n *notifier) run(ctx context.Context, work Work) error {
	ready := make(chan struct{})
	done := make(chan error, 1)
	var once sync.Once
	go func() { done <- work(ctx, func() { once.Do(func() { close(ready) }) }) }()

	beat := time.NewTicker(n.period())
	defer beat.Stop()
	stopping := ctx.Done()
	for {
		select {
		case <-ready:
			ready = nil
			n.tell("READY=1\n" + n.statusLine())
		case <-beat.C:
			n.beat()
		case <-stopping:
			stopping = nil
			n.tell(saidStopping)
		case err := <-done:
			if err != nil {
				n.tell("STOPPING=1\n" + status("failed: "+err.Error()))
			} else if stopping != nil {
				n.tell(saidStopping)
			}
			return err
		}
	}
}

// period is a third of the watchdog's, so that one late beat does no harm.
func (n *notifier) period() time.Duration {
	if n.watchdog > 0 {
		return max(n.watchdog/3, time.Millisecond)
	}
	return statusBeat
}

// beat feeds the watchdog while the work moves. When it stands still, systemd
// hears nothing, ends the process with SIGABRT and starts it again.
func (n *notifier) beat() {
	if line := n.statusLine(); line != "" && line != n.said {
		n.tell(line)
	}
	err := n.o.Alive()
	if err != nil && !n.stalled {
		n.o.Logger.Error("the work stands still, so the watchdog is not fed", "error", err)
	}
	if err == nil && n.stalled {
		n.o.Logger.Info("the work moves again")
	}
	n.stalled = err != nil
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
func (n *notifier) tell(message string) {
	if strings.HasPrefix(message, "STATUS=") {
		n.said = message
	}
	err := n.send(strings.TrimSpace(message))
	if err != nil && !n.deaf {
		n.o.Logger.Warn("systemd cannot be told how the agent is", "error", err)
	}
	n.deaf = err != nil
}
