package host

import (
	"html"
	"os"
	"strings"
	"unicode"
)

// Screen is the size of a terminal in characters; 0 = not known.
type Screen struct{ Width, Height int }

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
