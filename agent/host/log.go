package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"path/filepath"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Bounds of the log file of a Windows service.
const (
	logFileMB    = 5 // size at which a new file is begun, MiB
	logFilesKept = 4 // older files that are kept
)

// LogOptions say what is logged and where.
type LogOptions struct {
	Level  string    // debug, info, warn or error
	Format string    // text or json
	Out    io.Writer // a file of LogFile, or standard error
	// JournalStream is the environment's JOURNAL_STREAM (systemd.exec(5)). When it
	// names Out, each line begins with the priority that the journal understands.
	JournalStream string
}

// NewLogger logs as the options say. What libraries write to the standard
// logger goes to the same place, at debug level.
func NewLogger(o LogOptions) *slog.Logger {
	log := slog.New(newHandler(o))
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
	return log
}

// SilenceLibraries discards what libraries write to the standard logger, for
// commands that log nothing: net/http writes what an endpoint sends beyond its
// announced length, names of people included.
func SilenceLibraries() { stdlog.SetOutput(io.Discard) }

// LogFile is where a Windows service logs, because nobody sees its output: the
// folder logs beside dataDir, rotated by size.
func LogFile(dataDir string) io.Writer {
	return &lumberjack.Logger{
		Filename: filepath.Join(dataDir, "..", "logs", "roomcall.log"),
		MaxSize:  logFileMB, MaxBackups: logFilesKept,
	}
}

func newHandler(o LogOptions) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		level = slog.LevelInfo
	}
	format := func(w io.Writer) slog.Handler {
		opts := &slog.HandlerOptions{Level: level}
		if o.Format == "json" {
			return slog.NewJSONHandler(w, opts)
		}
		return slog.NewTextHandler(w, opts)
	}
	if writesToJournal(o.Out, o.JournalStream) {
		return newJournalHandler(o.Out, format)
	}
	return format(o.Out)
}

// journalHandler puts the priority that systemd's journal understands before
// each line (sd-daemon(3)).
type journalHandler struct {
	slog.Handler
	line *journalLine
}

// journalLine is the line being written, shared by all handlers of a logger.
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
