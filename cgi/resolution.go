package cgi

import "bytes"

// maxPixels bounds width and height.
const maxPixels = 16384

// size is a picture size in pixels; 0 = not said.
type size struct {
	width, height int
	assumed       bool // the width follows from 16:9
}

// readSize reads a resolution: "320x180", "320*180", "720p", "1080p60",
// "4CIF". The 60 of "1080p60" names a format, not what is sent now, so it
// gives no frame rate. A height alone gives the 16:9 width, marked as assumed;
// where 16:9 is no whole number (480) the width stays unknown.
func readSize(b []byte) (size, verdict) {
	if isPlaceholder(b) {
		return size{}, absent
	}
	first, rest, ok := pixels(b)
	if !ok || len(rest) > 0 && rest[0]|0x20 == 'c' {
		var next int
		if s, ok := namedSizes.find(b, &next); ok {
			return s, known
		}
		return size{}, odd
	}
	rest = bytes.TrimLeft(rest, " ")
	if len(rest) > 0 && rest[0]|0x20 == 'p' {
		return progressive(first, rest[1:])
	}
	sep := separator(rest)
	if sep == 0 {
		return size{}, odd
	}
	second, rest, ok := pixels(bytes.TrimLeft(rest[sep:], " "))
	if !ok || len(rest) > 0 {
		return size{}, odd
	}
	return size{width: first, height: second}, known
}

// separator gives the length of the sign between width and height, 0 = none.
func separator(b []byte) int {
	switch {
	case len(b) == 0:
		return 0
	case b[0]|0x20 == 'x' || b[0] == '*':
		return 1
	case bytes.HasPrefix(b, []byte("×")):
		return len("×")
	}
	return 0
}

// progressive is a height with "p"; tail may hold the format's frame rate.
func progressive(height int, tail []byte) (size, verdict) {
	if len(tail) > 3 || len(bytes.Trim(tail, "0123456789")) > 0 {
		return size{}, odd
	}
	s := size{height: height}
	if height*16%9 == 0 && height*16/9 <= maxPixels {
		s.width, s.assumed = height*16/9, true
	}
	return s, known
}

// pixels reads a whole number from 1 to maxPixels.
func pixels(b []byte) (n int, rest []byte, ok bool) {
	i := 0
	for i < len(b) && isDigit(b[i]) && n <= maxPixels {
		n = n*10 + int(b[i]-'0')
		i++
	}
	return n, b[i:], n >= 1 && n <= maxPixels
}

// namedSizes are the formats that are known by name: the CIF family of ITU-T
// H.261 and H.263 and the VGA family.
var namedSizes = keys[size]{
	{"QCIF", size{width: 176, height: 144}},
	{"CIF", size{width: 352, height: 288}},
	{"4CIF", size{width: 704, height: 576}},
	{"16CIF", size{width: 1408, height: 1152}},
	{"SQCIF", size{width: 128, height: 96}},
	{"VGA", size{width: 640, height: 480}},
	{"SVGA", size{width: 800, height: 600}},
	{"XGA", size{width: 1024, height: 768}},
}
