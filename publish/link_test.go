package publish

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// paper is a socket that keeps what is written; each write is held until gate
// lets it go, and the write numbered fail times out.
type paper struct {
	net.Conn
	gate chan struct{} // nil = open
	fail int

	mu    sync.Mutex
	lines []string
}

func (p *paper) Write(b []byte) (int, error) {
	if p.gate != nil {
		<-p.gate
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, string(b))
	if len(p.lines) == p.fail {
		return 0, os.ErrDeadlineExceeded
	}
	return len(b), nil
}

func (p *paper) written() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

func (p *paper) SetWriteDeadline(time.Time) error { return nil }
func (p *paper) Close() error                     { return nil }

func newPaperLink(t *testing.T, p *paper) *link {
	l := newLink(p, p, time.Second)
	t.Cleanup(l.abort)
	return l
}

func write(t *testing.T, l *link, packets ...string) {
	t.Helper()
	for _, p := range packets {
		if n, err := l.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatalf("write returned %d, %v", n, err)
		}
	}
}

func TestNothingIsWrittenAfterAWriteThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{fail: 2}
		l := newPaperLink(t, p)
		for n := range 5 {
			_, err := l.Write([]byte{0x32, 0})
			synctest.Wait()
			if n < 2 && err != nil || n >= 2 && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write %d: %v", n, err)
			}
		}
		if got := p.written(); len(got) != 2 {
			t.Errorf("%d packets reached the socket, want 2", len(got))
		}
		if n, _ := l.progress(); n != 1 {
			t.Errorf("%d packets count as written, want 1", n)
		}
	})
}

// What is accepted during a write goes out with the next, in order, in chunks
// that one write deadline covers.
func TestABurstNeedsFewWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{gate: make(chan struct{})}
		l := newPaperLink(t, p)
		write(t, l, "2one")
		synctest.Wait()
		large := "2" + strings.Repeat("y", writeChunk)
		write(t, l, "2two", "2three", "\x82four", large)
		close(p.gate)
		synctest.Wait()
		all := "2two2three\x82four" + large
		want := []string{"2one", all[:writeChunk], all[writeChunk:]}
		if diff := cmp.Diff(want, p.written()); diff != "" {
			t.Error(diff)
		}
		if n, idle := l.progress(); n != 4 || !idle {
			t.Errorf("%d publishes are written, idle %v; want 4 and true", n, idle)
		}
	})
}

// A burst is written at its end, at a full chunk, or with any other packet.
func TestABurstIsWrittenAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{}
		l := newPaperLink(t, p)
		half := "2" + strings.Repeat("x", writeChunk/2)
		var want []string
		for _, step := range []struct {
			burst   uint64
			packets []string
			want    string
		}{
			{3, []string{"2one", "2two"}, ""},
			{3, []string{"2three"}, "2one2two2three"},
			{4, []string{"2four"}, "2four"},
			{6, []string{"2five", "\xc0ping"}, "2five\xc0ping"},
			{9, []string{half}, ""},
			{9, []string{half}, half + half[:writeChunk-len(half)]},
			{9, []string{"2eight"}, ""},
			{0, nil, "2eight"}, // it ends before
		} {
			l.expect(step.burst)
			write(t, l, step.packets...)
			synctest.Wait()
			if step.want != "" {
				want = append(want, step.want)
			}
			if strings.HasPrefix(step.want, half) {
				want = append(want, "xx") // the rest of the second half
			}
			if diff := cmp.Diff(want, p.written()); diff != "" {
				t.Fatalf("after %q of a burst of %d: %s", step.packets, step.burst, diff)
			}
		}
	})
}

// The ack deadline of a message starts when it is on the wire.
func TestAMessageCountsAsWrittenOnlyAfterItsWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{gate: make(chan struct{})}
		l := newPaperLink(t, p)
		write(t, l, "2"+strings.Repeat("x", writeChunk))
		synctest.Wait()
		write(t, l, "2y")
		for step, want := range []uint64{0, 0, 1, 2} { // two chunks, then the second message
			synctest.Wait()
			if n, _ := l.progress(); n != want {
				t.Errorf("after %d writes %d messages count as written, want %d", step, n, want)
			}
			select {
			case p.gate <- struct{}{}:
			default:
			}
		}
	})
}

// The sender waits while a chunk is buffered, so that a burst does not fill the
// memory.
func TestASlowLinkHoldsTheSenderBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{gate: make(chan struct{})}
		l := newPaperLink(t, p)
		write(t, l, "2one")
		synctest.Wait()
		write(t, l, "2"+strings.Repeat("x", writeChunk))
		free := make(chan bool, 1)
		go func() { free <- l.waitRoom() }()
		synctest.Wait()
		select {
		case <-free:
			t.Error("a full buffer accepts more")
		default:
		}
		close(p.gate)
		if !<-free {
			t.Error("the link has ended")
		}
	})
}

// The MQTT library closes the connection as soon as the DISCONNECT is written.
func TestADisconnectIsWrittenBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{gate: make(chan struct{})}
		l := newPaperLink(t, p)
		done := make(chan struct{})
		go func() {
			write(t, l, "2one", "\xe0bye")
			close(done)
		}()
		synctest.Wait()
		if isClosed(done) {
			t.Error("the DISCONNECT counts as written before its write")
		}
		close(p.gate)
		<-done
		l.Close()
		if got := strings.Join(p.written(), ""); got != "2one\xe0bye" {
			t.Errorf("written: %q", got)
		}
	})
}

func TestOversizedPacketFromTheBrokerEndsTheLink(t *testing.T) {
	small := "\xd0\x00\x40\x02\x00\x01"
	for name, tt := range map[string]struct {
		bytes string
		large bool
	}{
		"small":        {small + small, false},
		"largest":      {small + "\x30\x8f\x80\x44" + strings.Repeat("x", maxInbound), false},
		"just too big": {small + "\x30\x90\x80\x44", true},
		"too long":     {small + "\x30\xff\xff\xff\x7f", true},
		"bad length":   {small + "\x30\xff\xff\xff\xff\x01", true},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			l := newLink(near, near, time.Second)
			defer l.abort()
			go func() {
				io.WriteString(far, tt.bytes)
				far.Close()
			}()
			got, err := io.ReadAll(l)
			_, up := l.Write([]byte{0xC0, 0})
			switch {
			case tt.large && (string(got) != small || err == nil || up == nil):
				t.Errorf("%d bytes were read, %v; the link is up: %v", len(got), err, up == nil)
			case !tt.large && (string(got) != tt.bytes || err != nil):
				t.Errorf("%d bytes of %d were read, %v", len(got), len(tt.bytes), err)
			}
		})
	}
}
