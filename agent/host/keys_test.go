package host

import (
	"slices"
	"testing"
)

func TestKeysAreReadAsTerminalsSendThem(t *testing.T) {
	for in, want := range map[string][]string{
		"q/s":                        {"q", "/", "s"},
		"\x1b[A\x1b[B\x1bOA\x1bOB":   {"up", "down", "up", "down"},
		"\x1b[5~\x1b[6~":             {"pgup", "pgdown"},
		"\x1b[H\x1b[F\x1b[1~\x1b[4~": {"home", "end", "home", "end"},
		"\x1b[7~\x1b[8~\x1bOH\x1bOF": {"home", "end", "home", "end"},
		"\x1b[1;5A\x1b[6;2~":         {"up", "pgdown"}, // with Ctrl, with Shift
		"\x1b":                       {"esc"},
		"\x1bq":                      {"esc", "q"},
		"\r\x7f\x08\x03\t":           {"enter", "backspace", "backspace", "ctrl+c", "tab"},
		"会议":                         {"会", "议"},
		"\x1b[200~a\x1b[201~":        {"a"}, // pasted
		"\x1b[99;99Z\x00\x01b":       {"b"},
		"\xff\u202ec":                {"c"},
	} {
		keys, rest := parseKeys([]byte(in))
		if !slices.Equal(keys, want) || len(rest) > 0 {
			t.Errorf("%q: keys %q, rest %q", in, keys, rest)
		}
		var parts []string // as they come over a slow line
		var kept []byte
		for i := range len(in) {
			if kept = append(kept, in[i]); kept[0] == 27 && i+1 < len(in) && len(kept) == 1 {
				continue // alone it is Esc
			}
			keys, rest := parseKeys(kept)
			parts, kept = append(parts, keys...), slices.Clone(rest)
		}
		if !slices.Equal(parts, want) {
			t.Errorf("%q byte by byte: keys %q", in, parts)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x1b[1;5Aq"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, rest := parseKeys(b)
		if len(keys) > len(b) || len(rest) > 32 {
			t.Errorf("%d keys and a rest of %d bytes from %d bytes", len(keys), len(rest), len(b))
		}
	})
}
