package main

import (
	"log/slog"
	"testing"

	"roomcall/agent/config"
	"roomcall/agent/report"
	"roomcall/buffer"
)

// newTestRecorder makes the recorder of a config over a store, as the agent does.
func newTestRecorder(t *testing.T, cfg *config.Config, q *buffer.Queue) *recorder {
	t.Helper()
	a := &agent{cfg: cfg, log: slog.New(slog.DiscardHandler), queue: q, live: newLive(len(cfg.Endpoints))}
	for _, step := range []func() error{a.makeReporter, a.makeRecorder} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return a.recorder
}

var _ report.Settings
