package cli

import (
	"strings"
	"testing"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
)

func TestNamesAreTakenOutOfABundle(t *testing.T) {
	for in, want := range map[string]string{
		`{"room":"Board room","device":"hub"}`:                          `{"room":"[redacted]","device":"hub"}`,
		`room = "Board \"A\" room"`:                                     `room = "[redacted]"`,
		`{\"szName\":\"site1\",\"videoRate\":\"1k\"}`:                   `{\"szName\":"[redacted]",\"videoRate\":\"1k\"}`,
		`{\\\"szName\\\":\\\"site1\\\",\\\"a\\\":1}`:                    `{\\\"szName\\\":"[redacted]",\\\"a\\\":1}`,
		`username = "api"`:                                              `username = "[redacted]"`,
		`level=INFO room=A1 device=hub`:                                 `level=INFO room="[redacted]" device=hub`,
		`"peer":"HQ Beijing","loss_pct":0`:                              `"peer":"[redacted]","loss_pct":0`,
		`{"szname" : "会议室","videoRate":"--"}`:                           `{"szname" : "[redacted]","videoRate":"--"}`,
		`"audio_recv_codec":"AAC-LD MONO","room_count":3`:               `"audio_recv_codec":"AAC-LD MONO","room_count":3`,
		`{"sitename":"","state":"idle"}`:                                `{"sitename":"[redacted]","state":"idle"}`,
		`a.toml:3: endpoint[1].room (hub): found "A\nB"; allowed: text`: `a.toml:3: endpoint[1].room (hub): "[redacted]"; allowed: text`,
		`a.toml:3: [agent] site: found "A \"B\""...; allowed: text`:     `a.toml:3: [agent] site: "[redacted]"...; allowed: text`,
	} {
		if got := string(redact([]byte(in))); got != want {
			t.Errorf("redact(%s)\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestNamesWithinSentencesAreTakenOutOfABundle(t *testing.T) {
	cfg := &config.Config{Endpoints: []config.Endpoint{
		{Device: "hub", Room: `Ann's "Q&A" room`, Username: "api"}, {Device: "box", Room: "A", Username: "clerk"}, {Device: "bare"},
	}}
	for in, want := range map[string]string{
		`FAIL  Ann's "Q&A" room (hub) does not answer`:            `FAIL  [redacted] (hub) does not answer`,
		`"what": "Ann's \"Q&A\" room (hub) does not answer"`:      `"what": "[redacted] (hub) does not answer"`,
		`"what": "Ann's \"Q\u0026A\" room (hub) does not answer"`: `"what": "[redacted] (hub) does not answer"`,
		`A (box) is A-ok`:                   `[redacted] (box) is A-ok`,
		`user api, login api, model Hub`:    `user [redacted], login api, model Hub`,
		`user clerk, login web`:             `user [redacted], login web`,
		`no room () and no user , is there`: `no room () and no user , is there`,
	} {
		if got := namesInSentences(cfg).Replace(in); got != want {
			t.Errorf("for %s\n got %s\nwant %s", in, got, want)
		}
	}
	s := healthtest.Well()
	s.Endpoints = []health.Endpoint{{Device: "hub", Room: cfg.Endpoints[0].Room}}
	for _, state := range []string{"unreachable", "refused", "error", "busy", "upgrading", "in_call"} {
		e := &s.Endpoints[0]
		e.State, e.InCall, e.CallGrade, e.LastPoll, e.IntervalS = state, state == "in_call", "poor", healthtest.Noon, 5
		e.ClockAheadS, e.NotUnderstood, e.Hint = 90, 1, "look"
		s.Problems = health.English.Problems(s, healthtest.Noon)
		b, err := s.JSON()
		got := namesInSentences(cfg).Replace(string(redact(b)))
		if err != nil || len(s.Problems) == 0 || strings.Contains(got, "Ann") {
			t.Errorf("%v; the status of a room that is %s has its name:\n%s", err, state, got)
		}
	}
	if got := namesInSentences(nil).Replace("user api, login api"); got != "user api, login api" {
		t.Errorf("without a config: %s", got)
	}
}
