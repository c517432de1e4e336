package host

import "testing"

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
