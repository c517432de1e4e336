package cgi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

// pinned is how a test reaches a family over its own TLS.
func pinned(r cgitest.Options, login string, cfg Config) rigOptions {
	cfg.Login, cfg.TLSMin, cfg.LegacyCiphers, cfg.InsecureSkipVerify = login, 0x0301, true, true
	return rigOptions{sim: r, tls: &cgitest.TLSOptions{}, client: cfg}
}

func TestEveryFamilyLogsInOverItsOwnTLSAndIsRemembered(t *testing.T) {
	for _, c := range []struct{ family, login, worked, model string }{
		{"ideahub", "auto", "api", "HUAWEI IdeaHub"},
		{"ideahub", "api", "api", "HUAWEI IdeaHub"},
		{"ideahub", "web", "web", "HUAWEI IdeaHub"},
		{"box", "auto", "api", "HUAWEI Box 300"},
		{"te40", "auto", "web", "TE40"},
		{"te40", "web", "web", "TE40"},
		{"te20", "auto", "api", ""},
		{"te20", "web", "web", ""},
	} {
		t.Run(c.family+" "+c.login, func(t *testing.T) {
			r := newRig(t, pinned(cgitest.Options{Family: c.family}, c.login, Config{}))
			for range 3 {
				st := r.poll(t)
				if st.Call != CallActive || !st.hasMedia() || st.Model != c.model {
					t.Fatalf("call %v, media %v, model %q", st.Call, st.hasMedia(), st.Model)
				}
			}
			if r.logins() != 1 || r.client.family != c.worked {
				t.Fatalf("%d logins, remembered %q", r.logins(), r.client.family)
			}
			before := r.Count("WEB_RequestSessionIDAPI")
			r.ExpireSessions()
			r.poll(t)
			if c.worked == "web" && r.Count("WEB_RequestSessionIDAPI") != before {
				t.Error("the second login tried the api family again")
			}
		})
	}
}

func TestFamilyThatTheEndpointDoesNotHaveIsNotLoggedInTo(t *testing.T) {
	r := newRig(t, pinned(cgitest.Options{Family: "te40"}, "api", Config{}))
	e := r.pollError(t, KindBusy, "api_error")
	if e.ID != 3 || e.Hint != hintNoSessionGiven {
		t.Fatalf("id %d, hint %q", e.ID, e.Hint)
	}
	if r.logins() != 0 {
		t.Fatal("the password was sent")
	}
}

func TestNoLoginIsSentWithoutAUserOrWithLoginNone(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no user": {Login: "none"}, "login none": {Login: "none", Username: testUser, Password: testPassword},
	} {
		t.Run(name, func(t *testing.T) {
			sim, err := cgitest.New(cgitest.Options{Scenario: "quiet-meeting"})
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(sim)
			defer srv.Close()
			cfg.URL = srv.URL
			c := newClient(t, cfg)
			if st, err := c.Poll(t.Context()); err != nil || st.Call != CallActive {
				t.Fatalf("%v %v", st.Call, err)
			}
			if sim.Count("") != 2 {
				t.Fatalf("%d requests, want the two of a poll", sim.Count(""))
			}
		})
	}
}

func TestEndpointThatWantsALoginSaysSoWhenNoneIsSet(t *testing.T) {
	for _, expired := range []string{cgitest.ExpiredRefused, cgitest.Expired401, cgitest.Expired403} {
		t.Run(expired, func(t *testing.T) {
			r := newRig(t, rigOptions{sim: cgitest.Options{Expired: expired}, client: Config{Login: loginNone}})
			_, err := r.client.Poll(t.Context())
			e, ok := err.(*Error)
			if !ok || e.Kind != KindRefused || e.Hint != hintWantsLogin && e.Hint != hintWantsSession {
				t.Fatalf("%v, hint %q", err, e.Hint)
			}
		})
	}
}

