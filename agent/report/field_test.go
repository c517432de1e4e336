package report

import (
	"errors"
	"strings"
	"testing"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

func TestMOSIsAbsentWhenAnyOfItsThreeInputsIs(t *testing.T) {
	for missing := range 4 {
		var m payload.Media
		for i, k := range []int{payload.Loss, payload.Delay, payload.Jitter} {
			if i != missing {
				m.Values[k] = cgi.Known(1)
			}
		}
		if got := estimateMOS(&m).Known; got != (missing == 3) {
			t.Errorf("without input %d: known is %v", missing, got)
		}
	}
}

func TestWhatTheEndpointRefusedIsInTheSampleOfAGoodPollToo(t *testing.T) {
	quirks := []cgi.Quirk{{Key: "error.params", Text: `["7"]`}, {Key: "szName", Text: "(hidden)"}}
	for name, p := range map[string]Poll{
		"good":   {Status: cgi.Status{Call: cgi.CallActive, ErrID: 100666995, ErrCode: 33558532, NotUnderstood: quirks}},
		"failed": {Err: errors.Join(&cgi.Error{Reason: "api_error", ID: 100666995, Code: 33558532, NotUnderstood: quirks})},
	} {
		tt := reporter(t, nil)
		p.Device, p.At = "room-1", day
		_, out := tt.Poll(State{}, p)
		for _, want := range []string{`"err_id":100666995`, `"err_code":33558532`, `"text_unknown":"error.params = \"[\\\"7\\\"]\"; szName = \"(hidden)\""`} {
			if !strings.Contains(string(out.Sample), want) {
				t.Errorf("%s: no %s in %s", name, want, out.Sample)
			}
		}
	}
	if n := len(unknownText(make([]cgi.Quirk, 100))); n > maxUnknown+5 {
		t.Errorf("%d bytes", n)
	}
}
