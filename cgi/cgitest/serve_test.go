package cgitest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange sends one action straight to the handler.
func exchange(e *Endpoint, action, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/action.cgi?ActionID="+action, strings.NewReader(body))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func endpoint(t *testing.T, o Options) *Endpoint {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestUnknownNamesAreRefusedWithTheKnownOnes(t *testing.T) {
	if _, err := New(Options{Scenario: "nope"}); err == nil || !strings.Contains(err.Error(), "quiet-meeting") {
		t.Errorf("scenario: %v", err)
	}
	if _, err := New(Options{Family: "nope"}); err == nil || !strings.Contains(err.Error(), "te40") {
		t.Errorf("family: %v", err)
	}
}

func TestDocumentedLoginGivesCookieTokenAndANewCookie(t *testing.T) {
	e := endpoint(t, Options{Scenario: "quiet-meeting", Username: "api", Password: "pw"})
	cookie := func(w *httptest.ResponseRecorder) string {
		c := w.Header().Get("Set-Cookie")
		if !strings.HasPrefix(c, "SessionID=") || !strings.HasSuffix(c, "; Path=/; Secure; HttpOnly") {
			t.Fatalf("cookie %q of %s", c, w.Body)
		}
		c, _, _ = strings.Cut(c, ";")
		return c
	}
	first := cookie(exchange(e, "WEB_RequestSessionIDAPI", "", nil))
	w := exchange(e, "WEB_RequestCertificateAPI", `{"user":"api","password":"pw"}`, map[string]string{"Cookie": first})
	_, token, _ := strings.Cut(w.Body.String(), `acCSRFToken\":\"`)
	token = token[:32]
	second := cookie(exchange(e, "WEB_ChangeSessionIDAPI", "", map[string]string{"Cookie": first}))
	if first == second {
		t.Fatal("the session id did not change")
	}
	body := `{"acCSRFToken":"` + token + `"}`
	for name, c := range map[string]struct {
		cookie, body string
		ok           bool
	}{
		"new cookie and token": {second, body, true},
		"old cookie":           {first, body, false},
		"no token":             {second, "", false},
		"no cookie":            {"", body, false},
	} {
		w := exchange(e, "WEB_GetMultiCallStatusInfoAPI", c.body, map[string]string{"Cookie": c.cookie})
		if got := strings.Contains(w.Body.String(), `"success":1`); got != c.ok {
			t.Errorf("%s: success %v: %s", name, got, w.Body)
		}
	}
	exchange(e, "WEB_LogoutAPI", body, map[string]string{"Cookie": second})
	if e.OpenSessions() != 0 {
		t.Errorf("%d sessions after logout", e.OpenSessions())
	}
}

func TestSessionWithoutKeepAliveExpiresAfterAMinute(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	e := endpoint(t, Options{Username: "api", Now: func() time.Time { return now }})
	exchange(e, "WEB_RequestSessionIDAPI", "", nil)
	now = now.Add(60 * time.Second)
	if e.OpenSessions() != 1 {
		t.Fatal("gone after 60 s")
	}
	now = now.Add(time.Second)
	if e.OpenSessions() != 0 {
		t.Fatal("still there after 61 s")
	}
}

func TestSessionTableHasALimit(t *testing.T) {
	e := endpoint(t, Options{Username: "api", Sessions: 2})
	for range 2 {
		exchange(e, "WEB_RequestSessionIDAPI", "", nil)
	}
	if w := exchange(e, "WEB_RequestSessionIDAPI", "", nil); !strings.Contains(w.Body.String(), "16781313") {
		t.Fatalf("third session: %s", w.Body)
	}
}

func TestFiveWrongPasswordsLockTheAccountForFiveMinutes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	e := endpoint(t, Options{Username: "api", Password: "pw", Now: func() time.Time { return now }, Expiry: time.Hour})
	c, _, _ := strings.Cut(exchange(e, "WEB_RequestSessionIDAPI", "", nil).Header().Get("Set-Cookie"), ";")
	login := func(pw string) bool {
		w := exchange(e, "WEB_RequestCertificateAPI", `{"user":"api","password":"`+pw+`"}`, map[string]string{"Cookie": c})
		return strings.Contains(w.Body.String(), `"success":1`)
	}
	for range 5 {
		if login("wrong") {
			t.Fatal("a wrong password was taken")
		}
	}
	if login("pw") {
		t.Fatal("not locked")
	}
	now = now.Add(5 * time.Minute)
	if !login("pw") {
		t.Fatal("still locked after 5 min")
	}
}

func TestLogHoldsWhatWasServedAndIsBounded(t *testing.T) {
	e := endpoint(t, Options{Scenario: "quiet-meeting", Keep: 3})
	var last string
	for range 5 {
		last = exchange(e, "WEB_GetMultiCallStatusInfoAPI?rmd=0.123", "", nil).Body.String()
	}
	log := e.Log()
	if len(log) != 3 || string(log[2].Body) != last || !log[2].Snapshot.AudioSend.Active {
		t.Fatalf("%d entries, newest %+v", len(log), log[len(log)-1])
	}
	if e.Count("WEB_GetMultiCallStatusInfoAPI") != 5 {
		t.Fatalf("counts %d", e.Count("WEB_GetMultiCallStatusInfoAPI"))
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	e := endpoint(t, Options{Scenario: "quiet-meeting"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, e, l, nil) }()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Post("http://"+l.Addr().String()+"/action.cgi?ActionID=WEB_GetMailboxDataAPI", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if !strings.Contains(string(body), `isInConf\":1`) {
		t.Fatalf("%s", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
