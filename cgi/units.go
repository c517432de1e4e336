package cgi

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// verdict says what a value of the endpoint is.
type verdict uint8

const (
	unseen     verdict = iota // its key did not come
	absent                    // a placeholder, or nothing
	known                     // read
	unreadable                // something that cannot be read, or is out of range
)

// Ranges beyond which a value is not believed.
const (
	maxKbps     = 1e6   // 1 Gbit/s for one stream
	maxBareKbps = 20000 // without a unit a larger number is more likely bit/s
	maxMillis   = 60000
	maxFPS      = 1000
	maxCount    = 1<<31 - 1
	maxPixels   = 16384 // width and height
	maxDigits   = 15    // of a number, so that it is exact
)

// isPlaceholder knows the vendor's words for "nothing": "", "-", "--" and
// "Unknown". "--" and "Unknown" are in the vendor's examples, the single "-" on
// the screen of a TE30.
func isPlaceholder(text []byte) bool {
	return len(bytes.Trim(text, "-")) == 0 || sameWord(text, "unknown")
}

// sameWord compares without regard to case.
func sameWord(text []byte, word string) bool { return strings.EqualFold(string(text), word) }

// unit is a unit's name and the exponent from it to ours, as strconv wants it.
type unit struct{ name, exponent string }

// The units of each quantity. Only "k", "ms" and "%" are in the vendor's
// examples; the others are accepted because they can mean one thing only. A
// number without a unit is in the unit that the vendor uses.
var (
	rateUnits = []unit{{"k", ""}, {"", ""}, {"m", "e3"}, {"kbps", ""}, {"mbps", "e3"},
		{"bps", "e-3"}, {"kbit/s", ""}, {"mbit/s", "e3"}, {"bit/s", "e-3"}}
	timeUnits    = []unit{{"ms", ""}, {"", ""}, {"s", "e3"}}
	percentUnits = []unit{{"%", ""}, {"", ""}}
	fpsUnits     = []unit{{"", ""}, {"fps", ""}}
	noUnit       = []unit{{"", ""}}
)

// quantity reads a number with one of the units, from 0 to limit. The decimal
// mark is a point or a comma; a comma before exactly three digits might group
// thousands and is refused, unless the number starts with "0,". Signs and
// exponents are refused.
func quantity(text []byte, units []unit, limit float64) (float64, verdict) {
	if isPlaceholder(text) {
		return 0, absent
	}
	whole, rest := digits(text)
	var frac []byte
	var mark byte
	if len(rest) > 0 && (rest[0] == '.' || rest[0] == ',') {
		mark = rest[0]
		frac, rest = digits(rest[1:])
	}
	switch {
	case len(whole) == 0, len(whole)+len(frac) > maxDigits, mark != 0 && len(frac) == 0,
		mark == ',' && len(frac) == 3 && string(whole) != "0":
		return 0, unreadable
	}
	if len(bytes.Trim(frac, "0")) == 0 && allOnes(whole) {
		return 0, absent
	}
	rest = bytes.TrimSpace(rest)
	for _, u := range units {
		if !sameWord(rest, u.name) {
			continue
		}
		v, err := strconv.ParseFloat(string(whole)+"."+string(frac)+u.exponent, 64)
		if err == nil && v <= limit {
			return v, known
		}
	}
	return 0, unreadable
}

// allOnes knows the numbers whose 16, 24, 31 or 32 bits are all set: what a program
// says that has no value to say.
func allOnes(whole []byte) bool {
	switch string(bytes.TrimLeft(whole, "0")) {
	case "65535", "16777215", "2147483647", "4294967295":
		return true
	}
	return false
}

// digits splits a text behind its leading digits.
func digits(b []byte) (number, rest []byte) {
	n := 0
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return b[:n], b[n:]
}

// readRate reads a bit rate in kbit/s. The vendor writes "109.54k", k being
// 1000 bit/s. "kBps" with a capital B would be bytes and is refused.
func readRate(text []byte) (float64, verdict) {
	v, got := quantity(text, rateUnits, maxKbps)
	if got != known {
		return 0, got
	}
	_, unit := digits(text[len(text)-1:])
	if len(unit) == 0 && v > maxBareKbps || bytes.HasSuffix(text, []byte("Bps")) {
		return 0, unreadable
	}
	return v, known
}

// readMillis reads a time in milliseconds, 0 to 60000: "5ms", "0.005s", 5.
func readMillis(text []byte) (float64, verdict) { return quantity(text, timeUnits, maxMillis) }

// readPercent reads a share in percent, 0 to 100: "0.00%", 0.5.
func readPercent(text []byte) (float64, verdict) { return quantity(text, percentUnits, 100) }

// readFPS reads frames a second, 0 to 1000.
func readFPS(text []byte) (float64, verdict) { return quantity(text, fpsUnits, maxFPS) }

// readCount reads a whole number from 0 to limit, without a unit.
func readCount(text []byte, limit float64) (float64, verdict) {
	v, got := quantity(text, noUnit, limit)
	if got == known && v != float64(uint64(v)) {
		return 0, unreadable
	}
	return v, got
}

// size is a picture size in pixels; 0 = not said.
type size struct {
	width, height int
	assumed       bool // the width follows from 16:9
}

// namedSizes are the formats that are known by name: the CIF family of ITU-T
// H.261 and H.263 and the VGA family.
var namedSizes = map[string]size{
	"sqcif": {width: 128, height: 96},
	"qcif":  {width: 176, height: 144},
	"cif":   {width: 352, height: 288},
	"4cif":  {width: 704, height: 576},
	"16cif": {width: 1408, height: 1152},
	"vga":   {width: 640, height: 480},
	"svga":  {width: 800, height: 600},
	"xga":   {width: 1024, height: 768},
}

// readSize reads a resolution: "320x180", "320*180", "720p", "1080p60",
// "4CIF". The 60 of "1080p60" names a format, not what is sent now, so it
// is not a frame rate. A height alone implies the 16:9 width, marked as assumed;
// where 16:9 is not a whole number (480) the width stays unknown.
func readSize(text []byte) (size, verdict) {
	if isPlaceholder(text) {
		return size{}, absent
	}
	s := strings.ToLower(string(text))
	if z, ok := namedSizes[s]; ok {
		return z, known
	}
	if before, after, ok := strings.Cut(s, "p"); ok {
		height := pixels(before)
		if number, rest := digits([]byte(after)); height == 0 || len(number) > 3 || len(rest) > 0 {
			return size{}, unreadable
		}
		z := size{height: height}
		if height*16%9 == 0 && height*16/9 <= maxPixels {
			z.width, z.assumed = height*16/9, true
		}
		return z, known
	}
	at := strings.IndexAny(s, "x*×")
	if at < 0 {
		return size{}, unreadable
	}
	_, n := utf8.DecodeRuneInString(s[at:])
	z := size{width: pixels(s[:at]), height: pixels(s[at+n:])}
	if z.width == 0 || z.height == 0 {
		return size{}, unreadable
	}
	return z, known
}

// pixels reads a whole number from 1 to maxPixels; 0 = it is something else.
func pixels(s string) int {
	n, err := strconv.ParseUint(strings.Trim(s, " "), 10, 64)
	if err != nil || n > maxPixels {
		return 0
	}
	return int(n)
}
