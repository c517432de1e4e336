package cgi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

// kept is an owner that remembers a login pause as the agent does: as JSON.
type kept struct {
	text  []byte
	calls int
}

func (k *kept) set(p LoginPause) {
	k.calls++
	k.text, _ = json.Marshal(p)
}

func (k *kept) pause(t *testing.T) (p LoginPause) {
	t.Helper()
	if err := json.Unmarshal(k.text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRefusedPasswordIsLeftAloneAfterARestart(t *testing.T) {
	var k kept
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "wrong-password"}, client: Config{OnLoginPause: k.set}})
	r.pollError(t, KindRefused, "auth_failed")
	for _, secret := range []string{testUser, testPassword} {
		if strings.Contains(string(k.text), secret) {
			t.Errorf("what is kept shows %q: %s", secret, k.text)
		}
	}
	first := k.pause(t) // later logins are remembered too
	again := func(change func(*Config)) *Client {
		cfg := r.client.cfg
		cfg.LoginPause = first
		if change != nil {
			change(&cfg)
		}
		return newClient(t, cfg)
	}
	c := again(nil)
	sent := r.Count("")
	_, err := c.Poll(t.Context())
	e := wantError(t, err, KindRefused, "auth_failed")
	if e.ID != 100666780 || e.Code != 16781315 || e.Hint != hintRefusedBefore || e.Facts["until"] == "" {
		t.Errorf("%+v", e)
	}
	if r.Count("") != sent {
		t.Error("the endpoint was touched after a restart")
	}
	for name, change := range map[string]func(*Config){
		"another password": func(c *Config) { c.Password += "x" },
		"another user":     func(c *Config) { c.Username += "x" },
		"the clock was wrong then, or is now": func(c *Config) {
			c.LoginPause.Until = c.LoginPause.Until.Add(24 * time.Hour)
		},
		"nothing is kept": func(c *Config) { c.LoginPause = LoginPause{} },
	} {
		sent := r.Count("")
		if _, err := again(change).Poll(t.Context()); err == nil || r.Count("") == sent {
			t.Errorf("%s: no login was tried (%v)", name, err)
		}
	}
	r.clock.Add(11 * time.Minute)
	sent = r.Count("")
	if _, err := again(nil).Poll(t.Context()); err == nil || r.Count("") == sent {
		t.Errorf("no login was tried after the pause (%v)", err)
	}
}

func TestPauseGrowsOverRestartsAndALoginThatWorksEndsIt(t *testing.T) {
	var k kept
	r := newRig(t, rigOptions{client: Config{OnLoginPause: k.set, Username: testUser, Password: "wrong"}})
	var waits []time.Duration
	for range 3 {
		r.pollError(t, KindRefused, "auth_failed")
		p := k.pause(t)
		waits = append(waits, p.Until.Sub(r.clock.Now()).Round(10*time.Minute))
		cfg := r.client.cfg
		cfg.LoginPause = p
		r.clock.Add(p.Until.Sub(r.clock.Now()))
		r.client = newClient(t, cfg)
	}
	if want := []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute}; !slices.Equal(waits, want) {
		t.Errorf("pauses are %v, want %v", waits, want)
	}
	cfg := r.client.cfg
	cfg.LoginPause, cfg.Password = k.pause(t), testPassword
	c := newClient(t, cfg)
	if _, err := c.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := k.pause(t); len(p.Account) != 0 {
		t.Errorf("still kept after a login that works: %s", k.text)
	}
	calls := k.calls
	if _, err := c.Poll(t.Context()); err != nil || k.calls != calls {
		t.Errorf("told %d times more (%v)", k.calls-calls, err)
	}
}

// TestRefusalInGeneralWordsKeepsThemOverARestart: some firmware says "failed" or
// HTTP 403 to a wrong password. Nobody said "auth_failed", and the pause grows on.
func TestRefusalInGeneralWordsKeepsThemOverARestart(t *testing.T) {
	for reason, refuse := range map[string]func(http.ResponseWriter){
		"api_error": func(w http.ResponseWriter) {
			w.Write([]byte(`{"success":0,"error":{"id":100666000,"code":7}}`))
		},
		"http_status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) },
	} {
		sent := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("ActionID") == "WEB_RequestCertificateAPI" {
				sent++
				refuse(w)
				return
			}
			w.Header().Set("Set-Cookie", "SessionID=one")
			w.Write([]byte(`{"success":1,"data":""}`))
		}))
		var k kept
		now := newClock()
		cfg := Config{URL: srv.URL, Username: testUser, Password: testPassword, Login: "api", Now: now.Now, OnLoginPause: k.set}
		_, err := newClient(t, cfg).Poll(t.Context())
		first := wantError(t, err, KindRefused, reason)
		cfg.LoginPause = k.pause(t)
		c := newClient(t, cfg)
		_, err = c.Poll(t.Context())
		e := wantError(t, err, KindRefused, reason)
		if sent != 1 || e.ID != first.ID || e.Code != first.Code || e.HTTPStatus != first.HTTPStatus {
			t.Errorf("%s: %d logins; after a restart %+v, before it %+v", reason, sent, e, first)
		}
		now.Add(cfg.LoginPause.Until.Sub(now.Now()))
		_, err = c.Poll(t.Context())
		wantError(t, err, KindRefused, reason)
		if wait := k.pause(t).Until.Sub(now.Now()); wait < 20*time.Minute {
			t.Errorf("%s: the second pause is %v", reason, wait)
		}
		srv.Close()
	}
}
