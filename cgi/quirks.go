package cgi

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the list of quirks: an endpoint that talks nonsense must not make a
// status large.
const (
	maxQuirks    = 32
	maxQuirkKey  = 96 // bytes
	maxQuirkText = 64 // bytes
)

// quirks collects what was there but could not be read. Beyond maxQuirks entries
// it only counts.
type quirks struct {
	list []Quirk
	more int
}

func (q *quirks) add(key, text string) {
	if len(q.list) >= maxQuirks-1 {
		q.more++
		return
	}
	q.list = append(q.list, Quirk{Key: shorten(key, maxQuirkKey), Text: shorten(text, maxQuirkText)})
}

// result is the list; when some did not fit, its last entry says how many.
func (q *quirks) result() []Quirk {
	if q.more == 0 {
		return q.list
	}
	return append(q.list, Quirk{Key: "(more)", Text: strconv.Itoa(q.more)})
}

// shorten makes s clean and at most limit bytes long, cut between characters.
func shorten(s string, limit int) string {
	s = clean(s[:min(len(s), 4*limit)])
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// clean makes valid UTF-8 of s, without characters that are not seen and change
// how the rest is shown: control and format characters (among them those that turn
// the direction of writing), line and paragraph separators. Names from a reply end
// up in terminals, logs and tables. The two joiners stay: scripts and emoji need
// them.
func clean(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
		return s // as nearly always
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\u200c' && r != '\u200d' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
