package cgi

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the list of oddities: an endpoint that talks nonsense must not
// make a status large.
const (
	maxOddities    = 32
	maxOddityKey   = 96
	maxOddityText  = 64
	oddityHidden   = "(hidden)"
	oddityOverflow = "(more)"
)

// oddityList collects what was there but could not be read. Beyond maxOddities
// entries it only counts.
type oddityList struct {
	list []Oddity
	more int
}

func (o *oddityList) add(key, text string) {
	if len(o.list) >= maxOddities-1 {
		o.more++
		return
	}
	o.list = append(o.list, Oddity{Key: shorten(key, maxOddityKey), Text: shorten(text, maxOddityText)})
}

// result gives the list; when some did not fit, the last entry tells how many.
func (o *oddityList) result() []Oddity {
	if o.more == 0 {
		return o.list
	}
	return append(o.list, Oddity{Key: oddityOverflow, Text: strconv.Itoa(o.more)})
}

// shorten makes s clean and at most limit bytes long, cut between characters.
func shorten(s string, limit int) string {
	if len(s) > 4*limit {
		s = s[:4*limit]
	}
	s = clean(s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// clean makes valid UTF-8 of s, with U+FFFD for what is none and for control
// characters: names from a reply end up in terminals and logs.
func clean(s string) string {
	if plain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// plain is true when s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
