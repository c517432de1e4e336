package report

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"roomcall/agent/host"
	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// inCall is the documented call with a join timer; -1 = not said.
func inCall(minutes float64) cgi.Status {
	s := documented()
	s.JoinMinutes = cgi.Reading{Value: minutes, Known: minutes >= 0}
	return s
}

func contradicting() cgi.Status {
	s := documented()
	s.Call = cgi.CallUnknown
	return s
}

// callOf writes a call record as "source start-end duration samples".
func callOf(m map[string]any) string {
	at := func(k string) float64 { return (m[k].(float64) - float64(day.UnixMilli())) / 1000 }
	return fmt.Sprintf("%s %g-%g %gs %g", m["start_source"], at("start_ms"), at("end_ms"), m["duration_s"], m["samples"])
}

// callCases are polls and the calls that they show, see callOf.
var callCases = []struct {
	name  string
	polls []Poll
	want  []string
	open  bool
}{
	{"start and end observed",
		[]Poll{poll(0, idle()), poll(15, inCall(0)), poll(20, inCall(0)), poll(25, idle())},
		[]string{"observed 15-25 10s 2"}, false},
	{"running at start-up: the join timer gives the start",
		[]Poll{poll(0, inCall(10)), poll(5, inCall(10)), poll(10, idle())},
		[]string{"join_timer -600-10 610s 2"}, false},
	{"running at start-up without a timer",
		[]Poll{poll(0, inCall(-1)), poll(5, inCall(-1)), poll(10, idle())},
		[]string{"observed 0-10 10s 2"}, false},
	{"long gap before the call: the timer, not before the last idle poll",
		[]Poll{poll(0, idle()), poll(600, inCall(20)), poll(605, idle())},
		[]string{"join_timer 0-605 605s 1"}, false},
	{"unreachable in mid-call, same call afterwards",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), gone(10), gone(130), poll(190, inCall(3)), poll(195, idle())},
		[]string{"observed 5-195 190s 2"}, false},
	{"reboot in mid-call: the end is the last sample",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(10, inCall(0)), gone(15), gone(20), poll(90, idle())},
		[]string{"observed 5-10 5s 2"}, false},
	{"reboot and a new call: the timer fell",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(300, inCall(4)), gone(305), poll(400, inCall(0)), poll(405, idle())},
		[]string{"observed 5-300 295s 2", "join_timer 400-405 5s 1"}, false},
	{"another call in a long silence: the timer rose too little",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(70, inCall(1)), poll(7200, inCall(5)), poll(7205, idle())},
		[]string{"observed 5-70 65s 2", "join_timer 6900-7205 305s 1"}, false},
	{"a timer that stands still means nothing",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(300, inCall(0)), poll(600, inCall(0)), poll(605, idle())},
		[]string{"observed 5-605 600s 3"}, false},
	{"nor does it over a silence",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), gone(300), poll(600, inCall(0)), poll(605, idle())},
		[]string{"observed 5-605 600s 2"}, false},
	{"another call within a minute starts after the one before",
		[]Poll{poll(0, inCall(5)), poll(30, inCall(1)), poll(35, idle())},
		[]string{"join_timer -300-0 300s 1", "join_timer 0-35 35s 1"}, false},
	{"a contradiction neither starts nor ends",
		[]Poll{poll(0, idle()), poll(5, contradicting()), poll(10, inCall(0)), poll(15, contradicting()), poll(20, inCall(0)), poll(25, idle())},
		[]string{"observed 10-25 15s 2"}, false},
	{"busy, refused and upgrading neither start nor end",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), failed(10, cgi.KindBusy, "x"), failed(15, cgi.KindRefused, "x"),
			failed(20, cgi.KindUpgrading, "x"), poll(25, inCall(0)), poll(30, idle())},
		[]string{"observed 5-30 25s 2"}, false},
	{"one poll", []Poll{poll(0, inCall(-1)), poll(5, idle())}, []string{"observed 0-5 5s 1"}, false},
	{"never seen again", []Poll{poll(0, idle()), poll(5, inCall(0)), gone(60), gone(5 + 86401)},
		[]string{"observed 5-5 0s 1"}, false},
	{"agent off for days, the room in a call without a timer: another one",
		[]Poll{poll(0, idle()), poll(5, inCall(-1)), poll(10, inCall(-1)), poll(3*86400, inCall(-1)), poll(3*86400+5, idle())},
		[]string{"observed 5-10 5s 2", "observed 259200-259205 5s 1"}, false},
	{"agent off for two days in a call whose timer went along: the same one",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(2*86400+5, inCall(2880)), poll(2*86400+10, idle())},
		[]string{"observed 5-172810 172805s 2"}, false},
	{"agent off when the call ended: the end is the last sample",
		[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(10, inCall(0)), poll(70.5, idle())},
		[]string{"observed 5-10 5s 2"}, false},
	{"still open", []Poll{poll(0, idle()), poll(5, inCall(0)), gone(10)}, nil, true},
}

