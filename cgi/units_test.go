package cgi

import "testing"

// A number in the vendor's ways of writing it gives the value in our unit; what
// may mean two things gives none.
func TestNumbersWithUnits(t *testing.T) {
	readers := map[string]func([]byte) (float64, verdict){
		"rate": readRate, "ms": readMillis, "percent": readPercent, "fps": readFPS,
		"count": func(b []byte) (float64, verdict) { return readCount(b, maxCount) },
	}
	for _, c := range []struct {
		reader, text string
		value        float64
		what         verdict
	}{
		{"rate", "109.54k", 109.54, known},
		{"rate", "109.54K", 109.54, known},
		{"rate", "0.00k", 0, known},
		{"rate", "1.20M", 1200, known},
		{"rate", "1.201 Mbps", 1201, known},
		{"rate", "64000bps", 64, known},
		{"rate", "64500 bit/s", 64.5, known},
		{"rate", "64", 64, known},
		{"rate", "20000", 20000, known},
		{"rate", "20001", 0, unreadable},
		{"rate", "20001k", 20001, known},
		{"rate", "1000001k", 0, unreadable},
		{"rate", "1001M", 0, unreadable},
		{"rate", "64kBps", 0, unreadable},
		{"rate", "64kB/s", 0, unreadable},
		{"rate", "64g", 0, unreadable},
		{"rate", "--", 0, absent},
		{"rate", "-", 0, absent},
		{"rate", "", 0, absent},
		{"rate", "UNKNOWN", 0, absent},
		{"rate", "-64k", 0, unreadable},
		{"rate", "+64k", 0, unreadable},
		{"rate", "1e3k", 0, unreadable},
		{"rate", "0x40", 0, unreadable},
		{"rate", "k", 0, unreadable},
		{"ms", "5ms", 5, known},
		{"ms", "5 MS", 5, known},
		{"ms", "0.005s", 5, known},
		{"ms", "60s", 60000, known},
		{"ms", "60.001s", 0, unreadable},
		{"ms", "5us", 0, unreadable},
		{"ms", "nan", 0, unreadable},
		{"ms", "inf", 0, unreadable},
		{"ms", "1e999", 0, unreadable},
		{"percent", "0.00%", 0, known},
		{"percent", "0,52 %", 0.52, known},
		{"percent", "100.00%", 100, known},
		{"percent", "100.01%", 0, unreadable},
		{"percent", "0,125%", 0.125, known},
		{"percent", "1,125%", 0, unreadable},
		{"fps", "29.97", 29.97, known},
		{"fps", "25 fps", 25, known},
		{"fps", "1001", 0, unreadable},
		{"count", "2147483646", 2147483646, known},
		{"count", "2147483647", 0, absent},
		{"count", "4294967294", 0, unreadable},
		{"count", "4294967295", 0, absent},
		{"count", "16777215", 0, absent},
		{"count", "065535.0", 0, absent},
		{"count", "16777214", 16777214, known},
		{"ms", "65535ms", 0, absent},
		{"rate", "65535k", 0, absent},
		{"rate", "4294967295", 0, absent},
		{"rate", "65535.5k", 65535.5, known},
		{"percent", "4294967295%", 0, absent},
		{"fps", "65535", 0, absent},
		{"count", "4294967296", 0, unreadable},
		{"count", "1.5", 0, unreadable},
		{"count", "2.0", 2, known},
		{"count", "999999999999999", 0, unreadable},
		{"count", "1000000000000000", 0, unreadable},
		{"count", "18446744073709551617", 0, unreadable},
	} {
		value, what := readers[c.reader]([]byte(c.text))
		if value != c.value || what != c.what {
			t.Errorf("%s %q = %v, verdict %d; want %v, %d", c.reader, c.text, value, what, c.value, c.what)
		}
	}
}

func TestResolutions(t *testing.T) {
	for _, c := range []struct {
		text string
		want size
		what verdict
	}{
		{"320x180", size{320, 180, false}, known},
		{"1920*1080", size{1920, 1080, false}, known},
		{"1920 X 1080", size{1920, 1080, false}, known},
		{"640×360", size{640, 360, false}, known},
		{"720p", size{1280, 720, true}, known},
		{"1080P60", size{1920, 1080, true}, known},
		{"480p", size{0, 480, false}, known},
		{"9999p", size{0, 9999, false}, known},
		{"4CIF", size{704, 576, false}, known},
		{"cif", size{352, 288, false}, known},
		{"QCIF", size{176, 144, false}, known},
		{"Unknown", size{}, absent},
		{"--", size{}, absent},
		{"", size{}, absent},
		{"1080i", size{}, unreadable},
		{"16385x2", size{}, unreadable},
		{"320x180p", size{}, unreadable},
		{"99999999999999999999x1", size{}, unreadable},
		{"5CIF", size{}, unreadable},
		{"HD", size{}, unreadable},
	} {
		got, what := readSize([]byte(c.text))
		if got != c.want || what != c.what {
			t.Errorf("%q = %+v, verdict %d; want %+v, %d", c.text, got, what, c.want, c.what)
		}
	}
}
