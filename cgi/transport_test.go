package cgi

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

func TestEachFailureOfTheTransportHasItsReason(t *testing.T) {
	for _, c := range []struct {
		fault  cgitest.Fault
		kind   Kind
		reason string
		status int
	}{
		{cgitest.Fault{Kind: cgitest.FaultCutBody}, KindError, "cut_body", 200},
		{cgitest.Fault{Kind: cgitest.FaultHugeBody}, KindError, "too_large", 200},
		{cgitest.Fault{Kind: cgitest.FaultStatus, Status: 500}, KindError, "http_status", 500},
		{cgitest.Fault{Kind: cgitest.FaultStatus, Status: 404}, KindError, "http_status", 404},
		{cgitest.Fault{Kind: cgitest.FaultStatus, Status: 405}, KindError, "http_status", 405},
		{cgitest.Fault{Kind: cgitest.FaultStatus, Status: 418}, KindError, "http_status", 418},
		{cgitest.Fault{Kind: cgitest.FaultBadHeader}, KindError, "bad_header", 0},
		{cgitest.Fault{Kind: cgitest.FaultGarbage}, KindError, "bad_json", 200},
		{cgitest.Fault{Kind: cgitest.FaultReset}, KindUnreachable, "reset", 0},
		{cgitest.Fault{Kind: cgitest.FaultRaw}, KindError, "no_data", 200},
	} {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			r := newRig(t, rigOptions{})
			r.poll(t)
			r.SetFault(c.fault)
			e := r.pollError(t, c.kind, c.reason)
			if e.HTTPStatus != c.status || e.Action != multiCallAction || e.URL != r.server.URL {
				t.Fatalf("status %d, action %s, url %s", e.HTTPStatus, e.Action, e.URL)
			}
			if c.reason == "http_status" && e.Hint == "" {
				t.Fatal("says nothing of what to do")
			}
			r.SetFault(cgitest.Fault{})
			r.poll(t)
			if r.logins() != 1 {
				t.Fatalf("%d logins", r.logins())
			}
		})
	}
}

func TestHangIsBoundedByTheTimeout(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.poll(t)
	r.client.http.Timeout = 100 * time.Millisecond // from here on, as the login is not under test
	for _, kind := range []cgitest.FaultKind{cgitest.FaultHang, cgitest.FaultSlow} {
		r.SetFault(cgitest.Fault{Kind: kind})
		e := r.pollError(t, KindUnreachable, "timeout")
		if e.Hint != hintNoAnswer {
			t.Fatalf("%s: hint %q", kind, e.Hint)
		}
	}
}

// The setting itself is at work here, and nothing but it ends the request.
func TestTimeoutOfTheSettingsBoundsARequest(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client is gone
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := newClient(t, Config{URL: srv.URL, Timeout: 50 * time.Millisecond}).Poll(ctx)
	wantError(t, err, KindUnreachable, "timeout")
	if ctx.Err() != nil {
		t.Error("the request was not ended by its timeout")
	}
	if d := newClient(t, Config{URL: srv.URL}).http.Timeout; d != defaultTimeout {
		t.Errorf("%v without a setting", d)
	}
}

func TestHeaderOf100KiBIsRefused(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("a", 100<<10))
	}))
	defer srv.Close()
	_, err := newClient(t, Config{URL: srv.URL}).Poll(t.Context())
	wantError(t, err, KindError, "too_large")
}

func TestHangEndsWithTheContextToo(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.poll(t)
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultHang})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		for r.Count(multiCallAction) < 2 && ctx.Err() == nil {
			runtime.Gosched()
		}
	}()
	_, err := r.client.Poll(ctx)
	wantError(t, err, KindError, "canceled")
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.client.Poll(ctx)
	wantError(t, err, KindUnreachable, "timeout")
}