func gone(s float64) Poll { return failed(s, cgi.KindUnreachable, "timeout") }

func TestCallsAreFollowed(t *testing.T) {
	for _, c := range callCases {
		t.Run(c.name, func(t *testing.T) {
			polls := c.polls
			if last := polls[len(polls)-1]; last.Err == nil && last.Status.Call == cgi.CallIdle { // another poll confirms it
				polls = append(slices.Clone(polls), Poll{Device: "room-1", At: last.At.Add(5 * time.Second), Status: idle()})
			}
			records, st := script(t, reporter(t, nil), polls...)
			var got []string
			for _, m := range of(t, records, "call") {
				got = append(got, callOf(m))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("calls %q, want %q", got, c.want)
			}
			starts, ends := of(t, records, "event", "call.started"), of(t, records, "event", "call.ended")
			if len(ends) != len(c.want) || len(starts)-len(ends) != map[bool]int{true: 1}[c.open] {
				t.Errorf("%d started, %d ended", len(starts), len(ends))
			}
			if (st.d.Call != nil) != c.open {
				t.Errorf("open call: %v", st.d.Call)
			}
		})
	}
}

func TestClockStepInMidCallLeavesTheDurationRight(t *testing.T) {
	base := time.Now() // carries a monotonic reading
	for _, step := range []time.Duration{0, time.Hour, -time.Hour, 3 * time.Second, -26 * time.Hour} {
		r := reporter(t, nil)
		var st State
		var records []Record
		for i := range 10 {
			at := base.Add(time.Duration(i) * 5 * time.Second)
			if i >= 5 {
				at = stepped(at, step)
			}
			p := Poll{Device: "room-1", At: at, Status: inCall(-1)}
			if i == 0 || i == 9 {
				p.Status = idle()
			}
			var out Output
			st, out = r.Poll(st, p)
			records = append(records, out.Records...)
		}
		calls := of(t, records, "call")
		if len(calls) != 1 || calls[0]["duration_s"] != 40.0 || calls[0]["coverage_pct"] != 100.0 {
			t.Errorf("step %v: %v", step, calls)
		}
	}
}

func TestCallThatBeganWhileTheMachineSleptIsNotObserved(t *testing.T) {
	base := time.Now() // carries a monotonic reading
	r := reporter(t, nil)
	st, _ := r.Poll(State{}, Poll{Device: "room-1", At: base, Status: idle()})
	awake := stepped(base.Add(5*time.Second), 2*time.Hour)
	_, out := r.Poll(st, Poll{Device: "room-1", At: awake, Status: inCall(30)})
	m := of(t, out.Records, "event", "call.started")[0]
	if want := float64(awake.Add(-30 * time.Minute).UnixMilli()); m["since_ms"] != want || m["reason"] != "join_timer" {
		t.Errorf("start %v by %v, want %v by the join timer", m["since_ms"], m["reason"], want)
	}
}

// stepped moves the wall clock of t and leaves its monotonic reading. Add moves
// both, and nothing public moves one alone; the reading is the second word.
func stepped(t time.Time, d time.Duration) time.Time {
	moved := t.Add(d)
	words := (*struct {
		wall uint64
		mono int64
		loc  *time.Location
	})(unsafe.Pointer(&moved))
	words.mono -= int64(d)
	return moved
}

