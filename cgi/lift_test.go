package cgi

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// plainBlanks is blankEscapes byte by byte.
func plainBlanks(s string) (string, bool) {
	after := false
	for i := range len(s) {
		if after != (s[i] == '"') {
			return "", false
		}
		after = s[i] == '\\'
	}
	return strings.ReplaceAll(s, `\`, " "), !after
}

// What is taken is taken as the plain way does. What is refused goes the general
// way, so refusing too much costs time only, and is allowed for "# alone.
func TestBlanksReplaceEscapesAtAnyPlace(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{`\"`, `\"`, `\"`, "a", "#", "]", " ", "1,", "é", `\`, `"`, "!", "[", "\x00", "\x5d\x5d", "##"}
	taken := 0
	for range 200_000 {
		var b strings.Builder
		for range random.IntN(20) {
			n := len(pieces)
			if random.IntN(4) > 0 {
				n -= 7 // mostly without what is refused
			}
			b.WriteString(pieces[random.IntN(n)])
		}
		in := b.String()
		got := []byte(in)
		ok := blankEscapes(got)
		want, wantOK := plainBlanks(in)
		switch {
		case ok && !wantOK, ok && string(got) != want:
			t.Fatalf("%q is taken as %q; want %q, %v", in, got, want, wantOK)
		case !ok && wantOK && !strings.Contains(in, `"#`):
			t.Fatalf("%q is refused", in)
		case ok:
			taken++
		}
	}
	if taken < 20_000 {
		t.Errorf("only %d texts were taken", taken)
	}
}

func TestTextThatBeginsWithAHashIsRead(t *testing.T) {
	st, err := parseMultiCall([]byte(`{"success":1,"data":"{\"stVideoParamRecv\":[{\"szName\":\"#1\",\"videoRate\":\"64k\"}]}"}`))
	if err != nil || len(st.VideoRecv) != 1 || st.VideoRecv[0].Name != "#1" {
		t.Errorf("%+v, %v", st.VideoRecv, err)
	}
}
