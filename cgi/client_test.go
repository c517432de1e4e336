package cgi

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

func TestNewRefusesASettingThatIsNoneAndShowsNoPassword(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no scheme":       {URL: "10.0.0.1"},
		"ftp":             {URL: "ftp://10.0.0.1"},
		"no host":         {URL: "https://"},
		"password in url": {URL: "https://api:" + "hunter2@10.0.0.1"},
		"unreadable":      {URL: "https://api:hunter2@10.0.0.1:port"},
		"query":           {URL: "https://10.0.0.1/?a=hunter2"},
		"login":           {URL: "https://10.0.0.1", Login: "sso"},
		"fingerprint":     {URL: "https://10.0.0.1", Fingerprints: []string{"AA:BB"}},
		"three pins":      {URL: "https://10.0.0.1", Fingerprints: make([]string, 3)},
		"tls version":     {URL: "https://10.0.0.1", TLSMin: tls.VersionTLS13 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(cfg)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("shows the password: %v", err)
			}
		})
	}
}

func TestActionURLKeepsThePathOfTheSetting(t *testing.T) {
	for in, want := range map[string]string{
		"https://10.0.0.1":               "https://10.0.0.1/action.cgi",
		"https://10.0.0.1/":              "https://10.0.0.1/action.cgi",
		"http://[fe80::1]:8080/room-1/":  "http://[fe80::1]:8080/room-1/action.cgi",
		"https://proxy/a%20b/action.cgi": "https://proxy/a%20b/action.cgi",
	} {
		if c := newClient(t, Config{URL: in}); c.origin+c.url.EscapedPath() != want {
			t.Errorf("%s gives %s, want %s", in, c.origin+c.url.EscapedPath(), want)
		}
	}
}

func TestPollGivesTheServedValuesExactly(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "content-share", Seed: 5}})
	r.clock.Add(80 * time.Second)
	st := r.poll(t)
	snap := r.Now()
	if st.Call != CallActive || st.SourceAPI != multiCallAction || st.Model != "HUAWEI IdeaHub" {
		t.Fatalf("call %v by %s, model %q", st.Call, st.SourceAPI, st.Model)
	}
	if st.JoinMinutes != Known(1) {
		t.Errorf("joined %v, want 1 minute", st.JoinMinutes)
	}
	checkStream(t, "audio send", st.AudioSend, snap.AudioSend)
	checkStream(t, "audio recv", st.AudioRecv, snap.AudioRecv)
	checkStream(t, "aux send", st.AuxSend, snap.AuxSend)
	checkStream(t, "aux recv", st.AuxRecv, snap.AuxRecv)
	for i := range snap.VideoSend {
		checkStream(t, "video send", st.VideoSend[i], snap.VideoSend[i])
	}
	for i := range snap.VideoRecv {
		checkStream(t, "video recv", st.VideoRecv[i], snap.VideoRecv[i])
	}
	if len(st.NotUnderstood) != 0 {
		t.Errorf("not understood: %v", st.NotUnderstood)
	}
	for _, s := range r.Log() {
		if s.Action == multiCallAction && string(st.Raw) != string(s.Body) {
			t.Errorf("raw is %s, served was %s", st.Raw, s.Body)
		}
	}
}

func checkStream(t *testing.T, name string, got Stream, want cgitest.Stream) {
	t.Helper()
	if got.Active != want.Active {
		t.Fatalf("%s: active %v, want %v", name, got.Active, want.Active)
	}
	if !want.Active {
		if got != (Stream{}) {
			t.Fatalf("%s: inactive stream has readings: %+v", name, got)
		}
		return
	}
	wantReadings := [5]Reading{
		Known(want.RateKbps), Known(want.LossPct), Known(float64(want.LossPackets)),
		Known(float64(want.JitterMs)), Known(float64(want.DelayMs)),
	}
	if r := [5]Reading{got.BitrateKbps, got.LossPct, got.LossPackets, got.JitterMs, got.DelayMs}; r != wantReadings {
		t.Errorf("%s: %v, served %v", name, r, wantReadings)
	}
	if want.FPS > 0 && got.FPS != Known(float64(want.FPS)) {
		t.Errorf("%s: %v fps, served %d", name, got.FPS, want.FPS)
	}
	if got.Name != want.Name || got.Codec != want.Codec {
		t.Errorf("%s: %q %q, served %q %q", name, got.Name, got.Codec, want.Name, want.Codec)
	}
}

func TestASessionIsReusedFromPollToPoll(t *testing.T) {
	r := newRig(t, rigOptions{})
	for range 20 {
		r.poll(t)
		r.clock.Add(5 * time.Second)
	}
	if r.logins() != 1 || r.Count("WEB_RequestSessionIDAPI") != 1 {
		t.Fatalf("%d logins in 20 polls", r.logins())
	}
}

func TestKeepAliveSendsTheMailboxRequestOnlyWhenTheSessionWouldExpire(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "idle"}})
	keep := func() {
		t.Helper()
		if err := r.client.KeepAlive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	keep()
	if r.Count("") != 0 {
		t.Fatal("sent something without a session")
	}
	r.poll(t)
	keep()
	if r.Count(mailboxAction) != 1 {
		t.Fatal("sent right after a poll")
	}
	for range 6 {
		r.clock.Add(45 * time.Second)
		keep()
	}
	r.poll(t)
	if r.Count(mailboxAction) != 8 || r.logins() != 1 {
		t.Fatalf("%d mailbox requests, %d logins; want 8 and 1", r.Count(mailboxAction), r.logins())
	}
}

func TestCloseLogsOutAndFreesTheSession(t *testing.T) {
	for _, family := range []string{"ideahub", "te20"} {
		t.Run(family, func(t *testing.T) {
			r := newRig(t, rigOptions{sim: cgitest.Options{Family: family}})
			r.poll(t)
			if r.OpenSessions() != 1 {
				t.Fatalf("%d sessions after login", r.OpenSessions())
			}
			if err := r.client.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r.OpenSessions() != 0 {
				t.Fatalf("%d sessions after logout", r.OpenSessions())
			}
			if err := r.client.Close(t.Context()); err != nil {
				t.Fatalf("second close: %v", err)
			}
		})
	}
}

func TestOnlyOneRequestIsUnderWayAtAnyTime(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	sim, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting"})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		sim.ServeHTTP(w, r)
		mu.Lock()
		now--
		mu.Unlock()
	}))
	defer srv.Close()
	c := newClient(t, Config{URL: srv.URL})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := c.Poll(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most != 1 {
		t.Fatalf("%d requests at once", most)
	}
}

func TestPollThatWaitsForItsTurnEndsWithItsContext(t *testing.T) {
	r := newRig(t, rigOptions{})
	if err := r.client.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer r.client.release()
	select {
	case r.client.sending <- struct{}{}:
		t.Fatal("two may send at a time")
	default:
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.client.Poll(ctx)
	wantError(t, err, KindError, "canceled")
}
