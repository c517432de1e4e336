package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
)

// serve runs a server on a free loopback port until the test ends.
func serve(t *testing.T, src Source) (addr string, stop func() error) {
	t.Helper()
	o := Options{Key: testKey}
	if f, ok := src.(*fake); ok {
		o.History = f.history
	}
	s, err := Listen("127.0.0.1:0", src, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s.Addr(), stop
}

func get(t *testing.T, addr, path string) (string, error) {
	t.Helper()
	body, err := GetWithKey(t.Context(), addr, path, Patience(path, 0), testKey)
	if err != nil {
		return "", err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	return string(b), err
}

func TestClientReadsWhatTheServerSays(t *testing.T) {
	addr, stop := serve(t, &fake{status: healthtest.Well()})
	body, err := get(t, addr, "/api/v1/status")
	var s health.Status
	if err != nil || json.Unmarshal([]byte(body), &s) != nil || s.ClientID != "lobby" {
		t.Errorf("got %q, %v", body, err)
	}
	var answer *AnswerError
	if _, err := get(t, addr, "/api/v1/samples?device=room-9"); !errors.As(err, &answer) || answer.Code != 404 || answer.Hint == "" ||
		err.Error() != "the agent answered 404: there is no device room-9" {
		t.Errorf("got %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := get(t, addr, "/api/v1/status"); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "roomcall start") {
		t.Errorf("after the stop: %v", err)
	}
}

func TestClientSaysWhenTheLocalHTTPIsOff(t *testing.T) {
	if _, err := get(t, "", "/"); err == nil || !strings.Contains(err.Error(), "http_listen") {
		t.Errorf("got %v", err)
	}
}

func TestClientKnowsAnotherProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler()}
	ended := make(chan error)
	go func() { ended <- other.Serve(l) }()
	defer func() { other.Close(); <-ended }()
	if _, err := get(t, l.Addr().String(), "/"); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
}

func TestClientConnectsToLoopbackForAListenerOnEverything(t *testing.T) {
	for listen, want := range map[string]string{"0.0.0.0:9478": "127.0.0.1:9478", ":9478": "127.0.0.1:9478", "[::]:9478": "[::1]:9478",
		"10.1.2.3:9478": "10.1.2.3:9478", "localhost:9478": "localhost:9478", "nonsense": "nonsense"} {
		if got := dialAddr(listen); got != want {
			t.Errorf("dialAddr(%q) = %q, want %q", listen, got, want)
		}
	}
}

func TestAnIPv4AddressOpensNoIPv6(t *testing.T) {
	srv, err := Listen("0.0.0.0:0", &fake{status: healthtest.Well()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if host, _, _ := net.SplitHostPort(srv.Addr()); host != "0.0.0.0" {
		t.Errorf("0.0.0.0 was asked for, %s is open", srv.Addr())
	}
}

func TestHalfAnExportReachesTheClientAsAnError(t *testing.T) {
	addr, _ := serve(t, &fake{status: healthtest.Well(), export: func(_ context.Context, w io.Writer, _ Filter) error {
		fmt.Fprintln(w, strings.Repeat("{}\n", 10000))
		return errors.New("damaged record")
	}})
	if body, err := get(t, addr, "/api/v1/buffer/export"); err == nil {
		t.Errorf("%d bytes were taken for a whole export", len(body))
	}
}

func TestStopCutsAnAnswerThatDoesNotEnd(t *testing.T) {
	inside := make(chan struct{})
	addr, stop := serve(t, &fake{status: healthtest.Well(), export: func(ctx context.Context, w io.Writer, _ Filter) error {
		close(inside)
		<-ctx.Done()
		return ctx.Err()
	}})
	failed := make(chan error)
	go func() { _, err := get(t, addr, "/api/v1/buffer/export"); failed <- err }()
	<-inside
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil {
		t.Error("a cut answer was taken for a whole one")
	}
}

func TestListenerHasTimeoutsAndBounds(t *testing.T) {
	s, err := Listen("127.0.0.1:0", &fake{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := s.http
	if h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes > 64<<10 {
		t.Errorf("a bound is missing: %+v", h)
	}
}

func TestHeaderThatIsTooLongIsRefused(t *testing.T) {
	addr, _ := serve(t, &fake{status: healthtest.Well()})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	go fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nX-Long: %s\r\n\r\n", addr, strings.Repeat("x", 64<<10))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestPortInUseSaysWhatToDo(t *testing.T) {
	addr, _ := serve(t, &fake{})
	if _, err := Listen(addr, &fake{}, Options{}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(health.English.Hint(err), "http_listen") {
		t.Errorf("got %v", err)
	}
}

func TestSlowClientsMakeNobodyWait(t *testing.T) {
	addr, _ := serve(t, &fake{status: healthtest.Well()})
	for range 3 * maxConns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /healthz HT") // and never more
	}
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), headerTimeout-time.Second)
		body, err := Get(ctx, addr, "/healthz", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		cancel()
	}
}

func TestTheOldestWaitingConnectionLeavesFirst(t *testing.T) {
	var c crowd
	var conns []net.Conn
	closed := make([]bool, maxConns+2)
	open := func(state http.ConnState) {
		i := len(conns)
		conn := closing{&closed[i]}
		conns = append(conns, &conn)
		c.changed(conns[i], state)
	}
	for i := range maxConns {
		if i == 1 {
			open(http.StateIdle)
		} else {
			open(http.StateActive)
		}
	}
	open(http.StateNew)
	if !closed[1] || len(c.open) != maxConns {
		t.Errorf("the one that waits is closed: %v, %d are open", closed[1], len(c.open))
	}
	c.changed(conns[1], http.StateActive) // the server reads its end
	if len(c.open) != maxConns || closed[maxConns] {
		t.Errorf("one that was closed puts another one out: %v", closed[maxConns])
	}
	if c.changed(conns[1], http.StateClosed); len(c.gone) > 0 {
		t.Error("it is never forgotten")
	}
	c.changed(conns[maxConns], http.StateActive)
	open(http.StateNew) // all others ask
	if !closed[0] || closed[maxConns+1] || len(c.open) != maxConns {
		t.Errorf("the oldest is closed: %v, the new one: %v, %d are open", closed[0], closed[maxConns+1], len(c.open))
	}
}

// closing is a connection that notes that it was closed.
type closing struct{ closed *bool }

func (c closing) Close() error                   { *c.closed = true; return nil }
func (closing) Read([]byte) (int, error)         { return 0, io.EOF }
func (closing) Write([]byte) (int, error)        { return 0, io.EOF }
func (closing) LocalAddr() net.Addr              { return nil }
func (closing) RemoteAddr() net.Addr             { return nil }
func (closing) SetDeadline(time.Time) error      { return nil }
func (closing) SetReadDeadline(time.Time) error  { return nil }
func (closing) SetWriteDeadline(time.Time) error { return nil }