func TestBodyOf64MiBTakesBoundedMemory(t *testing.T) {
	// Without an announced length, so that the limit itself is at work.
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 64<<10)
		for range cgitest.HugeBody / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	c := newClient(t, Config{URL: srv.URL})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := c.Poll(t.Context())
	runtime.ReadMemStats(&after)
	if e := wantError(t, err, KindError, "too_large"); e.Hint != hintTooLarge {
		t.Errorf("hint %q", e.Hint)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Fatalf("%d MiB were allocated", grown>>20)
	}
}

func TestResetConnectionIsTriedOnceMoreForReadingAndNeverForTheLogin(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultReset, Times: 1, Action: "WEB_RequestCertificateAPI"})
	r.pollError(t, KindUnreachable, "reset")
	if r.logins() != 1 {
		t.Fatalf("the password was sent %d times", r.logins())
	}
	r.clock.Add(time.Minute)
	r.poll(t)
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultReset, Times: 1})
	r.poll(t)
	if r.Count(multiCallAction) != 3 {
		t.Fatalf("%d status requests, want 1 + 1 reset + 1", r.Count(multiCallAction))
	}
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultReset})
	r.pollError(t, KindUnreachable, "reset")
	if r.Count(multiCallAction) != 5 {
		t.Fatalf("%d status requests, want two more", r.Count(multiCallAction))
	}
}

func TestRedirectIsNotFollowedWithCredentials(t *testing.T) {
	var visits atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer other.Close()
	r := newRig(t, rigOptions{})
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultRedirect, Location: other.URL + "/steal?x=1"})
	e := r.pollError(t, KindError, "http_status")
	if e.HTTPStatus != http.StatusFound || e.Hint != hintMoved || !strings.Contains(e.Facts["to"], other.URL) || strings.Contains(e.Facts["to"], "steal") {
		t.Fatalf("status %d, hint %q", e.HTTPStatus, e.Hint)
	}
	if visits.Load() != 0 {
		t.Fatal("the redirect was followed")
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	r := newRig(t, rigOptions{})
	if tr := r.client.http.Transport.(*http.Transport); tr.Proxy != nil {
		t.Fatal("the transport has a proxy")
	}
	r.poll(t)
}

func TestRetryAfterIsNotObeyed(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.poll(t)
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultStatus, Status: 503, Header: http.Header{"Retry-After": {"3600"}}})
	r.pollError(t, KindError, "http_status")
	if d := shortBackoff(0, 0, 9, &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"3600"}}}); d > time.Second {
		t.Fatalf("waits %v", d)
	}
}

func TestNothingListensIsRefusedAndNeedsNoPause(t *testing.T) {
	c := newClient(t, Config{URL: "http://" + closedAddress(t), Username: testUser, Password: testPassword})
	for range 2 {
		_, err := c.Poll(t.Context())
		e := wantError(t, err, KindUnreachable, "connection_refused")
		if e.Hint == "" || c.pause.err != nil {
			t.Fatalf("hint %q, pause %v", e.Hint, c.pause.err)
		}
	}
}

func TestUnknownNameIsDNS(t *testing.T) {
	c := newClient(t, Config{URL: "http://no-such-endpoint.invalid"})
	err := c.fail("X", 0, &net.DNSError{Err: "no such host", Name: "no-such-endpoint.invalid", IsNotFound: true})
	wantError(t, err, KindUnreachable, "dns")
}

