package host

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// Screen is the size of a terminal in characters; 0 = not known.
type Screen struct{ Width, Height int }

// Fit cuts a table, its first line the heading, so that it stays on the screen
// with a note below it: what does not fit is counted, and the first rows stay.
func (s Screen) Fit(table, note string) string {
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if room := s.Height - 3 - s.rows(note); s.Height > 0 && len(lines) > room { // the empty line, the count, the cursor's line
		keep := max(room, 2) // the heading and the worst
		if left := len(lines) - keep; left > 0 {
			lines = append(lines[:keep:keep], fmt.Sprintf("... and %d more below", left))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(s.cut(line) + "\n")
	}
	return b.String() + "\n" + note + "\n"
}

// rows is how many rows of the screen a text fills.
func (s Screen) rows(text string) int {
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		if s.Width > 0 {
			n += max(Columns(line)-1, 0) / s.Width
		}
	}
	return n
}

// cut shortens a line to the width of the screen.
func (s Screen) cut(line string) string {
	if s.Width <= 0 || Columns(line) <= s.Width {
		return line
	}
	used := 0
	for i, r := range line {
		if used += columnsOf(r); used > s.Width {
			return line[:i]
		}
	}
	return line
}

// Columns is how many columns of a terminal a text fills.
func Columns(text string) (n int) {
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

// columnsOf counts the scripts of East Asia, full-width forms and pictures as two
// columns, by Unicode's blocks (UAX #11). Some narrow characters are among them,
// so a line may be cut a little early.
func columnsOf(r rune) int {
	if r >= 0x1100 && r <= 0x115f || r >= 0x2e80 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 {
		return 2
	}
	return 1
}

// IsTerminal reports whether a person is at the other end of an output or an input.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Printable makes text that others chose (an endpoint, a broker, another agent)
// safe to show: it stays on one line and cannot steer the terminal. White space
// becomes a space, and whatever else cannot be printed becomes U+FFFD.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return unicode.ReplacementChar
		}
	}, s)
}
