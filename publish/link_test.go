package publish

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hiccup is a socket whose second write times out; all others would succeed.
type hiccup struct {
	net.Conn
	writes int
}

func (h *hiccup) Write(p []byte) (int, error) {
	if h.writes++; h.writes == 2 {
		return 0, os.ErrDeadlineExceeded
	}
	return len(p), nil
}

func (h *hiccup) SetWriteDeadline(time.Time) error { return nil }
func (h *hiccup) Close() error                     { return nil }

func TestNothingIsWrittenAfterAWriteThatFailed(t *testing.T) {
	h := &hiccup{}
	l := newLink(h, h, time.Second)
	for n := range 5 {
		_, err := l.Write([]byte{0x32, 0})
		if n == 0 && err != nil || n > 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write %d: %v", n, err)
		}
	}
	if h.writes != 2 {
		t.Errorf("%d packets reached the socket, want 2", h.writes)
	}
}

// paper is a socket that keeps each write.
type paper struct {
	hiccup
	lines []string
}

func (p *paper) Write(b []byte) (int, error) {
	p.lines = append(p.lines, string(b))
	return len(b), nil
}

// TestABurstTakesFewWrites: a PUBLISH waits as long as another follows, in order,
// never beyond what one write deadline covers; any other packet takes it along.
func TestABurstTakesFewWrites(t *testing.T) {
	s := &paper{}
	l := newLink(s, s, time.Second)
	following := 0
	l.another = func() bool { following--; return following >= 0 }
	marks := 0
	l.written = func(bool) { marks++ }
	write := func(packets ...string) {
		t.Helper()
		for _, p := range packets {
			if n, err := l.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatalf("write gave %d, %v", n, err)
			}
		}
	}
	following = 2
	write("2one", "2two", "2three", "2four")
	following = 1
	write("2five", "\xe0disconnect")
	chunk := "2" + strings.Repeat("x", writeChunk/2)
	following = 3
	write(chunk, chunk, "2six", "2"+strings.Repeat("y", writeChunk))
	want := []string{"2one2two2three", "2four", "2five\xe0disconnect",
		chunk, chunk + "2six", "2" + strings.Repeat("y", writeChunk-1), "y"}
	if diff := cmp.Diff(want, s.lines); diff != "" {
		t.Error(diff)
	}
	if marks != 6 {
		t.Errorf("%d writes were booked, want 6", marks)
	}
}

// TestHeldMessagesGetTheTimeOfTheirWrite: the ack deadline counts from it.
func TestHeldMessagesGetTheTimeOfTheirWrite(t *testing.T) {
	s := &paper{}
	m := &Conn{link: newLink(s, s, time.Second), slots: make(chan *Receipt, ahead)}
	m.link.another, m.link.written = m.another, m.written
	var sent []*Receipt
	hand := func() {
		r := &Receipt{}
		m.slots <- r
		sent = append(sent, r)
	}
	hand()
	for range 3 {
		hand()
		m.link.Write([]byte("2x"))
	}
	for i, r := range sent {
		if r.written.Load() != 0 {
			t.Errorf("message %d of a burst counts as written before its write", i)
		}
	}
	m.link.Write([]byte("2x"))
	for i, r := range sent {
		if r.written.Load() == 0 {
			t.Errorf("message %d was written, and no time is noted", i)
		}
	}
	if len(s.lines) != 1 || len(m.slots) != 0 {
		t.Errorf("%d writes, %d slots taken in the end; want 1 and 0", len(s.lines), len(m.slots))
	}
}