func TestSleepInMidCallBelongsToTheCall(t *testing.T) {
	base := time.Now() // carries a monotonic reading
	r := reporter(t, nil)
	st, _ := r.Poll(State{}, Poll{Device: "room-1", At: base, Status: idle()})
	st, _ = r.Poll(st, Poll{Device: "room-1", At: base.Add(5 * time.Second), Status: inCall(0)})
	awake := stepped(base.Add(10*time.Second), time.Hour)
	st, _ = r.Poll(st, Poll{Device: "room-1", At: awake, Status: inCall(60)})
	st, _ = r.Poll(st, Poll{Device: "room-1", At: awake.Add(5 * time.Second), Status: idle()})
	_, out := r.Poll(st, Poll{Device: "room-1", At: awake.Add(10 * time.Second), Status: idle()})
	if m := of(t, out.Records, "call")[0]; m["duration_s"] != 3610.0 {
		t.Errorf("the join timer went along for an hour, and the call lasts %v s", m["duration_s"])
	}
}

// TestASleepIsNotASetClock: the boot clock tells them apart, also where the endpoint
// has no join timer.
func TestASleepIsNotASetClock(t *testing.T) {
	base := time.Now() // carries a monotonic reading
	const hour = time.Hour
	at := func(awake, wall, up time.Duration, st cgi.Status) Poll {
		return Poll{Device: "room-1", At: stepped(base.Add(awake), wall-awake), Boot: host.Boot{ID: "b", Up: hour + up}, Status: st}
	}
	const s = time.Second
	for name, c := range map[string]struct {
		up, wall time.Duration // from the third poll on, beside 10 s awake
		join     float64
		duration float64
	}{
		"asleep for two hours":   {2 * hour, 2 * hour, 120, 7210},
		"asleep, without timer":  {2 * hour, 2 * hour, -1, 7210},
		"set by two hours":       {0, 2 * hour, -1, 10},
		"asleep and set":         {2 * hour, 5 * hour, -1, 7210},
		"set as the timer ticks": {0, 90 * s, 1, 10},
		"set back by two hours":  {0, -2 * hour, -1, 10},
	} {
		t.Run(name, func(t *testing.T) {
			r := reporter(t, nil)
			join := -1.0
			if c.join >= 0 {
				join = 0
			}
			st, _ := r.Poll(State{}, at(0, 0, 0, idle()))
			st, _ = r.Poll(st, at(5*s, 5*s, 5*s, inCall(join)))
			st, _ = r.Poll(st, at(10*s, c.wall+10*s, c.up+10*s, inCall(c.join)))
			st, out := r.Poll(st, at(15*s, c.wall+15*s, c.up+15*s, idle()))
			_, confirmed := r.Poll(st, at(20*s, c.wall+20*s, c.up+20*s, idle()))
			if m := of(t, append(out.Records, confirmed.Records...), "call")[0]; m["duration_s"] != c.duration {
				t.Errorf("the call lasts %v s, want %v", m["duration_s"], c.duration)
			}
		})
	}
	t.Run("the next call after a sleep starts by its timer", func(t *testing.T) {
		r := reporter(t, nil)
		st, _ := r.Poll(State{}, at(0, 0, 0, idle()))
		_, out := r.Poll(st, at(10*s, 2*hour, 2*hour, inCall(30)))
		want := float64(at(0, 90*time.Minute, 0, cgi.Status{}).At.UnixMilli())
		if m := of(t, out.Records, "event", "call.started")[0]; m["since_ms"] != want || m["reason"] != "join_timer" {
			t.Errorf("start %v by %v, want %v by the join timer", m["since_ms"], m["reason"], want)
		}
	})
	t.Run("a call that begins at a set clock is observed", func(t *testing.T) {
		r := reporter(t, nil)
		st, _ := r.Poll(State{}, at(0, 0, 0, idle()))
		_, out := r.Poll(st, at(10*s, 2*hour, 10*s, inCall(0)))
		if m := of(t, out.Records, "event", "call.started")[0]; m["reason"] != "observed" {
			t.Errorf("start by %v", m["reason"])
		}
	})
}

