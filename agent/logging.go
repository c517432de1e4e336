package main

import (
	"fmt"
	"io"
	"log/slog"

	"roomcall/agent/config"
)

// newLogger writes to w in the configured level and format.
func newLogger(cfg config.Agent, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// warn prints what the config's reader noticed.
func (a *app) warn(warnings []config.Warning) {
	for _, w := range warnings {
		fmt.Fprintln(a.stderr, "warning:", w)
	}
}
