package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// outlet is an output of which each write does what the test says.
type outlet struct {
	mu    sync.Mutex
	text  bytes.Buffer
	write func(p []byte) (int, error) // nil = accept
}

func (o *outlet) set(write func(p []byte) (int, error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write = write
}

func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	write := o.write
	o.mu.Unlock()
	if write != nil {
		n, err := write(p)
		o.text.Write(p[:n])
		return n, err
	}
	return o.text.Write(p)
}

func TestAStuckReaderOfTheLogDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		out := &outlet{}
		out.set(func(p []byte) (int, error) { <-free; return len(p), nil })
		sink := NewSink(out)
		log := NewLogger(LogOptions{Format: "text", Level: "info", Out: sink})
		began := time.Now()
		line := strings.Repeat("x", 1000)
		for range 3000 { // three times what may wait
			log.Info(line)
			synctest.Wait()
		}
		sink.Flush(time.Second)
		if took := time.Since(began); took != time.Second {
			t.Errorf("3000 lines and the end took %v", took)
		}
		time.Sleep(sinkStuck)
		state := sink.State()
		if !state.Failing || state.Lost == 0 || sink.bytes > sinkBytes {
			t.Errorf("stuck: %+v, %d bytes wait", state, sink.bytes)
		}
		close(free)
		synctest.Wait()
		text := out.text.String()
		if got := strings.Count(text, line); uint64(got)+state.Lost != 3000 {
			t.Errorf("%d lines written and %d lost of 3000", got, state.Lost)
		}
		if strings.Count(text, fmt.Sprintf("the log works again\" lines_lost=%d\n", state.Lost)) != 1 {
			t.Errorf("the log does not say once what it lost (%d):\n%.300s", state.Lost, text)
		}
		if state = sink.State(); state.Failing {
			t.Errorf("works: %+v", state)
		}
	})
}

func TestAnOutputThatFailsIsCountedAndSaidLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &outlet{}
		full := errors.New("no space left on device")
		half := true
		out.set(func(p []byte) (int, error) {
			if half {
				half = false
				return len(p) / 2, full
			}
			return 0, full
		})
		sink := NewSink(out)
		log := NewLogger(LogOptions{Format: "json", Level: "info", Out: sink})
		for range 4 {
			log.Info("dropped")
			synctest.Wait()
		}
		if state := sink.State(); state.Lost != 4 || !errors.Is(state.Err, full) || !state.Failing {
			t.Errorf("failing: %+v", state)
		}
		out.set(nil)
		log.Info("first")
		log.Info("second")
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(out.text.String()), "\n")
		if len(lines) != 4 || !strings.Contains(lines[1], "first") ||
			!strings.Contains(lines[2]+lines[3], `"msg":"the log works again","lines_lost":4,"err":"no space left on device"`) {
			t.Errorf("got %q", lines)
		}
		if state := sink.State(); state.Lost != 4 || state.Failing {
			t.Errorf("works: %+v", state)
		}
	})
}

func TestNoLogIsWell(t *testing.T) {
	var sink *Sink
	sink.Flush(time.Hour)
	if state := sink.State(); state.Failing || state.Lost != 0 {
		t.Errorf("%+v", state)
	}
}

func TestTheLogGoesWhereItMayBeWritten(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if _, name, problem := LogFile(data); problem != nil || name != filepath.Join(dir, "logs", logName) {
		t.Errorf("%s, %v", name, problem)
	}
	if err := os.RemoveAll(filepath.Join(dir, "logs")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "logs"), nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	out, name, problem := LogFile(data)
	if problem == nil || name != filepath.Join(data, "logs", logName) {
		t.Errorf("%s, %v", name, problem)
	}
	if _, err := out.Write([]byte("line\n")); err != nil {
		t.Error(err)
	}
	if err := out.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "line\n" {
		t.Errorf("%q, %v", text, err)
	}
}