func TestCallsOfOneSecondHaveTheirOwnIDs(t *testing.T) {
	records, _ := script(t, reporter(t, nil), poll(0, idle()), poll(5, inCall(-1)), poll(5.4, idle()), poll(5.8, inCall(-1)), poll(9, idle()))
	calls := of(t, records, "call")
	if len(calls) != 2 || calls[0]["call_id"] == calls[1]["call_id"] {
		t.Errorf("%v", calls)
	}
}

// A machine whose clock begins at the same time with each boot: the time service sets
// it later.
func TestCallsOfTheSameWrongTimeHaveTheirOwnIDs(t *testing.T) {
	r := reporter(t, nil)
	ids := map[any]bool{}
	var st State
	for range 3 {
		for _, clock := range []time.Time{time.Date(2020, 1, 1, 0, 0, 40, 0, time.UTC), day} { // wrong, then right
			for i, status := range []cgi.Status{idle(), inCall(-1), idle(), idle()} {
				var out Output
				st, out = r.Poll(st, Poll{Device: "room-1", At: clock.Add(time.Duration(i) * 5 * time.Second), Status: status})
				for _, m := range of(t, out.Records, "call") {
					if ids[m["call_id"]] {
						t.Errorf("two calls are %v", m["call_id"])
					}
					ids[m["call_id"]] = true
				}
			}
		}
	}
	if len(ids) != 6 {
		t.Errorf("%d calls", len(ids))
	}
}

func TestGradeOfACallIsTheWorstThatHoldsATwentieth(t *testing.T) {
	for _, c := range []struct {
		unknown, good, fair, poor int64
		want                      grade
	}{
		{0, 95, 0, 5, gradePoor}, {0, 951, 0, 49, gradeGood}, {0, 95, 5, 0, gradeFair}, {0, 94, 3, 3, gradeFair},
		{0, 951, 49, 0, gradeGood}, {100, 100, 0, 0, gradeGood}, {101, 100, 0, 0, gradeUnknown}, {101, 95, 0, 5, gradePoor}, {9, 0, 0, 0, gradeUnknown},
	} {
		call := callState{GradeMs: [grades]int64{c.unknown, c.good, c.fair, c.poor}}
		if got := call.grade(); got != c.want {
			t.Errorf("%+v: %s, want %s", c, got, c.want)
		}
	}
}

func TestCauseIsTheMostFrequentReasonAtTheGradeOfTheCall(t *testing.T) {
	const a, b = payload.AudioSend*metrics + metricLoss, payload.VideoRecv*metrics + metricDelay
	var call callState
	call.Fair[a], call.Fair[b], call.Poor[b] = 5, 3, 3
	if worst, ids := call.cause(gradeFair); gaugeWord(worst) != "video_recv_delay" || ids != "8,22" {
		t.Errorf("fair: %d %s", worst, ids)
	}
	call.Poor[a], call.Poor[b] = 4, 3
	if worst, ids := call.cause(gradePoor); gaugeWord(worst) != "audio_send_loss" || ids != "22,8" {
		t.Errorf("poor: %d %s", worst, ids)
	}
	for i := range call.Poor {
		call.Poor[i] = uint32(100 - i)
	}
	if worst, ids := call.cause(gradePoor); gaugeWord(worst) != "audio_send_loss" || ids != "22,43,45" {
		t.Errorf("all: %d %s", worst, ids)
	}
}

func TestTimeThatNoSampleCoversIsUnknown(t *testing.T) {
	var polls []Poll
	for _, at := range []float64{5, 10, 25, 46, 51} { // 15 s are still one sample's, 21 s are not
		polls = append(polls, poll(at, inCall(-1)))
	}
	records, _ := script(t, reporter(t, nil), append(append([]Poll{poll(0, idle())}, polls...), poll(56, idle()))...)
	if m := of(t, records, "call")[0]; m["seconds_unknown"] != 16.0 || m["seconds_good"] != 35.0 || m["coverage_pct"] != 68.63 {
		t.Errorf("%v", m)
	}
}

