package host

import (
	"strings"
	"testing"
)

func TestTextOfOthersCannotSteerATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"会议室 A":                "会议室 A",
		"a\tb\r\nc":            "a b  c",
		"x\x1b[2Jy\x07":        "x\ufffd[2Jy\ufffd",
		"\u202ereversed":       "\ufffdreversed",
		"\u009b31mred":         "\ufffd31mred",
		"next\u0085line\ue000": "next line\ufffd",
		"bad \xff utf-8":       "bad \ufffd utf-8",
		"zero\u200bwidth":      "zero\ufffdwidth",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestTextIsMeasuredCutAndWrappedByColumns(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "会议室": 6, "a会b": 4, "\x1b[31ma会\x1b[m": 3, "e\u0301": 1, "ＡＢ": 4, "Großer": 6} {
		if got := Columns(text); got != want {
			t.Errorf("%q fills %d columns, not %d", text, got, want)
		}
	}
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab~"}, {"会议室", 6, "会议室"}, {"会议室", 5, "会议~"}, {"会议室", 4, "会~"}, {"会议室", 1, "~"}, {"会议室", 0, ""},
		{"\x1b[31mabcd\x1b[m", 3, "\x1b[31mab~\x1b[m"}, {"a\x1b[1mb\x1b[mc", 3, "a\x1b[1mb\x1b[mc"},
	} {
		if got := Cut(c.text, c.columns, "~"); got != c.want {
			t.Errorf("%q cut at %d is %q, not %q", c.text, c.columns, got, c.want)
		}
	}
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"one two three", 8, "one two|three"}, {"请检查本会场，的链路", 12, "请检查本会|场，的链路"}, {"端口 Wi-Fi、线路", 10, "端口|Wi-Fi、线|路"},
		{"a onetwothreefour", 8, "a|onetwoth|reefour"}, {"one two", 7, "one two"}, {"abcdefghij", 4, "abcd|efgh|ij"}, {"one  two", 4, "one|two"},
		{"请检查上行链路", 7, "请检查|上行链|路"}, {"请检查 QoS 和 Wi-Fi", 8, "请检查|QoS 和|Wi-Fi"}, {"", 5, ""}, {"会", 1, "会"}, {"会议", 1, "会|议"},
	} {
		if got := strings.Join(Wrap(c.text, c.columns), "|"); got != c.want {
			t.Errorf("%q wrapped at %d is %q, not %q", c.text, c.columns, got, c.want)
		}
	}
}
