package payload

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLinesOfAnyLengthAreReadInBoundedMemory(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	r := lineReader{from: bufio.NewReader(nil)}
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil}, {"\n", []string{"\n"}}, {"a", []string{"a"}}, {"a\nb", []string{"a\n", "b"}},
		{long + "\n" + long, []string{long + "\n", long}},
		{strings.Repeat("x", maxLine) + "\nb\n", []string{"?", "b\n"}},
		{strings.Repeat("x", 2*maxLine), []string{"?"}},
	} {
		r.from.Reset(strings.NewReader(c.in))
		var got []string
		for {
			line, err := r.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				line = []byte("?")
			}
			got = append(got, string(line))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%.20q: %.60q, want %.60q", c.in, got, c.want)
		}
	}
	if cap(r.line) > 2*maxLine {
		t.Errorf("%d bytes kept", cap(r.line))
	}
	if err := ReadLines(iotest.ErrReader(io.ErrClosedPipe), nil, nil); !errors.Is(err, io.ErrClosedPipe) || !strings.Contains(err.Error(), "read line 1") {
		t.Errorf("%v", err)
	}
}
