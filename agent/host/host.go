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
// asks how long it has been silent. It counts on the monotonic clock: a step of the
// wall clock changes nothing, nor does, on Linux, a machine that sleeps. The zero
// value is ready to use.
type Heartbeat struct{ at atomic.Pointer[time.Time] }

// Beat is a sign of life.
func (h *Heartbeat) Beat() { h.Expect(0) }

// Expect is a sign of life before a wait on purpose, of at most d: the next one is
// expected after it. A loop that waits as it was configured to is alive, and silent
// only from then on.
func (h *Heartbeat) Expect(d time.Duration) {
	until := time.Now().Add(max(d, 0))
	h.at.Store(&until)
}

// Silent is the time since the last beat, or since the end of the wait that it
// announced; 0 before the first.
func (h *Heartbeat) Silent() time.Duration {
	if at := h.at.Load(); at != nil {
		return max(0, time.Since(*at))
	}
	return 0
}

// Locale is the language that the user of this process has chosen, such as
// "zh_CN.UTF-8" or "zh-CN": LC_ALL, LC_MESSAGES or LANG, on Windows else that of the
// user interface; "" = not known.
func Locale() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return uiLanguage()
}
