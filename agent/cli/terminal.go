package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
)

// Styles of a text for a terminal. What goes elsewhere, or to a person who wants no
// colours, is stripped of them: see app.styled.
func bold(text string) string    { return sgr("1", text) }
func dim(text string) string     { return sgr("2", text) }
func reverse(text string) string { return sgr("7", text) }
func red(text string) string     { return sgr("31", text) }
func green(text string) string   { return sgr("32", text) }
func yellow(text string) string  { return sgr("33", text) }

func sgr(code, text string) string { return "\x1b[" + code + "m" + text + "\x1b[m" }

// paint colours a text by how much it wants attention.
func paint(r rank, text string) string {
	switch {
	case r <= rankError, r == rankPoor:
		return red(text)
	case r == rankBusy, r == rankFair:
		return yellow(text)
	case r == rankGood:
		return green(text)
	case r == rankStale:
		return dim(text)
	}
	return text
}

// colours reports whether a stream is a terminal whose user wants colours.
func (a *app) colours(stream io.Writer) bool {
	return a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && host.IsTerminal(stream) && host.UnderstandsEscapes(stream)
}

// styled is a text with its styles where they are wanted, else without.
func (a *app) styled(stream io.Writer, text string) string {
	if a.colours(stream) {
		return text
	}
	return host.Plain(text)
}

// fullScreen is a terminal's screen while a command has all of it.
type fullScreen struct {
	out   io.Writer
	plain bool // without colours; bold and reverse stay
	size  host.Screen
	shown []string // the lines on the screen
}

// open begins with an empty screen, close shows again what was there before.
func (f *fullScreen) open()  { _, _ = io.WriteString(f.out, "\x1b[?1049h\x1b[?25l\x1b[?7l") }
func (f *fullScreen) close() { _, _ = io.WriteString(f.out, "\x1b[?7h\x1b[?25h\x1b[?1049l") }

var colour = regexp.MustCompile("\x1b\\[3[0-9]m")

// draw writes the lines that are not on the screen already, at once, so that nothing
// flickers.
func (f *fullScreen) draw(lines []string, size host.Screen) error {
	var b strings.Builder
	if size != f.size {
		f.size, f.shown = size, nil
		b.WriteString("\x1b[2J")
	}
	for i, line := range lines[:min(len(lines), size.Height)] {
		if f.plain {
			line = colour.ReplaceAllLiteralString(line, "")
		}
		if line = host.Cut(line, size.Width, ""); i < len(f.shown) && f.shown[i] == line {
			continue
		}
		for len(f.shown) <= i {
			f.shown = append(f.shown, "")
		}
		f.shown[i] = line
		fmt.Fprintf(&b, "\x1b[%d;1H%s\x1b[m", i+1, line)
		if host.Columns(line) < size.Width {
			b.WriteString("\x1b[K")
		}
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(f.out, "\x1b[?2026h"+b.String()+"\x1b[?2026l") // terminals that know it show it at once
	return err
}

// redrawn writes texts to a terminal one over the other, elsewhere one after the other.
type redrawn struct {
	out   io.Writer
	lines int // of the text on the screen
}

func (r *redrawn) draw(text string) error {
	size := host.Screen{}
	f, ok := r.out.(*os.File)
	if !ok || !host.IsTerminal(f) || !host.UnderstandsEscapes(f) {
		_, err := io.WriteString(r.out, text)
		return err
	}
	size = host.ScreenOf(f)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if size.Height > 1 { // what scrolled away cannot be drawn over
		lines = lines[:min(len(lines), size.Height-1)]
	}
	var b strings.Builder
	if r.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", r.lines)
	}
	for _, line := range lines {
		if size.Width > 0 {
			line = host.Cut(line, size.Width, "")
		}
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	r.lines = len(lines)
	_, err := io.WriteString(r.out, b.String())
	return err
}

const (
	// progressAfter is how long a work takes before anything is shown of it.
	progressAfter = time.Second
	// progressEvery is how often the line is drawn then.
	progressEvery = 500 * time.Millisecond
)

// progress shows how far a long work is, in one line on stderr, when that is a terminal.
// The line is gone when the work has ended. It counts what is written to it.
type progress struct {
	what        string
	began       time.Time
	total, done atomic.Int64 // in bytes; total 0 = not known
	end         func()       // of the work; waits until the line is gone
	clear       string       // removes the line, before something else is written there
}

// progress begins a long work.
func (a *app) progress(what string) *progress {
	p := &progress{what: what, began: time.Now(), end: func() {}}
	if host.IsTerminal(a.stderr) && host.UnderstandsEscapes(a.stderr) && a.getenv("TERM") != "dumb" {
		p.show(a.stderr)
	}
	return p
}

// show draws the line until the end.
func (p *progress) show(out io.Writer) {
	p.clear = "\r\x1b[K"
	ended, gone := make(chan struct{}), make(chan struct{})
	p.end = func() {
		close(ended)
		<-gone
	}
	go func() {
		defer close(gone)
		wait := time.NewTimer(progressAfter)
		defer wait.Stop()
		drawn := false
		for {
			select {
			case <-ended:
				if drawn {
					_, _ = io.WriteString(out, p.clear)
				}
				return
			case now := <-wait.C:
				_, _ = io.WriteString(out, "\r"+p.line(now)+"\x1b[K")
				drawn = true
				wait.Reset(progressEvery)
			}
		}
	}()
}

// Write counts bytes that were dealt with.
func (p *progress) Write(b []byte) (int, error) {
	p.done.Add(int64(len(b)))
	return len(b), nil
}

// set tells how many bytes of how many were dealt with.
func (p *progress) set(done, total int64) {
	p.done.Store(done)
	p.total.Store(total)
}

// line says how far the work is, and how long it will still take at the pace so far.
func (p *progress) line(now time.Time) string {
	done, total, took := p.done.Load(), p.total.Load(), now.Sub(p.began)
	switch {
	case total > 0 && done > 0:
		share := min(float64(done)/float64(total), 1)
		return fmt.Sprintf("%s: %.0f %%, about %s left", p.what, 100*share, health.English.For(time.Duration(float64(took)*(1/share-1))))
	case done > 0:
		return fmt.Sprintf("%s: %s in %s", p.what, health.Bytes(done), health.English.For(took))
	}
	return fmt.Sprintf("%s: %s", p.what, health.English.For(took))
}
