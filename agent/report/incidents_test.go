package report

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

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

func TestTroubleOfManyMetricsAtOnceIsOneIncident(t *testing.T) {
	records, st := script(t, reporter(t, nil), bursts(8, true)...)
	bad, good := of(t, records, "event", "quality.degraded"), of(t, records, "event", "quality.recovered")
	if len(bad) != 8 || len(good) != len(bad) {
		t.Errorf("%d degraded and %d recovered, want 8 of each", len(bad), len(good))
	}
	if m := bad[0]; m["metric"] != "video_send_loss_pct" || m["value"] != 20.0 || m["limit"] != 3.0 || m["scope"] != "uplink" || strings.Count(m["metrics"].(string), ",") != 5 {
		t.Errorf("%v", m)
	}
	st, _ = reporter(t, nil).Poll(st, failed(8000, cgi.KindRefused, "auth_failed"))
	if len(st.d.Rates) != 1 {
		t.Errorf("%d rates are kept after their hour: %v", len(st.d.Rates), st.d.Rates)
	}
}

func TestACallThatFlapsIsHeldBackInPairsAndCounted(t *testing.T) {
	polls := bursts(maxQualityHour+10, false)
	later := bursts(1, false)
	for i := range later {
		later[i].At = later[i].At.Add(2 * time.Hour)
	}
	records, _ := script(t, reporter(t, nil), append(polls, later...)...)
	bad, good := of(t, records, "event", "quality.degraded"), of(t, records, "event", "quality.recovered")
	if len(bad) != maxQualityHour+1 || len(good) != len(bad) || bad[len(bad)-1]["suppressed"] != 10.0 {
		t.Errorf("%d degraded, %d recovered, suppressed %v", len(bad), len(good), bad[len(bad)-1]["suppressed"])
	}
}

// uplink is a call with loss in what is sent: audio and video, and of the video received
// on so many of three streams.
func uplink(audio, video float64, received ...float64) cgi.Status {
	s := documented()
	s.AudioSend.LossPct, s.VideoSend[0].LossPct = cgi.Known(audio), cgi.Known(video)
	if len(received) > 0 {
		s.VideoRecv = nil
	}
	for _, l := range received {
		s.VideoRecv = append(s.VideoRecv, cgi.Stream{Active: true, LossPct: cgi.Known(l)})
	}
	return s
}

