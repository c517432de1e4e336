package host

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
)

func TestJournalLinesCarryTheirPriority(t *testing.T) {
	var out bytes.Buffer
	plain := func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})
	}
	log := slog.New(newJournalHandler(&out, plain))
	log.Error("a")
	log.With("device", "hub").Warn("b")
	log.WithGroup("g").Info("c", "k", 1)
	log.Debug("d")
	const want = "<3>level=ERROR msg=a\n<4>level=WARN msg=b device=hub\n<6>level=INFO msg=c g.k=1\n<7>level=DEBUG msg=d\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