func TestRestartInMidCallGivesOneSummary(t *testing.T) {
	r := reporter(t, nil)
	polls := []Poll{poll(0, idle()), poll(5, inCall(0)), poll(10, bad(20)), poll(15, bad(20)), poll(20, bad(20)),
		poll(25, inCall(0)), poll(30, inCall(0)), poll(35, inCall(0)), poll(80, idle())}
	whole, _ := script(t, r, polls...)
	var st State
	var pieces []Record
	for _, p := range polls {
		b, err := st.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if st, err = UnmarshalState(b); err != nil {
			t.Fatal(err)
		}
		var out Output
		st, out = reporter(t, nil).Poll(st, p)
		pieces = append(pieces, out.Records...)
	}
	if a, b := string(lines(whole)), string(lines(pieces)); a != b {
		t.Errorf("a restart before each poll gives other bytes\n%s\n%s", a, b)
	}
}

func TestSummaryHasGradesSharesAndCauses(t *testing.T) {
	r := reporter(t, nil)
	polls := []Poll{poll(0, idle())}
	for i := range 100 {
		s := inCall(-1)
		if i >= 80 {
			s.VideoRecv[0].LossPct, s.AudioSend.DelayMs = cgi.Known(7.5), cgi.Known(300)
		}
		if i >= 90 {
			s.AudioSend.DelayMs = cgi.Known(1)
		}
		polls = append(polls, poll(5+float64(i)*5, s))
	}
	polls = append(polls, poll(505, idle()))
	records, _ := script(t, r, polls...)
	m := of(t, records, "call")[0]
	for k, want := range map[string]any{
		"duration_s": 500.0, "samples": 100.0, "coverage_pct": 100.0, "seconds_good": 395.0, "seconds_poor": 105.0,
		"seconds_fair": 0.0, "seconds_unknown": 0.0, "grade": "poor", "cause": "video_recv_loss", "cause_ids": "23,43",
		"video_recv_loss_pct_avg": 1.5, "video_recv_loss_pct_max": 7.5, "video_recv_loss_pct_p95": 7.5,
		"audio_send_delay_ms_max": 300.0, "video_send_fps_min": 15.0, "audio_send_mos_est_min": 3.65,
	} {
		if m[k] != want {
			t.Errorf("%s = %v, want %v", k, m[k], want)
		}
	}
}

func TestSeveralReceivedStreamsTellTheSide(t *testing.T) {
	for want, loss := range map[string][]float64{"far_end": {0, 20, 0}, "own_access": {20, 30, 5}} {
		s := inCall(-1)
		s.VideoRecv = nil
		for _, l := range loss {
			s.VideoRecv = append(s.VideoRecv, cgi.Stream{Active: true, LossPct: cgi.Known(l)})
		}
		records, _ := script(t, reporter(t, nil), poll(0, s), poll(5, s), poll(10, idle()))
		if got := of(t, records, "call")[0]["cause_scope"]; got != want {
			t.Errorf("loss %v: %v, want %s", loss, got, want)
		}
	}
}

func TestGapIsNotGood(t *testing.T) {
	records, _ := script(t, reporter(t, nil), poll(0, idle()), poll(5, inCall(0)),
		failed(10, cgi.KindUnreachable, "timeout"), poll(605, inCall(10)), poll(610, idle()), poll(615, idle()))
	m := of(t, records, "call")[0]
	if m["grade"] != "unknown" || m["seconds_unknown"] != 595.0 || m["seconds_good"] != 10.0 || m["coverage_pct"] != 1.65 {
		t.Errorf("%v", m)
	}
}

func TestLongIdleIntervalDoesNotStretchTheEndOfACall(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Devices[0].IdleInterval = 10 * time.Minute })
	records, _ := script(t, r, poll(0, idle()), poll(5, inCall(0)), poll(10, inCall(0)), poll(1500, idle()))
	if got := callOf(of(t, records, "call")[0]); got != "observed 5-10 5s 2" {
		t.Errorf("the agent was off for 25 minutes: %s", got)
	}
}
