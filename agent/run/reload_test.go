package run

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"weak"

	"roomcall/agent/config"
	"roomcall/agent/host/hosttest"
)

// TestAReloadFreesTheAgentBefore: with its history, samples and index of the store.
func TestAReloadFreesTheAgentBefore(t *testing.T) {
	cfg := loadText(t, `http_listen = ""`)
	s := NewSupervisor("test", func() (*config.Config, []config.Warning, error) { return cfg, nil, nil },
		func(config.Agent) *slog.Logger { return slog.New(slog.DiscardHandler) })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, cfg, nil, func() {}) }()
	var before weak.Pointer[Agent]
	hosttest.WaitFor(t, "an agent", func() (bool, string) {
		before = weak.Make(s.current.Load())
		return before.Value() != nil, ""
	})
	s.AskReload()
	hosttest.WaitFor(t, "the next agent runs, the one before is freed", func() (bool, string) {
		runtime.GC()
		return s.current.Load() != nil && before.Value() == nil, ""
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
