// Package host is what the agent needs of the machine it runs on: clock, disk,
// boot, locks, signals, log and journal, terminal.
//
// Promise: it knows nothing of endpoints, records or brokers, and everything in
// agent may use it. What a system does not tell is "not known", never a guess.
package host

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// FirstLine reads the first line of a small file, for example a password.
func FirstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(strings.TrimPrefix(line, "\ufeff"), "\r\n"), nil // Notepad begins a file with a mark
}

// Heartbeat is the last sign of life of a loop: the loop beats, and the watchdog
// asks how long it has been silent. A step of the wall clock changes nothing. The
// zero value is ready to use.
type Heartbeat struct{ at atomic.Pointer[time.Time] }

// Beat is a sign of life.
func (h *Heartbeat) Beat() {
	now := time.Now()
	h.at.Store(&now)
}

// Silent is the time since the last beat, 0 before the first.
func (h *Heartbeat) Silent() time.Duration {
	if at := h.at.Load(); at != nil {
		return time.Since(*at)
	}
	return 0
}
