package web

import (
	"net/http"
	"testing"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
)

func TestReadyzNamesEveryReasonOnItsOwnLine(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*health.Status)
		want   string // "" = ready
	}{
		"all well":                   {func(*health.Status) {}, ""},
		"a poll that was refused":    {func(s *health.Status) { s.Endpoints[0].State, s.Endpoints[0].Err = "refused", "no" }, ""},
		"polled 3 intervals ago":     {func(s *health.Status) { s.Endpoints[0].LastPoll = noon.Add(-15 * time.Second) }, ""},
		"polled longer ago":          {func(s *health.Status) { s.Endpoints[0].LastPoll = noon.Add(-16 * time.Second) }, "Großer Saal (room-1) is not polled in time: the last poll was 16 s ago, more than 3 intervals of 5 s\n"},
		"not polled yet":             {func(s *health.Status) { s.Endpoints[0].LastPoll = time.Time{} }, "Großer Saal (room-1) has not been polled yet\n"},
		"broker away":                {func(s *health.Status) { s.Broker.State, s.Broker.Error = "waiting", "connection refused" }, "The broker is not connected, since 11:00; waiting in the store: 3 records: connection refused\n"},
		"store opening":              {func(s *health.Status) { s.Buffer.State = "opening" }, "The store is being opened\n"},
		"error of more than a line":  {func(s *health.Status) { s.Buffer.State, s.Buffer.Error = "failed", "a\nb" }, "The store accepts nothing: a b\n"},
		"nothing known":              {func(s *health.Status) { *s = health.Status{} }, "The store accepts nothing\nThe broker is not connected\n"},
		"no endpoint, all else well": {func(s *health.Status) { s.Endpoints = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := healthtest.Well()
			c.change(&s)
			w := ask(&fake{status: s}, "/readyz")
			code, body := http.StatusServiceUnavailable, c.want
			if c.want == "" {
				code, body = http.StatusOK, "ready\n"
			}
			if w.Code != code || w.Body.String() != body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, code, body)
			}
		})
	}
}

func TestHealthzAsksNothing(t *testing.T) {
	if w := ask(nil, "/healthz"); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}