func TestNoErrorOrLogLineHoldsASecret(t *testing.T) {
	var log strings.Builder
	r := newRig(t, rigOptions{client: Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}})
	r.poll(t)
	secrets := []string{testPassword, r.client.session.id, r.client.session.token}
	check := func(what, text string) {
		t.Helper()
		for _, s := range secrets {
			if s == "" || strings.Contains(text, s) {
				t.Errorf("%s holds a secret: %s", what, text)
			}
		}
	}
	for _, kind := range cgitest.FaultKinds() {
		if kind == cgitest.FaultHang || kind == cgitest.FaultSlow {
			continue
		}
		// An endpoint that repeats what it was sent.
		echo := []byte(`{"success":0,"code":1,"msg":"wrong: ` + strings.Join(secrets, " ") + `"}`)
		r.SetFault(cgitest.Fault{Kind: kind, Body: echo, Location: "http://127.0.0.1/?" + secrets[1]})
		if _, err := r.client.Poll(t.Context()); err == nil {
			t.Errorf("%s: no error", kind)
		} else {
			check(string(kind), err.Error()+fmt.Sprint(err.(*Error).Facts))
		}
		r.SetFault(cgitest.Fault{})
		r.clock.Add(3 * time.Hour)
		r.poll(t)
		secrets = append(secrets, r.client.session.id, r.client.session.token)
	}
	check("log", log.String())
}

func TestEndpointThatRepeatsThePasswordDoesNotGetItIntoTheError(t *testing.T) {
	srv := httptest.NewServer(&scripted{t: t, cookies: map[string]string{"WEB_RequestSessionIDAPI": "SessionID=0123456789"}, replies: map[string]string{
		"WEB_RequestSessionIDAPI":   `{"success":1,"data":""}`,
		"WEB_RequestCertificateAPI": `{"success":0,"code":1,"msg":"wrong: ` + testPassword + ` in 0123456789"}`,
	}})
	defer srv.Close()
	_, err := newClient(t, Config{URL: srv.URL, Username: testUser, Password: testPassword, Login: "api"}).Poll(t.Context())
	if e := wantError(t, err, KindRefused, "api_error"); !strings.HasSuffix(e.Error(), "wrong: *** in ***") {
		t.Fatal(e)
	}
}

func TestBadHeaderWithTheSessionInItIsNotShown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nSet-Cookie SessionID=topsecret\r\n\r\n"))
		_ = conn.Close()
	}()
	c := newClient(t, Config{URL: "http://" + l.Addr().String()})
	_, err = c.Poll(t.Context())
	e := wantError(t, err, KindError, "bad_header")
	if strings.Contains(e.Error(), "topsecret") {
		t.Fatal(e)
	}
	_ = l.Close()
	<-done
}

func TestPlainHTTPToATLSPortSaysWhichSchemeToSet(t *testing.T) {
	r := newRig(t, rigOptions{tls: &cgitest.TLSOptions{}})
	c := newClient(t, Config{URL: strings.Replace(r.server.URL, "https", "http", 1)})
	_, err := c.Poll(t.Context())
	if e := err.(*Error); e.Kind != KindError || e.Hint != hintBadRequest {
		t.Fatalf("%v, hint %q", e, e.Hint)
	}
}

func TestStatus202IsAnAnswer(t *testing.T) {
	sim, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting"})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		sim.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = quietLog() // the second WriteHeader is complained about
	srv.Start()
	defer srv.Close()
	c := newClient(t, Config{URL: srv.URL})
	if _, err := c.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTimeoutHintTellsASilentAddressFromAHangingEndpoint(t *testing.T) {
	c := newClient(t, Config{URL: "http://127.0.0.1:1"})
	dial := &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	if e := c.fail("", 0, dial); e.Reason != "timeout" || e.Hint != hintSilent {
		t.Errorf("dial: %s, %q", e.Reason, e.Hint)
	}
	if e := c.fail("", 0, context.DeadlineExceeded); e.Reason != "timeout" || e.Hint != hintNoAnswer {
		t.Errorf("answer: %s, %q", e.Reason, e.Hint)
	}
}

// BenchmarkPoll is one poll (two requests) of a simulated endpoint over HTTP
// on loopback; the simulator's work is in it.
func BenchmarkPoll(b *testing.B) {
	sim, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting"})
	if err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	defer srv.Close()
	c, err := New(Config{URL: srv.URL})
	if err != nil {
		b.Fatal(err)
	}
	defer c.http.CloseIdleConnections()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Poll(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
