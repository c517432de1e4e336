package web

import (
	"net/http"
	"strings"
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
		"polled longer ago":          {func(s *health.Status) { s.Endpoints[0].LastPoll = noon.Add(-16 * time.Second) }, "endpoint room-1: last polled 16s ago, more than 3 intervals of 5s\n"},
		"not polled yet":             {func(s *health.Status) { s.Endpoints[0].LastPoll = time.Time{} }, "endpoint room-1: not polled yet\n"},
		"broker away":                {func(s *health.Status) { s.Broker.State, s.Broker.Error = "waiting", "connection refused" }, "broker is not connected: waiting: connection refused\n"},
		"store opening":              {func(s *health.Status) { s.Buffer.State = "opening" }, "store is opening\n"},
		"error of more than a line":  {func(s *health.Status) { s.Buffer.State, s.Buffer.Error = "failed", "a\nb" }, "store is failed: a b\n"},
		"nothing known":              {func(s *health.Status) { *s = health.Status{} }, "store is unknown\nbroker is not connected: unknown\n"},
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

func TestStepOfTheWallClockDoesNotMakeAnEndpointLate(t *testing.T) {
	now := time.Now()
	s := healthtest.Well()
	s.Endpoints[0].LastPoll = now.Add(-time.Second)
	if why := health.Unready(s, now); len(why) > 0 {
		t.Errorf("not ready: %v", why)
	}
}

func TestProblemsInPlainWordsTheWorstFirst(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*health.Status)
		want   string
		bad    bool
	}{
		"acknowledged, not delivered": {func(s *health.Status) { s.Broker.Proof = "failed" }, "acknowledges records but does not deliver", true},
		"no right to read echo":       {func(s *health.Status) { s.Broker.Proof = "unproven" }, "Delivery is not proven", false},
		"poll loop stuck":             {func(s *health.Status) { s.Endpoints[0].LastPoll = noon.Add(-time.Hour) }, "last polled 1h0m0s ago", true},
		"busy room":                   {func(s *health.Status) { s.Endpoints[0].State = "busy" }, "room-1 (Großer Saal) is busy", false},
		"poor call": {func(s *health.Status) {
			s.Endpoints[0].Grade, s.Endpoints[0].GradeReasons = "poor", "video_recv_loss,audio_send_delay"
		}, "poor call: video recv loss, audio send delay", false},
		"values not understood": {func(s *health.Status) { s.Endpoints[0].NotUnderstood = 2 }, "2 values could not be understood", false},
		"almost full":           {func(s *health.Status) { s.Buffer.DeliveredKept, s.Buffer.BytesOnDisk = 0, 250<<20 }, "almost full", false},
		"first connection":      {func(s *health.Status) { s.Broker.State = "connecting" }, "The broker is not connected (connecting", false},
		"store is opened":       {func(s *health.Status) { s.Buffer.State = "opening" }, "The store is opening", false},
		"old clock step":        {func(s *health.Status) { s.Clock.LastStep = noon.Add(-2 * time.Hour) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := healthtest.Well()
			c.change(&s)
			all := health.Problems(s, noon)
			if c.want == "" && len(all) == 0 {
				return
			}
			if len(all) != 1 || !strings.Contains(all[0].What, c.want) || all[0].Bad != c.bad {
				t.Errorf("got %+v, want %q", all, c.want)
			}
		})
	}
	for i, all := 1, health.Problems(healthtest.Ill(), noon); i < len(all); i++ {
		if all[i].Bad && !all[i-1].Bad {
			t.Errorf("a remark stands before %q", all[i].What)
		}
	}
}