func TestWrongPasswordIsTriedOnceThenLeftAloneForLongerAndLonger(t *testing.T) {
	for _, scenario := range []string{"wrong-password", "account-locked"} {
		t.Run(scenario, func(t *testing.T) {
			r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: scenario}})
			e := r.pollError(t, KindRefused, "auth_failed")
			if e.ID != 100666780 || e.Code != 16781315 {
				t.Fatalf("id %d, code %d", e.ID, e.Code)
			}
			tries := 1
			for _, wait := range []time.Duration{10, 20, 40, 80, 120, 120} {
				sent := r.Count("")
				r.clock.Add(wait*time.Minute - time.Second)
				r.pollError(t, KindRefused, "auth_failed")
				if r.Count("") != sent {
					t.Fatalf("the endpoint was touched within %d min", wait)
				}
				r.clock.Add(time.Second)
				r.pollError(t, KindRefused, "auth_failed")
				if tries++; r.logins() != tries {
					t.Fatalf("%d logins after %d min, want %d", r.logins(), wait, tries)
				}
			}
		})
	}
}

func TestFullSessionTableIsBusyAndLeftAlone(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "table-full"}})
	if e := r.pollError(t, KindBusy, "session_limit"); e.Code != 16781313 {
		t.Fatalf("code %d", e.Code)
	}
	r.pollError(t, KindBusy, "session_limit")
	if r.Count("WEB_RequestSessionIDAPI") != 1 || r.logins() != 0 {
		t.Fatalf("%d session requests, %d logins", r.Count("WEB_RequestSessionIDAPI"), r.logins())
	}
	if err := r.SetScenario("quiet-meeting"); err != nil {
		t.Fatal(err)
	}
	r.clock.Add(30 * time.Second)
	r.poll(t)
}

func TestPersonOnTheWebPageIsNotThrownOut(t *testing.T) {
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "web-user"}, client: Config{Login: "web"}})
	r.pollError(t, KindBusy, "web_user")
	r.pollError(t, KindBusy, "web_user")
	if r.Count("") != 1 {
		t.Fatalf("%d requests, want the one that asks who is there", r.Count(""))
	}
}

// scripted answers each action with a fixed reply and records what came.
type scripted struct {
	t       *testing.T
	replies map[string]string
	seen    []http.Header
	bodies  []string
	cookies map[string]string
	chunked []string // actions whose body came without a length
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action := r.URL.Query().Get("ActionID")
	b := make([]byte, 4096)
	n, _ := r.Body.Read(b)
	s.seen, s.bodies = append(s.seen, r.Header.Clone()), append(s.bodies, action+" "+string(b[:n]))
	if r.ContentLength < 0 || len(r.TransferEncoding) > 0 {
		s.chunked = append(s.chunked, action)
	}
	if c := s.cookies[action]; c != "" {
		w.Header().Set("Set-Cookie", c)
	}
	reply, ok := s.replies[action]
	if !ok {
		reply = `{"success":0,"error":{"id":100666995,"code":33558532,"params":[]}}`
	}
	_, _ = w.Write([]byte(reply))
}

