package host

import (
	"html"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Screen is the size of a terminal in characters; 0 = not known.
type Screen struct{ Width, Height int }

// style is an escape sequence that sets colours and the like.
var style = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Plain is a text without its styles.
func Plain(text string) string { return style.ReplaceAllLiteralString(text, "") }

// Columns is how many columns of a terminal a text fills; its styles fill none.
func Columns(text string) (n int) {
	for _, r := range Plain(text) {
		n += columnsOf(r)
	}
	return n
}

// Cut shortens a text to a number of columns; what is cut ends with tail. Styles stay, and
// end with the text.
func Cut(text string, columns int, tail string) string {
	if Columns(text) <= columns {
		return text
	}
	var b strings.Builder
	room := columns - Columns(tail)
	for i := 0; i < len(text); {
		if at := style.FindStringIndex(text[i:]); at != nil && at[0] == 0 {
			b.WriteString(text[i : i+at[1]])
			i += at[1]
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if room -= columnsOf(r); room < 0 {
			break
		}
		b.WriteString(text[i : i+size])
		i += size
	}
	if columns >= Columns(tail) {
		b.WriteString(tail)
	}
	if b.Len() > 0 && style.MatchString(b.String()) {
		b.WriteString("\x1b[m")
	}
	return b.String()
}

// Wrap breaks a text without styles into lines of at most so many columns: at spaces and
// between Chinese characters, but not before a mark that belongs to the one before it;
// only a word that is wider than a line is broken.
func Wrap(text string, columns int) []string {
	const closing = "，。、：；！？）”％"
	lines, line, used, last := []string{}, "", 0, 0 // last: where the line may be broken, in bytes
	for _, r := range text {
		wide := columnsOf(r)
		if r == ' ' || wide > 1 && !strings.ContainsRune(closing, r) {
			last = len(line)
		}
		if used+wide > columns && line != "" {
			if last == 0 {
				last = len(line)
			}
			rest := strings.TrimLeft(line[last:], " ")
			lines, line, last = append(lines, strings.TrimRight(line[:last], " ")), rest, 0
			used = Columns(rest)
			if r == ' ' && rest == "" {
				continue
			}
		}
		line, used = line+string(r), used+wide
	}
	return append(lines, line)
}

// columnsOf counts the scripts of East Asia, full-width forms and pictures as two
// columns, by Unicode's blocks (UAX #11), and marks upon another character as none. Some
// narrow characters are among the wide ones, so a line may be cut a little early.
func columnsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115f || r >= 0x2e80 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300:
		return 2
	}
	return 1
}

// IsTerminal reports whether a person is at the other end of an output or an input.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isTerminal(f)
}

// UnderstandsEscapes reports whether a terminal follows escape sequences. An older
// console of Windows does so when it is told to, and does it then.
func UnderstandsEscapes(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && followEscapes(f)
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

// HTML is text that others chose, safe within a page: nobody's name is markup, or steers
// the direction of the text around it.
func HTML(s string) string {
	return html.EscapeString(Printable(strings.ToValidUTF8(s, "\uFFFD")))
}
