package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"

	"roomcall/agent/config"
)

// Bounds of the log file of a Windows service.
const (
	logFileMB    = 5 // size at which a new file is begun, MiB
	logFilesKept = 4 // older files that are kept
)

// newLogger writes to w in the configured level and format. What libraries write
// to the standard logger goes there too, at debug level.
func (a *app) newLogger(cfg config.Agent) *slog.Logger {
	log := slog.New(a.newHandler(cfg))
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
	return log
}

// quietLibraries silences the standard logger for commands that log nothing: to
// it goes what an endpoint sends beyond its announced length, names of people too.
func quietLibraries() { stdlog.SetOutput(io.Discard) }

func (a *app) newHandler(cfg config.Agent) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	format := func(w io.Writer) slog.Handler {
		if cfg.LogFormat == "json" {
			return slog.NewJSONHandler(w, opts)
		}
		return slog.NewTextHandler(w, opts)
	}
	switch {
	case a.asService && runtime.GOOS == "windows":
		return format(a.logFile(cfg))
	case writesToJournal(a.stderr, a.getenv("JOURNAL_STREAM")):
		return newJournalHandler(a.stderr, format)
	default:
		return format(a.stderr)
	}
}

// logFile is where a Windows service logs, since nobody sees its output: the
// folder logs beside the config's data folder. A file that cannot be written
// stops nothing.
func (a *app) logFile(cfg config.Agent) io.Writer {
	if a.rotating == nil {
		a.rotating = &lumberjack.Logger{
			Filename: filepath.Join(cfg.DataDir, "..", "logs", "roomcall.log"),
			MaxSize:  logFileMB, MaxBackups: logFilesKept,
		}
	}
	return a.rotating
}

// journalHandler puts the priority that systemd's journal understands before
// each line (sd-daemon(3)).
type journalHandler struct {
	slog.Handler
	line *journalLine
}

// journalLine is the line in the making, shared by all handlers of a logger.
type journalLine struct {
	mu  sync.Mutex
	buf bytes.Buffer
	out io.Writer
}

func newJournalHandler(out io.Writer, inner func(io.Writer) slog.Handler) slog.Handler {
	line := &journalLine{out: out}
	return journalHandler{inner(&line.buf), line}
}

// Handle writes one line with its priority.
func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.buf.Reset()
	fmt.Fprintf(&h.line.buf, "<%d>", journalPriority(r.Level))
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.line.out.Write(h.line.buf.Bytes())
	return err
}

// WithAttrs keeps the priority for loggers with attributes.
func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journalHandler{h.Handler.WithAttrs(attrs), h.line}
}

// WithGroup keeps the priority for loggers with a group.
func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{h.Handler.WithGroup(name), h.line}
}

// journalPriority is the syslog priority of a level.
func journalPriority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	default:
		return 7
	}
}

// warn prints what the config's reader noticed.
func (a *app) warn(warnings []config.Warning) {
	for _, w := range warnings {
		fmt.Fprintln(a.stderr, "warning:", w)
	}
}
