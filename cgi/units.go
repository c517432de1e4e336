package cgi

import "bytes"

// verdict says what a text of the endpoint is.
type verdict int

const (
	absent verdict = iota // a placeholder, or nothing
	known                 // read
	odd                   // something that cannot be read, or is out of range
)

// Ranges beyond which a value is taken as not understood.
const (
	maxKbps     = 1e6   // 1 Gbit/s for one stream
	maxBareKbps = 20000 // without a unit a larger number is more likely bit/s
	maxMillis   = 60000
	maxFPS      = 1000
	maxCount    = 1<<32 - 1
)

// isPlaceholder tells the vendor's words for "nothing": "", "-", "--" and
// "Unknown". "--" and "Unknown" are in the vendor's examples, the single "-" on
// the screen of a TE30.
func isPlaceholder(b []byte) bool {
	for i, c := range b {
		if c != '-' {
			return i == 0 && equalFold(b, "unknown")
		}
	}
	return true
}

// equalFold compares without regard to ASCII case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// decimal is an unsigned decimal number: digits / 10^frac.
type decimal struct {
	digits uint64
	frac   int
}

// scanDecimal reads the number at the start of b and gives the rest. Sign,
// exponent and more than 15 digits are refused, so that the number is exact.
// The decimal mark is a point or a comma. A comma before exactly three digits
// might group thousands: it is refused, unless the number starts with "0,".
func scanDecimal(b []byte) (n decimal, rest []byte, ok bool) {
	i, mark := 0, -1
	for ; i < len(b) && i <= 16; i++ {
		if c := b[i]; isDigit(c) {
			n.digits = n.digits*10 + uint64(c-'0')
		} else if (c == '.' || c == ',') && mark < 0 && i > 0 {
			mark = i
		} else {
			break
		}
	}
	if mark >= 0 {
		n.frac = i - mark - 1
	}
	switch {
	case i == 0 || i > 16 || mark < 0 && i > 15 || mark == i-1:
		return decimal{}, nil, false
	case mark > 0 && b[mark] == ',' && n.frac == 3 && !(mark == 1 && b[0] == '0'):
		return decimal{}, nil, false
	}
	return n, b[i:], true
}

var pow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
	1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// shifted gives n * 10^exp with one correctly rounded operation.
func (n decimal) shifted(exp int) float64 {
	if exp -= n.frac; exp < 0 {
		return float64(n.digits) / pow10[-exp]
	}
	return float64(n.digits) * pow10[exp]
}

// unit is a unit's lower-case name and the power of ten from it to ours.
type unit struct {
	name     string
	exponent int
}

// The units of each quantity. Only "k", "ms" and "%" are in the vendor's
// examples; the others are taken because they can mean one thing only. A number
// without a unit is in the unit that the vendor uses.
var (
	rateUnits = []unit{{"k", 0}, {"", 0}, {"m", 3}, {"kbps", 0}, {"mbps", 3},
		{"bps", -3}, {"kbit/s", 0}, {"mbit/s", 3}, {"bit/s", -3}}
	timeUnits    = []unit{{"ms", 0}, {"", 0}, {"s", 3}}
	percentUnits = []unit{{"%", 0}, {"", 0}}
	fpsUnits     = []unit{{"", 0}, {"fps", 0}}
	noUnit       = []unit{{"", 0}}
)

// quantity reads a number with one of the units, from 0 to limit.
func quantity(b []byte, units []unit, limit float64) (float64, verdict) {
	if isPlaceholder(b) {
		return 0, absent
	}
	n, rest, ok := scanDecimal(b)
	if !ok {
		return 0, odd
	}
	if len(rest) > 0 && rest[0] <= ' ' {
		rest = bytes.TrimLeft(rest, " \t")
	}
	for i := range units {
		if !equalFold(rest, units[i].name) {
			continue
		}
		if v := n.shifted(units[i].exponent); v <= limit {
			return v, known
		}
		break
	}
	return 0, odd
}

// readRate reads a bit rate in kbit/s. The vendor writes "109.54k", k being
// 1000 bit/s. "kBps" with a capital B would be bytes and is refused.
func readRate(b []byte) (float64, verdict) {
	v, what := quantity(b, rateUnits, maxKbps)
	if what != known {
		return v, what
	}
	bare := isDigit(b[len(b)-1])
	if bare && v > maxBareKbps || bytes.HasSuffix(b, []byte("Bps")) {
		return 0, odd
	}
	return v, known
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// readMillis reads a time in milliseconds, 0 to 60000: "5ms", "0.005s", 5.
func readMillis(b []byte) (float64, verdict) { return quantity(b, timeUnits, maxMillis) }

// readPercent reads a share in percent, 0 to 100: "0.00%", 0.5.
func readPercent(b []byte) (float64, verdict) { return quantity(b, percentUnits, 100) }

// readFPS reads frames a second, 0 to 1000.
func readFPS(b []byte) (float64, verdict) { return quantity(b, fpsUnits, maxFPS) }

// readCount reads a whole number from 0 to limit, without a unit.
func readCount(b []byte, limit float64) (float64, verdict) {
	v, what := quantity(b, noUnit, limit)
	if what == known && v != float64(uint64(v)) {
		return 0, odd
	}
	return v, what
}