func TestAnIncidentThatGrowsIsToldAtMostOnceAMinute(t *testing.T) {
	var polls []Poll
	at := 0.0
	add := func(n int, st cgi.Status) {
		for range n {
			polls = append(polls, poll(at, st))
			at += 5
		}
	}
	add(4, uplink(0, 8))         // from 0: opens at 10
	add(8, uplink(12, 8))        // audio joins, told at 70
	add(8, uplink(12, 8))        // nothing new
	add(8, uplink(12, 8, 20, 0)) // and what is received: both
	add(12, uplink(12, 40))      // much worse
	add(4, uplink(0, 0))         // over
	records, _ := script(t, reporter(t, nil), polls...)
	var got []string
	var id any
	last := 0.0
	for _, m := range of(t, records, "event") {
		if !strings.HasPrefix(m["type"].(string), "quality.") {
			continue
		}
		if s := (m["ts_ms"].(float64) - float64(day.UnixMilli())) / 1000; m["type"] == "quality.changed" && s-last < 60 {
			t.Errorf("changed at %v after %v", s, last)
		} else {
			last = s
		}
		if id == nil {
			id = m["incident_id"]
		}
		if m["incident_id"] != id {
			t.Errorf("another incident: %v", m)
		}
		got = append(got, fmt.Sprint(m["type"], " ", m["scope"], " ", m["metric"], " ", m["value"]))
	}
	want := []string{
		"quality.degraded uplink video_send_loss_pct 8", "quality.changed uplink video_send_loss_pct 8",
		"quality.changed both video_recv_loss_pct 20", "quality.changed uplink video_send_loss_pct 40", "quality.recovered <nil> video_send_loss_pct 0",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAnIncidentThatGetsMuchWorseOrBetterIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		before int // incidents in this hour
		later  float64
		want   string
	}{
		{"a little worse", 0, 11, "quality.degraded quality.recovered"},
		{"twice as bad", 0, 16, "quality.degraded quality.changed 16 quality.recovered"},
		{"half as bad", 0, 4, "quality.degraded quality.changed 4 quality.recovered"},
		{"one that is held back says nothing at all", maxQualityHour, 16, ""},
	} {
		polls := bursts(c.before, false)
		at := float64(30 * c.before)
		for i := range 30 {
			loss := 8.0
			if i > 5 {
				loss = c.later
			}
			polls = append(polls, poll(at+float64(5*i), uplink(0, loss)))
		}
		for i := range 3 {
			polls = append(polls, poll(at+150+float64(5*i), documented()))
		}
		records, _ := script(t, reporter(t, nil), polls...)
		var got []string
		for _, m := range of(t, records, "event") {
			word := m["type"].(string)
			if word == "quality.changed" {
				word += fmt.Sprint(" ", m["value"])
			}
			if strings.HasPrefix(word, "quality.") && m["ts_ms"].(float64) >= float64(day.UnixMilli())+1000*at {
				got = append(got, word)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestOneBadSiteIsToldAsSuch(t *testing.T) {
	st := uplink(0, 0, 0, 20, 0)
	records, state := script(t, reporter(t, nil), poll(0, st), poll(5, st), poll(10, st), poll(15, st))
	m := of(t, records, "event", "quality.degraded")[0]
	if m["scope"] != "far_end" || !strings.Contains(m["text"].(string), "one site is poor, the others are fine") {
		t.Errorf("%v", m)
	}
	if s := of(t, records, "sample")[0]; s["grade_scope"] != "far_end" || s["grade_reasons"] != "video_recv_loss" {
		t.Errorf("%v", s)
	}
	// the same with sound: it is not the one site
	st.AudioRecv.LossPct = cgi.Known(30)
	_, out := reporter(t, nil).Poll(state, poll(20, st))
	if s := object(t, out.Sample); s["grade_scope"] != "downlink" {
		t.Errorf("%v", s["grade_scope"])
	}
}

func TestAnEndpointThatStaysBusyIsToldOnce(t *testing.T) {
	busy := func(s float64) Poll { return failed(s, cgi.KindBusy, "session_limit") }
	upgrading := func(s float64) Poll { return failed(s, cgi.KindUpgrading, "upgrading") }
	odd := func(s float64) Poll { return failed(s, cgi.KindError, "bad_json") }
	for _, c := range []struct {
		name  string
		polls []Poll
		want  string
	}{
		{"two minutes are nothing", []Poll{busy(0), busy(60), busy(120), poll(121, idle())}, ""},
		{"longer is one incident", []Poll{busy(0), busy(60), busy(121), upgrading(180), busy(300), poll(301, idle())}, "endpoint.busy.i1 endpoint.online.i1"},
		{"an upgrade with its restart", []Poll{upgrading(0), upgrading(130), failed(140, cgi.KindUnreachable, "timeout"), upgrading(150), poll(160, idle())},
			"endpoint.busy.i1 endpoint.online.i1"},
		{"a status between starts anew", []Poll{busy(0), busy(100), poll(110, idle()), busy(120), busy(230)}, ""},
		{"no status for another reason", []Poll{odd(0), odd(130), poll(140, idle())}, "endpoint.error.i1 endpoint.online.i1"},
	} {
		records, _ := script(t, reporter(t, nil), c.polls...)
		if got := types(t, records); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestTheTextOfAnEventIsBoundedAndHasTheErrorsOwnNextStep(t *testing.T) {
	p := failed(0, cgi.KindRefused, "moved")
	for n, want := range map[int]int{1: 0, 5000: maxSentence} {
		p.Err = &cgi.Error{Kind: cgi.KindRefused, Reason: "moved", Hint: "endpoint_moved", Facts: map[string]string{"to": strings.Repeat("会", n)}}
		records, _ := script(t, reporter(t, nil), p)
		text := of(t, records, "event", "endpoint.refused")[0]["text"].(string)
		if !strings.Contains(text, "The endpoint sends the request on to 会") || !utf8.ValidString(text) || len(text) > maxSentence || want > 0 && len(text) < want-3 {
			t.Errorf("%d bytes: %s", len(text), text)
		}
	}
}

func TestTheEndpointsClock(t *testing.T) {
	ahead := func(s, by float64) Poll {
		p := poll(s, idle())
		p.Status.ClockAhead = cgi.Known(by)
		return p
	}
	records, st := script(t, reporter(t, nil), ahead(0, -90), ahead(15, -90), ahead(30, 2), ahead(45, -90), ahead(60, -90), ahead(75, -3600), ahead(90, -45))
	if got := types(t, records); got != "endpoint.clock_off.i1" {
		t.Errorf("%s", got)
	}
	m := of(t, records, "event", "endpoint.clock_off")[0]
	if m["value"] != -3600.0 || !strings.Contains(m["text"].(string), "1 h behind") {
		t.Errorf("%v", m)
	}
	_, out := reporter(t, nil).Poll(st, poll(105, idle())) // without the header it stays
	if out.Standing.ClockAheadS != -3600 {
		t.Errorf("%+v", out.Standing)
	}
	_, out = reporter(t, nil).Poll(st, ahead(105, 30))
	if got := types(t, out.Records); got != "endpoint.online.i1" || out.Standing.ClockAheadS != 0 {
		t.Errorf("%s, %+v", got, out.Standing)
	}
}

func TestAgentEventsHaveTheirKeys(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Kinds = nil })
	var st State
	var all []Record
	for _, ev := range []AgentEvent{
		{Type: "agent.started", Reason: "boot"},
		{Type: "agent.gap", Device: "room-1", Kind: "sample", FirstSeq: 3, LastSeq: 9, Count: 7, Reason: "max_bytes"},
		{Type: "agent.quarantined", Device: "room-1", Kind: "call", FirstSeq: 4, Reason: "too_large"},
		{Type: "agent.store_damaged", Detail: "17 records salvaged, 2 not"},
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
