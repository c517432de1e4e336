package report

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomcall/agent/host"
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

// ends writes call records as "source start-end source samples".
func ends(t *testing.T, records []Record) []string {
	t.Helper()
	var out []string
	for _, m := range of(t, records, "call") {
		at := func(k string) float64 { return (m[k].(float64) - float64(day.UnixMilli())) / 1000 }
		out = append(out, fmt.Sprintf("%s %g-%g %s %g", m["start_source"], at("start_ms"), at("end_ms"), m["end_source"], m["samples"]))
	}
	return out
}

func TestTheJoinTimerDecidesOverStartsAndEnds(t *testing.T) {
	for name, c := range map[string]struct {
		polls []Poll
		want  string
	}{
		"one idle poll in a call": {
			[]Poll{poll(0, inCall(62)), poll(5, inCall(62)), poll(10, idle()), poll(15, inCall(62)), poll(20, idle()), poll(25, idle())},
			"[join_timer -3720-20 observed 3]"},
		"again and again": {
			[]Poll{poll(0, inCall(62)), poll(5, idle()), poll(10, inCall(62)), poll(15, idle()), poll(20, inCall(62)), poll(25, idle()), poll(30, idle())},
			"[join_timer -3720-25 observed 3]"},
		"one idle poll and a failed one": {
			[]Poll{poll(0, inCall(62)), poll(5, idle()), gone(10), poll(15, inCall(62)), poll(20, idle()), poll(25, idle())},
			"[join_timer -3720-20 observed 2]"},
		"the timer began anew": {
			[]Poll{poll(0, inCall(62)), poll(5, idle()), poll(10, inCall(0)), poll(15, idle())},
			"[join_timer -3720-5 observed 1 observed 10-15 observed 1]"},
		"no timer any more": {
			[]Poll{poll(0, inCall(62)), poll(5, idle()), poll(10, inCall(-1)), poll(15, idle())},
			"[join_timer -3720-5 observed 1 observed 10-15 observed 1]"},
		"idle and then gone": {
			[]Poll{poll(0, inCall(62)), poll(5, idle()), gone(20), gone(70)},
			"[join_timer -3720-5 observed 1]"},
		"the first poll looks idle": {
			[]Poll{poll(0, idle()), poll(5, inCall(62)), poll(10, idle()), poll(15, idle())},
			"[join_timer 0-10 observed 1]"},
		"away around the hang-up, idle afterwards": {
			[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(10, inCall(0)), poll(60, idle())},
			"[observed 5-10 last_sample 2]"},
		"away around the hang-up, another call afterwards": {
			[]Poll{poll(0, idle()), poll(5, inCall(0)), poll(150, inCall(2)), poll(155, inCall(2)), poll(205, inCall(0)), poll(210, idle())},
			"[observed 5-155 last_sample 3 join_timer 205-210 observed 1]"},
		"a short call, idle long before": {
			[]Poll{poll(0, idle()), poll(45, inCall(0)), poll(50, idle())},
			"[join_timer 45-50 observed 1]"},
	} {
		records, _ := script(t, reporter(t, nil), c.polls...)
		if got := fmt.Sprint(ends(t, records)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		for _, m := range of(t, records, "event", "call.ended") {
			if m["end_source"] == nil || m["end_ms"] == nil {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

func TestALongPollIntervalDoesNotHideAnEnd(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Devices[0].PollInterval = 2 * time.Minute })
	records, _ := script(t, r, poll(0, inCall(-1)), poll(120.5, inCall(-1)), poll(241.5, idle()))
	if got := fmt.Sprint(ends(t, records)); got != "[observed 0-241.5 observed 2]" {
		t.Error(got)
	}
}

// at makes a poll at which the machine was awake and up for so long; asleep is how
// much of that it slept, set how far its wall clock was set.
func at(base time.Time, awake, asleep, set time.Duration, st cgi.Status) Poll {
	return Poll{
		Device: "room-1", At: stepped(base.Add(awake), asleep+set), Status: st,
		Boot: host.Boot{ID: "0123456789abcdef", Up: time.Hour + awake + asleep},
	}
}

func TestASleepMovesNoStartAndAStepNoDuration(t *testing.T) {
	const nap = 2 * time.Hour
	for name, c := range map[string]struct {
		asleep, set time.Duration
		restart     bool
		timer       float64
		duration    float64
	}{
		"asleep":                          {nap, 0, false, -1, 7215},
		"asleep, the timer stood still":   {nap, 0, false, 0, 7215},
		"asleep, and a restart":           {nap, 0, true, -1, 7215},
		"set forward":                     {0, nap, false, -1, 15},
		"set forward, and a restart":      {0, nap, true, -1, 15},
		"set back":                        {0, -nap, false, -1, 15},
		"set back, and a restart":         {0, -nap, true, -1, 15},
		"asleep and set back by the same": {nap, -nap, false, -1, 7215},
	} {
		base := time.Now() // carries a monotonic reading
		r := reporter(t, nil)
		gone := at(base, 10*time.Second, c.asleep, c.set, cgi.Status{}) // the first poll after a sleep often fails
		gone.Err = &cgi.Error{Kind: cgi.KindUnreachable, Reason: "timeout"}
		var st State
		var records []Record
		for i, p := range []Poll{
			at(base, 0, 0, 0, idle()), at(base, 5*time.Second, 0, 0, inCall(c.timer)), gone,
			at(base, 15*time.Second, c.asleep, c.set, inCall(c.timer)),
			at(base, 20*time.Second, c.asleep, c.set, idle()), at(base, 25*time.Second, c.asleep, c.set, idle()),
		} {
			if c.restart && i == 2 {
				b, err := st.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				if st, err = UnmarshalState(b); err != nil {
					t.Fatal(err)
				}
			}
			var out Output
			st, out = r.Poll(st, p)
			records = append(records, out.Records...)
		}
		calls := of(t, records, "call")
		if len(calls) != 1 || math.Abs(calls[0]["duration_s"].(float64)-c.duration) > 0.01 || calls[0]["start_source"] != "observed" {
			t.Errorf("%s: %d calls, %v s by %v, want %v", name, len(calls), calls[0]["duration_s"], calls[0]["start_source"], c.duration)
		}
	}
}

func TestACallAfterASleepStartsByItsTimer(t *testing.T) {
	base := time.Now()
	r := reporter(t, nil)
	st, _ := r.Poll(State{}, at(base, 0, 0, 0, idle()))
	_, out := r.Poll(st, at(base, 5*time.Second, 2*time.Hour, 0, inCall(30)))
	m := of(t, out.Records, "event", "call.started")[0]
	if want := float64(base.Add(5*time.Second + 90*time.Minute).UnixMilli()); m["reason"] != "join_timer" || m["since_ms"] != want {
		t.Errorf("%v by %v, want %v", m["since_ms"], m["reason"], want)
	}
	// after a step of two hours the idle poll was five seconds ago all the same
	_, out = r.Poll(st, at(base, 5*time.Second, 0, 2*time.Hour, inCall(0)))
	if m := of(t, out.Records, "event", "call.started")[0]; m["reason"] != "observed" {
		t.Errorf("after a step: %v", m["reason"])
	}
}

func TestADeviceThatLeavesIsClosedOnce(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Views = Views() })
	records, st := script(t, r, poll(0, idle()), poll(5, inCall(-1)), poll(10, bad(20)), poll(15, bad(20)), poll(20, bad(20)),
		failed(25, cgi.KindRefused, "auth_failed"), gone(30), gone(35))
	if st.d.Call == nil || st.d.Offline == nil || st.d.Refused == nil || len(st.d.Quality) == 0 || st.d.Minute == nil {
		t.Fatalf("not everything is open: %+v", st.d)
	}
	other := reporter(t, func(s *Settings) { s.Views = Views(); s.Devices[0].Name = "room-2" })
	if other.Has("room-1") {
		t.Fatal("it is there")
	}
	left, closing := other.Remove(st, "room-1", day.Add(90*time.Second))
	all := append(records, closing...)
	checkNumbers(t, all)
	checkPairs(t, all)
	for _, m := range of(t, closing, "event") {
		if m["reason"] != deviceRemoved {
			t.Errorf("%v", m)
		}
	}
	if got := fmt.Sprint(ends(t, closing)); got != "[observed 5-20 device_removed 4]" {
		t.Errorf("call %s", got)
	}
	if len(of(t, closing, "minute")) != 1 || len(of(t, closing, "sample")) != 0 {
		t.Errorf("%s", lines(closing))
	}
	for _, rec := range closing {
		if rec.Device != "room-1" {
			t.Errorf("record of %s", rec.Device)
		}
		if !strings.HasPrefix(rec.Kind, "view/") {
			validate(t, rec.Kind, rec.Payload)
		}
	}
	b, err := left.Marshal()
	if err != nil || len(b) > 300 || !left.Gone() {
		t.Errorf("left: %s (%v)", b, err)
	}
	if _, again := other.Remove(left, "room-1", day.Add(95*time.Second)); len(again) != 0 {
		t.Errorf("closed again: %s", lines(again))
	}
	// it comes back: the numbers go on
	if left, err = UnmarshalState(b); err != nil {
		t.Fatal(err)
	}
	back, out := r.Poll(left, poll(120, inCall(-1)))
	checkNumbers(t, append(all, out.Records...))
	if back.Gone() || back.d.Call == nil {
		t.Errorf("%+v", back.d)
	}
}

// TestWhatIsOpenWhenANewEpochBeginsIsClosedUnderItsIDs: with the next poll, in the records
// of the new epoch, and once.
func TestWhatIsOpenWhenANewEpochBeginsIsClosedUnderItsIDs(t *testing.T) {
	old := reporter(t, func(s *Settings) { s.Views = Views() })
	next := old.WithEpoch(old.Epoch() + 7)
	records, st := script(t, old, poll(0, idle()), poll(5, inCall(-1)), poll(10, bad(20)), poll(15, bad(20)), poll(20, bad(20)),
		failed(25, cgi.KindRefused, "auth_failed"), gone(30), gone(35))
	was, err := st.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	carried, is := next.Carry(st, "room-1", old.Epoch())
	if now, _ := st.Marshal(); !is || string(now) != string(was) {
		t.Fatalf("carried: %v, and the state is %s", is, now)
	}
	b, err := carried.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if carried, err = UnmarshalState(b); err != nil { // a kill between two portions
		t.Fatal(err)
	}
	after, out := next.Poll(carried, poll(60, inCall(5)))
	after, more := next.Poll(after, poll(65, idle()))
	_, last := next.Poll(after, poll(70, idle()))
	more.Records = append(more.Records, last.Records...)
	all := append(append(records, out.Records...), more.Records...)
	checkPairs(t, all)
	closed := 0
	for _, m := range of(t, out.Records, "event") {
		if m["reason"] == storeReset {
			closed++
		}
	}
	if closed != 4 { // the call, one metric, offline, refused
		t.Errorf("%d closing events: %s", closed, lines(out.Records))
	}
	if got := fmt.Sprint(ends(t, out.Records)); got != "[observed 5-20 store_reset 4]" {
		t.Errorf("call %s", got)
	}
	if start := of(t, out.Records, "event", "call.started"); len(start) != 1 || !strings.Contains(start[0]["call_id"].(string), strconv.FormatInt(next.Epoch(), 10)) {
		t.Errorf("the call that goes on: %v", start)
	}
	if _, is := next.Carry(State{d: stateData{Gone: true, Seq: map[string]uint64{"sample": 9}}}, "room-2", old.Epoch()); is {
		t.Error("numbers alone are carried")
	}
}

// TestWhatIsOpenIsClosedUnderTheIDThatOpenedIt: a call and an incident that a renumbered
// record opened have ids of the new epoch.
func TestWhatIsOpenIsClosedUnderTheIDThatOpenedIt(t *testing.T) {
	old := reporter(t, nil)
	next := old.WithEpoch(old.Epoch() + 7)
	slow := func(s float64) Poll {
		p := poll(s, idle())
		p.Status.ClockAhead = cgi.Known(300)
		return p
	}
	busy := func(s float64) Poll { return failed(s, cgi.KindBusy, "session_limit") }
	records, st := script(t, old, slow(-10), slow(-5), slow(0), poll(5, inCall(-1)), poll(10, bad(20)), poll(15, bad(20)), poll(20, bad(20)),
		busy(25), busy(150), gone(160), gone(165))
	if st.d.ClockOff == nil || st.d.Stuck == nil || st.d.Offline == nil || st.d.Poor == nil {
		t.Fatal("not everything is open")
	}
	for keep := range len(records) { // so many keep their ids: whole polls
		if keep > 0 && records[keep].TimeMs == records[keep-1].TimeMs {
			continue
		}
		carried, _ := next.Carry(st, "room-1", old.Epoch())
		all := append([]Record{}, records[:keep]...)
		for _, rec := range records[keep:] {
			renumbered, seq, payload, err := next.Renumber(carried, rec.Payload)
			if err != nil {
				t.Fatal(err)
			}
			carried, rec.Seq, rec.Payload = renumbered, seq, payload
			all = append(all, rec)
		}
		_, out := next.Poll(carried, gone(170))
		all = append(all, out.Records...)
		checkPairs(t, all)
		calls := map[any]bool{}
		for _, rec := range all {
			if id := object(t, rec.Payload)["call_id"]; id != nil {
				calls[id] = true
			}
		}
		for i, rec := range all[:len(records)] { // an id that the old epoch gave beyond these may stand for something else
			for _, key := range []string{"call_id", "incident_id"} {
				was, is := object(t, records[i].Payload), object(t, rec.Payload)
				if was["type"] == nil || was[key] == nil || key == "call_id" && was["type"] != "call.started" {
					continue
				}
				if isNew := was[key] != is[key]; isNew != (i >= keep) {
					t.Errorf("with %d kept the opening record %d has the id %v", keep, i, is[key])
				}
			}
		}
		if len(calls) != 1 {
			t.Fatalf("with %d kept the one call has the ids %v", keep, calls)
		}
	}
}
