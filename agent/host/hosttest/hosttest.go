// Package hosttest has what the tests of several packages need: a log that can be
// read, and a bounded wait.
package hosttest

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// Patience bounds every wait for a condition; it ends a hanging test and is never
// a measured time.
const Patience = 60 * time.Second

// Log collects log lines. The zero value is ready to use.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds a line.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// Count is how often a text is in the log.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

// String is the whole log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Logger logs into l.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// WaitFor asks again and again until ok; it fails the test after Patience and shows
// what was seen last.
func WaitFor(t testing.TB, what string, ok func() (good bool, saw string)) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(Patience)
	for {
		good, saw := ok()
		if good {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s; last seen:\n%s", Patience, what, saw[max(0, len(saw)-3000):])
		}
		<-tick.C
	}
}

// Set moves the wall clock of a time and leaves its monotonic reading, as if the
// clock had been set. Add moves both, and nothing public moves one alone; the
// monotonic reading is the second word.
func Set(t time.Time, by time.Duration) time.Time {
	moved := t.Add(by)
	words := (*struct {
		wall uint64
		mono int64
		loc  *time.Location
	})(unsafe.Pointer(&moved))
	words.mono -= int64(by)
	return moved
}
