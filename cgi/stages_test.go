package cgi

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roomcall/cgi/cgitest"
)

// found is what a stage said.
type found struct {
	Name, Detail string
	Hint         Hint
	Facts        map[string]string
	OK, Warn     bool
	Fingerprint  string
}

// runStages goes the way as a caller does: in turn, up to the first stage that
// fails.
func runStages(t *testing.T, c *Client) []found {
	t.Helper()
	var list []found
	for _, s := range c.Stages() {
		detail, err := s.Run(t.Context())
		if detail == "" && err == nil {
			continue
		}
		f := found{Name: s.Name, Detail: detail, OK: err == nil}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("stage %s: %v is not an *Error", s.Name, err)
			}
			f.Hint, f.Facts, f.Fingerprint, f.Warn = e.Hint, e.Facts, e.Fingerprint, e.Kind == KindWarning
			f.OK = f.Warn
			if detail == "" {
				f.Detail = err.Error()
			}
		}
		list = append(list, f)
		if !f.OK {
			break
		}
	}
	return list
}

// stages returns the names, with a mark on those that warn or fail.
func stages(list []found) string {
	var out []string
	for _, s := range list {
		switch {
		case !s.OK:
			s.Name += " FAIL"
		case s.Warn:
			s.Name += " warn"
		}
		out = append(out, s.Name)
	}
	return strings.Join(out, ", ")
}

func last(list []found) found { return list[len(list)-1] }

func stage(t *testing.T, list []found, name string) found {
	t.Helper()
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no stage %s in %s", name, stages(list))
	return found{}
}

func TestStagesOfAWellEndpointAreAllShown(t *testing.T) {
	r := secureRig(t, "ideahub", cgitest.TLSOptions{Hosts: loopback}, trust)
	got := runStages(t, r.client)
	if stages(got) != "tcp, tls, login, poll, clock" {
		t.Fatalf("%s: %+v", stages(got), got)
	}
	tlsStage := stage(t, got, "tls").Detail
	for _, want := range []string{"TLS 1.3", "HUAWEI IdeaHub", " days)", r.id.Fingerprint} {
		if !strings.Contains(tlsStage, want) {
			t.Errorf("%q is not in %q", want, tlsStage)
		}
	}
	if d := stage(t, got, "login").Detail; !strings.Contains(d, "login api, model HUAWEI IdeaHub") || strings.Contains(d, testPassword) {
		t.Errorf("login: %s", d)
	}
	if d := stage(t, got, "poll").Detail; !strings.Contains(d, "in a call for 0 min: audio sent ") || !strings.Contains(d, "content sent nothing, received nothing") {
		t.Errorf("poll: %s", d)
	}
	if err := r.client.Close(t.Context()); err != nil || r.OpenSessions() != 0 {
		t.Fatalf("%v, %d sessions left", err, r.OpenSessions())
	}
}

func TestStagesResolveNames(t *testing.T) {
	r := newRig(t, rigOptions{})
	c := newClient(t, Config{URL: strings.Replace(r.server.URL, "127.0.0.1", "localhost", 1), Username: testUser, Password: testPassword})
	if got := runStages(t, c); stages(got) != "dns, tcp, login, poll, clock" {
		t.Fatalf("%s: %+v", stages(got), got)
	}
}

func TestStagesEndWithTheFirstStageThatFails(t *testing.T) {
	c := newClient(t, Config{URL: "https://" + closedAddress(t)})
	if got := runStages(t, c); stages(got) != "tcp FAIL" || last(got).Hint == "" {
		t.Fatalf("%+v", got)
	}
	r := newRig(t, rigOptions{sim: cgitest.Options{Scenario: "wrong-password"}})
	if got := runStages(t, r.client); stages(got) != "tcp, login FAIL" || !strings.Contains(last(got).Detail, "auth_failed") {
		t.Fatalf("%+v", got)
	}
	r = newRig(t, rigOptions{})
	r.SetFault(cgitest.Fault{Kind: cgitest.FaultGarbage, Action: multiCallAction})
	if got := runStages(t, r.client); stages(got) != "tcp, login, poll FAIL" || !strings.Contains(last(got).Detail, "bad_json") {
		t.Fatalf("%+v", got)
	}
}

