package publish

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
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
