package cli

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer is what several goroutines write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	return b.buf.String()
}

func TestLongWorkShowsItsProgressAndTheTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		p := &progress{what: "exporting", began: time.Now()}
		p.show(&out)
		for _, step := range []struct {
			wait        time.Duration
			done, total int64
			want        string
		}{
			{progressAfter - time.Millisecond, 0, 0, ""},
			{2 * time.Millisecond, 0, 0, "\rexporting: 1 s\x1b[K"},
			{progressEvery, 0, 0, "\rexporting: 2 s\x1b[K"},
			{progressEvery, 3 << 20, 0, "\rexporting: 3 MiB in 2 s\x1b[K"},
			{progressEvery, 25, 100, "\rexporting: 25 %, about 8 s left\x1b[K"},
			{progressEvery, 100, 100, "\rexporting: 100 %, about 0 s left\x1b[K"},
		} {
			p.set(step.done, step.total)
			time.Sleep(step.wait)
			synctest.Wait()
			if got := out.take(); got != step.want {
				t.Errorf("after %s: %q, not %q", step.wait, got, step.want)
			}
		}
		p.end()
		if got := out.take(); got != "\r\x1b[K" {
			t.Errorf("at the end: %q", got)
		}
	})
}

func TestShortWorkShowsNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		p := &progress{what: "exporting", began: time.Now()}
		p.show(&out)
		time.Sleep(progressAfter / 2)
		p.end()
		if got := out.take(); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestProgressIsForATerminalOnly(t *testing.T) {
	var errs bytes.Buffer
	p := (&app{stderr: &errs, getenv: func(string) string { return "" }}).progress("exporting")
	p.Write([]byte("abc"))
	p.end()
	if p.clear != "" || errs.Len() != 0 || p.done.Load() != 3 {
		t.Errorf("%+v, %q", p.clear, errs.String())
	}
}