func TestStagesSayWhichTLSSettingWorks(t *testing.T) {
	r := secureRig(t, "te20", cgitest.TLSOptions{}, func(id cgitest.Identity, cfg *Config) { cfg.Fingerprints = []string{id.Fingerprint} })
	got := runStages(t, r.client)
	want := map[string]string{"tls_min": "1.1", "legacy_ciphers": "true", "fingerprint": r.id.Fingerprint}
	if stages(got) != "tcp, tls FAIL" || last(got).Hint != hintWorksWith || !maps.Equal(last(got).Facts, want) {
		t.Fatalf("%+v", got)
	}
}

func TestStagesJudgeTheCertificate(t *testing.T) {
	soon := cgitest.TLSOptions{Hosts: loopback, NotAfter: time.Now().Add(10 * 24 * time.Hour)}
	for name, c := range map[string]struct {
		server cgitest.TLSOptions
		client func(cgitest.Identity, *Config)
		want   string
		hint   Hint
		fact   string // whose fact has to be there
	}{
		"trusted, ends soon": {soon, trust, "tcp, tls warn, login, poll, clock", hintEndsSoon, ""},
		"not checked": {cgitest.TLSOptions{}, func(_ cgitest.Identity, c *Config) { c.InsecureSkipVerify = true },
			"tcp, tls warn, login, poll, clock", hintNotChecked, "fingerprint"},
		"pinned": {cgitest.TLSOptions{}, func(id cgitest.Identity, c *Config) { c.Fingerprints = []string{id.Fingerprint} },
			"tcp, tls, login, poll, clock", "", ""},
		"another pin": {cgitest.TLSOptions{}, func(_ cgitest.Identity, c *Config) { c.Fingerprints = []string{strings.Repeat("00", 32)} },
			"tcp, tls FAIL", hintOtherPin, "fingerprint"},
		"self-signed": {cgitest.TLSOptions{Hosts: loopback}, func(cgitest.Identity, *Config) {}, "tcp, tls FAIL", hintUnknownCA, "fingerprint"},
		"wrong name":  {cgitest.TLSOptions{}, trust, "tcp, tls FAIL", hintOtherName, "common_name"},
	} {
		t.Run(name, func(t *testing.T) {
			r := secureRig(t, "ideahub", c.server, c.client)
			got := runStages(t, r.client)
			s := stage(t, got, "tls")
			if stages(got) != c.want || s.Hint != c.hint || c.fact != "" && s.Facts[c.fact] == "" {
				t.Fatalf("%s: %+v", stages(got), got)
			}
		})
	}
}

func TestStagesShowWhatWasNotUnderstood(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.SetFault(cgitest.Fault{
		Kind: cgitest.FaultRaw, Action: multiCallAction,
		Body: []byte(`{"success":1,"data":{"stAudioParamSend":{"auxAudioRate":"64 parsecs","valueAudioJitter":"5ms"}}}`),
	})
	got := runStages(t, r.client)
	if s := stage(t, got, "poll"); !s.OK || !s.Warn || s.Hint != hintNotUnderstood || !strings.Contains(s.Facts["values"], "64 parsecs") {
		t.Fatalf("%+v", s)
	}
}

func TestStagesCompareTheClocks(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ date, want, detail string }{
		{"", "tcp, login, poll", ""},
		{"yesterday", "tcp, login, poll", ""},
		{"Sun, 22 Nov 2026 10:00:01 GMT", "tcp, login, poll, clock", "shows the same time"},
		{"Sun, 22 Nov 2026 09:59:10 GMT", "tcp, login, poll, clock", "is 50s behind"},
		{"Sun, 22 Nov 2026 10:05:00 GMT", "tcp, login, poll, clock warn", "is 5m0s ahead"},
		{"Thu, 01 Jan 1970 00:10:00 GMT", "tcp, login, poll, clock warn", "behind"},
	} {
		sim, err := cgitest.New(cgitest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header()["Date"] = nil
			if tt.date != "" {
				w.Header().Set("Date", tt.date)
			}
			sim.ServeHTTP(w, req)
		}))
		c, err := New(Config{URL: srv.URL, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		got := runStages(t, c)
		if stages(got) != tt.want || !strings.Contains(last(got).Detail, tt.detail) || last(got).Warn && last(got).Hint == "" {
			t.Errorf("Date %q: %s: %+v", tt.date, stages(got), last(got))
		}
		if st, err := c.Poll(t.Context()); err != nil || st.ClockAhead.Known != strings.Contains(tt.want, "clock") {
			t.Errorf("Date %q: a poll says %+v, %v", tt.date, st.ClockAhead, err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		srv.Close()
	}
}
