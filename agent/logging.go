package main

import (
	"fmt"
	"io"
	stdlog "log"
	"log/slog"

	"roomcall/agent/config"
)

// newLogger writes to w in the configured level and format. What libraries write
// to the standard logger goes there too, at debug level.
func newLogger(cfg config.Agent, w io.Writer) *slog.Logger {
	log := slog.New(newHandler(cfg, w))
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
	return log
}

func newHandler(cfg config.Agent, w io.Writer) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.NewJSONHandler(w, opts)
	}
	return slog.NewTextHandler(w, opts)
}

// warn prints what the config's reader noticed.
func (a *app) warn(warnings []config.Warning) {
	for _, w := range warnings {
		fmt.Fprintln(a.stderr, "warning:", w)
	}
}
