package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roomcall/cgi"
)

// types lists the device's events as words, with the incident's number.
func types(t *testing.T, records []Record) string {
	var out []string
	for _, m := range of(t, records, "event") {
		w := m["type"].(string)
		if id, ok := m["incident_id"].(string); ok {
			w += id[strings.LastIndex(id, "."):]
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

func TestEndpointIncidentsComeInPairs(t *testing.T) {
	down := func(s float64) Poll { return failed(s, cgi.KindUnreachable, "timeout") }
	refused := func(s float64) Poll { return failed(s, cgi.KindRefused, "auth_failed") }
	for _, c := range []struct {
		name  string
		polls []Poll
		want  string
	}{
		{"one lost poll is nothing", []Poll{poll(0, idle()), down(15), poll(30, idle())}, ""},
		{"two are offline, one answer is online", []Poll{down(0), down(15), down(30), poll(45, idle()), poll(60, idle())},
			"endpoint.offline.i1 endpoint.online.i1"},
		{"a busy endpoint answers", []Poll{down(0), down(15), failed(30, cgi.KindBusy, "session_limit")},
			"endpoint.offline.i1 endpoint.online.i1"},
		{"refused at once, closed by a status", []Poll{refused(0), refused(15), failed(30, cgi.KindError, "bad_json"), poll(45, idle())},
			"endpoint.refused.i1 endpoint.online.i1"},
		{"refused, then offline, then both closed", []Poll{refused(0), down(15), down(30), refused(45), poll(60, idle())},
			"endpoint.refused.i1 endpoint.offline.i2 endpoint.online.i2 endpoint.online.i1"},
		{"again is another incident", []Poll{down(0), down(1), poll(2, idle()), down(3), down(4), poll(5, idle())},
			"endpoint.offline.i1 endpoint.online.i1 endpoint.offline.i2 endpoint.online.i2"},
	} {
		records, _ := script(t, reporter(t, nil), c.polls...)
		if got := types(t, records); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestEndpointEventsSayWhenItBeganAndWhenItEnded(t *testing.T) {
	down := func(s float64) Poll { return failed(s, cgi.KindUnreachable, "timeout") }
	refused := func(s float64) Poll { return failed(s, cgi.KindRefused, "auth_failed") }
	at := func(m map[string]any, key string) float64 {
		return (m[key].(float64) - float64(day.UnixMilli())) / 1000
	}
	records, _ := script(t, reporter(t, nil), down(5), down(20), down(35), refused(50), refused(65), failed(80, cgi.KindError, "bad_json"), poll(95, idle()))
	var got []string
	for _, m := range of(t, records, "event") {
		got = append(got, fmt.Sprintf("%v at %v since %v", m["type"], at(m, "ts_ms"), at(m, "since_ms")))
	}
	want := "[endpoint.offline at 20 since 5 endpoint.online at 50 since 5 endpoint.refused at 50 since 50 endpoint.online at 95 since 50]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// losses makes a call with one poll for each received loss; -1 = not said.
func losses(list ...float64) []Poll {
	polls := []Poll{poll(0, idle())}
	for i, l := range list {
		s := inCall(-1)
		s.VideoRecv[0].LossPct = cgi.Reading{Value: l, Known: l >= 0}
		polls = append(polls, poll(float64(5+5*i), s))
	}
	return polls
}

func TestQualityIncidentsHaveHysteresis(t *testing.T) {
	const open, shut = "quality.degraded.i1", " quality.recovered.i1"
	for _, c := range []struct {
		name string
		loss []float64
		want string
	}{
		{"two of four is nothing", []float64{9, 0, 9, 0, 9, 0, 0, 9}, ""},
		{"fair is nothing", []float64{2, 2, 2, 2, 2}, ""},
		{"three of four opens", []float64{9, 0, 9, 9}, open},
		{"two good do not close", []float64{9, 9, 9, 0, 0, 9, 0, 0, 2, 0, 0}, open},
		{"three good in a row close", []float64{9, 9, 9, 0, 0, 0}, open + shut},
		{"a missing reading counts neither way", []float64{9, -1, 9, -1, -1, 9, 0, -1, 0, -1, 0}, open + shut},
	} {
		records, _ := script(t, reporter(t, nil), losses(c.loss...)...)
		if got := strings.TrimPrefix(types(t, records), "call.started"); strings.TrimSpace(got) != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestQualityEventSaysMetricValueLimitAndSince(t *testing.T) {
	polls := append(losses(0, 9, 0, 9, 12), poll(60, idle()))
	records, _ := script(t, reporter(t, nil), polls...)
	bad := of(t, records, "event", "quality.degraded")[0]
	want := fmt.Sprint("video_recv_loss_pct 12 3 ", day.UnixMilli()+10_000)
	if got := fmt.Sprintf("%v %v %v %.0f", bad["metric"], bad["value"], bad["limit"], bad["since_ms"]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	good := of(t, records, "event", "quality.recovered")
	if len(good) != 1 || good[0]["incident_id"] != bad["incident_id"] || good[0]["reason"] != "call_ended" || good[0]["call_id"] != bad["call_id"] {
		t.Errorf("the end of the call closes the incident: %v", good)
	}
}

func TestEventStormIsHeldBackInPairsAndCounted(t *testing.T) {
	r := reporter(t, nil)
	var polls []Poll
	for i := range 40 { // an endpoint that flaps every 30 s for 20 minutes, and once more after an hour
		s := float64(30 * i)
		if i == 39 {
			s = 3700
		}
		polls = append(polls, failed(s, cgi.KindUnreachable, "timeout"), failed(s+10, cgi.KindUnreachable, "timeout"), poll(s+20, idle()))
	}
	records, _ := script(t, r, polls...)
	offline, online := of(t, records, "event", "endpoint.offline"), of(t, records, "event", "endpoint.online")
	if len(offline) != maxEndpointHour+1 || len(online) != len(offline) {
		t.Fatalf("%d offline, %d online", len(offline), len(online))
	}
	if got := offline[len(offline)-1]["suppressed"]; got != float64(39-maxEndpointHour) {
		t.Errorf("suppressed %v", got)
	}
}

// bursts makes calls with n troubles of an uplink, 30 s each: all metrics of what
// is sent are poor, then good.
func bursts(n int, delay bool) (polls []Poll) {
	for i := range 6 * n {
		st := documented()
		if i%6 < 3 {
			for _, s := range []*cgi.Stream{&st.AudioSend, &st.VideoSend[0]} {
				s.LossPct = cgi.Known(20)
				if delay {
					s.DelayMs, s.JitterMs = cgi.Known(400), cgi.Known(90)
				}
			}
		}
		polls = append(polls, poll(float64(5*i), st))
	}
	return polls
}

func TestTroubleOfManyMetricsAtOnceIsNoStorm(t *testing.T) {
	records, st := script(t, reporter(t, nil), bursts(8, true)...)
	bad, good := of(t, records, "event", "quality.degraded"), of(t, records, "event", "quality.recovered")
	if len(bad) != 8*6 || len(good) != len(bad) {
		t.Errorf("%d degraded and %d recovered, want %d of each", len(bad), len(good), 8*6)
	}
	if len(st.d.Rates) != 6 {
		t.Errorf("%d rates", len(st.d.Rates))
	}
	st, _ = reporter(t, nil).Poll(st, failed(8000, cgi.KindRefused, "auth_failed"))
	if len(st.d.Rates) != 1 {
		t.Errorf("%d rates are kept after their hour: %v", len(st.d.Rates), st.d.Rates)
	}
}

func TestOneMetricThatFlapsIsHeldBackByItself(t *testing.T) {
	polls := bursts(maxQualityHour+10, false) // of two metrics
	later := bursts(1, false)
	for i := range later {
		later[i].At = later[i].At.Add(2 * time.Hour)
	}
	records, _ := script(t, reporter(t, nil), append(polls, later...)...)
	for _, metric := range []string{"audio_send_loss_pct", "video_send_loss_pct"} {
		bad, good := 0, 0
		var last map[string]any
		for _, ev := range of(t, records, "event") {
			switch {
			case ev["metric"] != metric:
			case ev["type"] == "quality.degraded":
				bad, last = bad+1, ev
			default:
				good++
			}
		}
		if bad != maxQualityHour+1 || good != bad || last["suppressed"] != 10.0 {
			t.Errorf("%s: %d degraded, %d recovered, suppressed %v", metric, bad, good, last["suppressed"])
		}
	}
}

func TestAgentEventsHaveTheirKeys(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Kinds = nil })
	var st State
	var all []Record
	for _, ev := range []AgentEvent{
		{Type: "agent.started", Text: "roomcall 1.2.3"},
		{Type: "agent.gap", Device: "room-1", Kind: "sample", FirstSeq: 3, LastSeq: 9, Count: 7, Reason: "max_bytes"},
		{Type: "agent.quarantined", Device: "room-1", Kind: "call", FirstSeq: 4, Reason: "too_large"},
		{Type: "agent.store_damaged", Text: "17 records salvaged, 2 not"},
		{Type: "agent.store_reset"},
		{Type: "agent.undelivered", Since: day},
		{Type: "agent.clock_step", Value: cgi.Known(-3600.5)},
	} {
		var recs []Record
		st, recs = r.AgentEvent(st, day, ev)
		all = append(all, recs...)
	}
	golden(t, "agent.jsonl", lines(all))
}

func TestAgentEventStormIsHeldBackButHolesAreAlwaysTold(t *testing.T) {
	r := reporter(t, nil)
	var st State
	sent := map[string]int{}
	for range 200 {
		for _, kind := range []string{"agent.clock_step", "agent.gap"} {
			var recs []Record
			st, recs = r.AgentEvent(st, day, AgentEvent{Type: kind})
			sent[kind] += len(recs)
		}
	}
	if sent["agent.clock_step"] != maxAgentHour || sent["agent.gap"] != 200 {
		t.Errorf("%v", sent)
	}
}
