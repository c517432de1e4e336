package run

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/host/hosttest"
	"roomcall/buffer"
)

// TestAStartOnADiskThatHangsEnds: a read of the store that never returns, here of a pipe
// that nobody writes, does not keep the process from ending.
func TestAStartOnADiskThatHangsEnds(t *testing.T) {
	cfg := loadText(t, `http_listen = ""`)
	q, err := buffer.Open(StoreOptions(cfg))
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(cfg.Agent.DataDir, "CLEAN")
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(mark, 0o600); err != nil {
		t.Fatal(err)
	}
	log := &hosttest.Log{}
	s := NewSupervisor("test", nil, func(config.Agent) *slog.Logger { return log.Logger() })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, cfg, nil, func() {}) }()
	var pipe *os.File
	hosttest.WaitFor(t, "the start reads the mark", func() (bool, string) {
		pipe, err = os.OpenFile(mark, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil, log.String()
	})
	stop()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it does not end")
	}
	pipe.Close() // the read returns
	hosttest.WaitFor(t, "the store is free", func() (bool, string) {
		q, err := buffer.Open(StoreOptions(cfg))
		if err != nil {
			return false, err.Error()
		}
		return q.Close() == nil, ""
	})
}
