package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Bounds of the log file of a Windows service.
const (
	logName      = "roomcall.log"
	logFileMB    = 5 // size at which a new file is begun, MiB
	logFilesKept = 4 // older files that are kept
)

// LogOptions say what is logged and where.
type LogOptions struct {
	Level  string // debug, info, warn or error
	Format string // text or json
	Out    *Sink
	// JournalStream is the environment's JOURNAL_STREAM (systemd.exec(5)). When it
	// names the sink's output, each line begins with the priority that the journal understands.
	JournalStream string
}

// NewLogger logs as the options say. What libraries write to the standard
// logger goes to the same place, at debug level.
func NewLogger(o LogOptions) *slog.Logger {
	log := slog.New(newHandler(o, o.Out))
	o.Out.sayLost(func(lost uint64, why error) []byte {
		var line bytes.Buffer
		attrs := []any{"lines_lost", lost}
		if why != nil {
			attrs = append(attrs, "err", why)
		}
		slog.New(newHandler(o, &line)).Warn("the log works again", attrs...)
		return line.Bytes()
	})
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
	return log
}

// SilenceLibraries discards what libraries write to the standard logger, for
// commands that log nothing: net/http writes what an endpoint sends beyond its
// announced length, names of people included.
func SilenceLibraries() { stdlog.SetOutput(io.Discard) }

// LogFile is where a Windows service logs, because nobody sees its output: the
// folder logs beside dataDir, rotated by size. Where that may not be written it is
// the folder logs inside dataDir, and problem says why.
func LogFile(dataDir string) (out io.Writer, name string, problem error) {
	name = filepath.Join(dataDir, "..", "logs", logName)
	if problem = tryAppend(name); problem != nil {
		inside := filepath.Join(dataDir, "logs", logName)
		if tryAppend(inside) == nil {
			name = inside
		}
	}
	return &lumberjack.Logger{Filename: name, MaxSize: logFileMB, MaxBackups: logFilesKept}, name, problem
}

// tryAppend tells why a file cannot be written to.
func tryAppend(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}

func newHandler(o LogOptions, to io.Writer) slog.Handler {
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
	if writesToJournal(o.Out.out, o.JournalStream) {
		return newJournalHandler(to, format)
	}
	return format(to)
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