func TestCookieWinsOverTheBodyAndChangeSessionReplacesIt(t *testing.T) {
	for name, c := range map[string]struct {
		cookie, body, changeCookie, changeBody, want string
	}{
		"cookie alone":            {"SessionID=cookie1; Path=/; Secure; HttpOnly", " ", "", "", "cookie1"},
		"cookie and body":         {"SessionID=cookie1", "body111", "", "", "cookie1"},
		"body alone":              {"", "body111", "", "", "body111"},
		"other case":              {"sessionid=cookie1", "", "", "", "cookie1"},
		"changed by cookie":       {"SessionID=cookie1", "", "SessionID=cookie2", "", "cookie2"},
		"changed by body":         {"SessionID=cookie1", "", "", "body222", "body222"},
		"change cookie over body": {"SessionID=cookie1", "", "SessionID=cookie2", "body222", "cookie2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scripted{t: t, cookies: map[string]string{"WEB_RequestSessionIDAPI": c.cookie, "WEB_ChangeSessionIDAPI": c.changeCookie}}
			s.replies = map[string]string{
				"WEB_RequestSessionIDAPI":   `{"success":1,"data":"{\"acSessionId\":\"` + c.body + `\"}"}`,
				"WEB_RequestCertificateAPI": `{"success":1,"data":""}`,
				mailboxAction:               `{"success":1,"data":{"state":{"callstate":0,"conftype":0,"isInConf":0}}}`,
				multiCallAction:             `{"success":1,"data":""}`,
			}
			if c.changeBody != "" {
				s.replies["WEB_ChangeSessionIDAPI"] = `{"success":1,"data":{"acSessionId":"` + c.changeBody + `"}}`
			} else if c.changeCookie != "" {
				s.replies["WEB_ChangeSessionIDAPI"] = `{"success":1,"data":""}`
			}
			srv := httptest.NewServer(s)
			defer srv.Close()
			cl := newClient(t, Config{URL: srv.URL, Username: testUser, Password: testPassword})
			if st, err := cl.Poll(t.Context()); err != nil || st.Call != CallIdle {
				t.Fatalf("%v %v", st.Call, err)
			}
			last := s.seen[len(s.seen)-1]
			if last.Get("Cookie") != "SessionID="+c.want || last.Get("Sessionid") != c.want {
				t.Errorf("sent Cookie %q, Sessionid %q", last.Get("Cookie"), last.Get("Sessionid"))
			}
			if got := s.bodies[1]; got != `WEB_RequestCertificateAPI {"password":"`+testPassword+`","user":"api"}` {
				t.Errorf("login body %s", got)
			}
			if got := s.bodies[0]; got != "WEB_RequestSessionIDAPI " {
				t.Errorf("session request has a body: %s", got)
			}
			if len(s.chunked) > 0 {
				t.Errorf("sent without a length: %v", s.chunked)
			}
		})
	}
}

func TestNeitherCookieNorBodyIsNoSession(t *testing.T) {
	s := &scripted{t: t, replies: map[string]string{"WEB_RequestSessionIDAPI": `{"success":1,"data":"{\"acSessionId\":\" \"}"}`}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	c := newClient(t, Config{URL: srv.URL, Username: testUser, Password: testPassword, Login: "api"})
	_, err := c.Poll(t.Context())
	wantError(t, err, KindRefused, "no_session")
}

func TestWebFamilySendsWhatABrowserSends(t *testing.T) {
	r := newRig(t, rigOptions{client: Config{Login: "web"}})
	r.poll(t)
	if r.Count("Web_RequestCertificate") != 1 || r.Count("WEB_ChangeSessionID") != 1 || r.Count("WEB_GetLoginInfo") != 1 {
		t.Fatal("the web family's actions were not used")
	}
}

func TestLoginRefusedInGeneralWordsIsPacedLikeAWrongPassword(t *testing.T) {
	s := &scripted{t: t, cookies: map[string]string{"WEB_RequestSessionIDAPI": "SessionID=one"}, replies: map[string]string{
		"WEB_RequestSessionIDAPI": `{"success":1,"data":""}`,
	}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	now := newClock()
	c := newClient(t, Config{URL: srv.URL, Username: testUser, Password: testPassword, Login: "api", Now: now.Now})
	for range 5 {
		_, err := c.Poll(t.Context())
		e := wantError(t, err, KindRefused, "api_error")
		if e.Facts["until"] == "" {
			t.Fatalf("hint %q, facts %v", e.Hint, e.Facts)
		}
		now.Add(119 * time.Second)
	}
	sent := 0
	for _, b := range s.bodies {
		if strings.HasPrefix(b, "WEB_RequestCertificateAPI") {
			sent++
		}
	}
	if sent != 1 {
		t.Fatalf("the password was sent %d times in 10 minutes", sent)
	}
}

func TestSwitchedOffHTTPInterfaceIsRefusedAndNotTriedByTheOtherFamily(t *testing.T) {
	s := &scripted{t: t, replies: map[string]string{"WEB_RequestSessionIDAPI": `{"success":0,"exception":{"id":4}}`}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	c := newClient(t, Config{URL: srv.URL, Username: testUser, Password: testPassword})
	_, err := c.Poll(t.Context())
	if e := wantError(t, err, KindRefused, "disabled"); e.Hint != hintDisabled || len(s.bodies) != 1 {
		t.Fatalf("hint %q after %d requests", e.Hint, len(s.bodies))
	}
}
