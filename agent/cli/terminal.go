package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

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
	return ansi.Strip(text)
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
			line = ansi.TruncateWc(line, size.Width, "")
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
	// progressEvery is how often the line is drawn.
	progressEvery = 250 * time.Millisecond
)

// progress shows how far a long work is, in one line on stderr, when that is a
// terminal. The line is gone when the work is done.
type progress struct {
	out   io.Writer // nil = not shown
	what  string
	began time.Time
	now   func() time.Time

	mu    sync.Mutex // guards everything below
	total int64      // bytes or records; 0 = not known
	done  int64
	drawn time.Time
}

// progress begins a work of total units, 0 = not known.
func (a *app) progress(what string, total int64) *progress {
	p := &progress{what: what, began: time.Now(), now: time.Now, total: total}
	if host.IsTerminal(a.stderr) && host.UnderstandsEscapes(a.stderr) && a.getenv("TERM") != "dumb" {
		p.out = a.stderr
	}
	return p
}

// add counts what is done.
func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	now := p.now()
	if p.out == nil || now.Sub(p.began) < progressAfter || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	fmt.Fprintf(p.out, "\r%s\x1b[K", p.line(now))
}

// line says how far the work is, and how long it will still take at the pace so far.
func (p *progress) line(now time.Time) string {
	if p.total <= 0 {
		return fmt.Sprintf("%s: %s", p.what, health.Bytes(p.done))
	}
	share := min(float64(p.done)/float64(p.total), 1)
	text := fmt.Sprintf("%s: %.0f %%", p.what, 100*share)
	if share > 0 && share < 1 {
		took := now.Sub(p.began)
		text += ", " + health.Age(time.Duration(float64(took)*(1/share-1))) + " left"
	}
	return text
}

// end clears the line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil && !p.drawn.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// reader counts what is read through it.
func (p *progress) reader(r io.Reader) io.Reader { return &countedReader{r, p} }

type countedReader struct {
	io.Reader
	progress *progress
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.progress.add(int64(n))
	return n, err
}
