package report

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

// chaos makes a random series of polls: calls, silences, reboots, bad networks,
// contradictions, and steps of the clock between polls.
func chaos(rng *rand.Rand, n int) []Poll {
	at := day
	state, joined := 0, at
	var polls []Poll
	for range n {
		at = at.Add(time.Duration(1000+rng.IntN(9000)) * time.Millisecond)
		switch rng.IntN(60) {
		case 0:
			at = at.Add(time.Duration(rng.IntN(7200)) * time.Second)
		case 1:
			at = at.Add(-time.Duration(rng.IntN(90)) * time.Second)
		}
		if rng.IntN(12) == 0 {
			state, joined = rng.IntN(6), at
		}
		p := Poll{Device: "room-1", At: at, Took: time.Duration(rng.IntN(900)) * time.Millisecond}
		switch state {
		case 0, 1:
			p.Status = randomCall(rng, at.Sub(joined))
		case 2:
			p.Status = idle()
		case 3:
			p.Status = contradicting()
		default:
			p.Err = &cgi.Error{Kind: cgi.Kind(rng.IntN(5)), Reason: "timeout"}
		}
		polls = append(polls, p)
	}
	return polls
}

func randomCall(rng *rand.Rand, since time.Duration) cgi.Status {
	s := documented()
	s.JoinMinutes = cgi.Reading{Value: math.Floor(max(since.Minutes(), 0)), Known: rng.IntN(8) > 0}
	for _, x := range []*cgi.Stream{&s.AudioSend, &s.AudioRecv, &s.VideoSend[0], &s.VideoRecv[0]} {
		if rng.IntN(3) == 0 {
			x.LossPct = cgi.Reading{Value: float64(rng.IntN(2500)) / 100, Known: rng.IntN(5) > 0}
		}
		if rng.IntN(4) == 0 {
			x.DelayMs = cgi.Known(float64(rng.IntN(600)))
		}
	}
	if rng.IntN(4) == 0 {
		s.VideoRecv = append(s.VideoRecv, cgi.Stream{}, cgi.Stream{Active: true, LossPct: cgi.Known(9)})
	}
	return s
}

// run polls with restarts (the state goes through its bytes) and kills (the poll
// is done again from the state before it, as after a lost commit).
func run(t *testing.T, polls []Poll, rng *rand.Rand) []Record {
	t.Helper()
	r := reporter(t, func(s *Settings) { s.Views = Views() })
	var st State
	var all []Record
	for _, p := range polls {
		if rng != nil && rng.IntN(4) == 0 {
			b, err := st.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if st, err = UnmarshalState(b); err != nil {
				t.Fatal(err)
			}
			r = reporter(t, func(s *Settings) { s.Views = Views() })
		}
		if rng != nil && rng.IntN(4) == 0 {
			r.Poll(st, p)
		}
		var out Output
		st, out = r.Poll(st, p)
		all = append(all, out.Records...)
	}
	// The end: idle twice, and a tick that closes the minute.
	last := polls[len(polls)-1].At.Add(10 * time.Second)
	st, out := r.Poll(st, Poll{Device: "room-1", At: last, Status: idle()})
	all = append(all, out.Records...)
	last = last.Add(5 * time.Second)
	st, out = r.Poll(st, Poll{Device: "room-1", At: last, Status: idle()})
	all = append(all, out.Records...)
	st, tail := r.Tick(st, "room-1", last.Add(2*time.Minute))
	if _, none := r.Tick(st, "room-1", last.Add(3*time.Minute)); len(none) != 0 {
		t.Error("a second tick gives records")
	}
	return append(all, tail...)
}

func TestAnySeriesOfPollsRestartsAndKillsKeepsThePromises(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			polls := chaos(rand.New(rand.NewPCG(seed, 1)), 300)
			records := run(t, polls, rand.New(rand.NewPCG(seed, 2)))
			if plain := run(t, polls, nil); !bytes.Equal(lines(plain), lines(records)) {
				t.Error("restarts and kills change the bytes")
			}
			checkNumbers(t, records)
			checkPairs(t, records)
			checkSums(t, records)
			if seed == 0 {
				for _, rec := range records {
					validate(t, rec.Kind, rec.Payload)
				}
			}
		})
	}
}

// checkNumbers: seq rises by exactly one on each kind, ids agree.
func checkNumbers(t *testing.T, records []Record) {
	t.Helper()
	seq := map[string]uint64{}
	for _, r := range records {
		seq[r.Kind]++
		m := object(t, r.Payload)
		id := fmt.Sprintf("agent-1.1772000000.room-1.%s.%d", r.Kind, seq[r.Kind])
		if r.Seq != seq[r.Kind] || m["seq"] != float64(r.Seq) || m["id"] != id || m["ts_ms"] != float64(r.TimeMs) {
			t.Fatalf("want %s, got seq %d in %s", id, r.Seq, r.Payload)
		}
	}
}

// checkPairs: calls and incidents open and close exactly once, in that order.
func checkPairs(t *testing.T, records []Record) {
	t.Helper()
	state := map[string]int{} // 1 open, 2 closed
	step := func(id string, from int) {
		if state[id] != from {
			t.Errorf("%s is in state %d, want %d", id, state[id], from)
		}
		state[id] = from + 1
	}
	calls := map[any]int{}
	for _, m := range of(t, records, "event") {
		if m["text"] == "" || m["code"] == "" || strings.Contains(fmt.Sprint(m["text"]), "{") {
			t.Errorf("an event without words: %v", m)
		}
		switch m["type"] {
		case "call.started":
			step(m["call_id"].(string), 0)
		case "call.ended":
			step(m["call_id"].(string), 1)
			calls[m["call_id"]]++
		case "quality.degraded", "endpoint.offline", "endpoint.refused", "endpoint.busy", "endpoint.error", "endpoint.clock_off":
			step(m["incident_id"].(string), 0)
		case "quality.changed":
			if id := m["incident_id"].(string); state[id] != 1 {
				t.Errorf("%s changes in state %d", id, state[id])
			}
		default:
			step(m["incident_id"].(string), 1)
		}
	}
	for id, s := range state {
		if s != 2 {
			t.Errorf("%s is left open", id)
		}
	}
	for _, m := range of(t, records, "call") {
		calls[m["call_id"]]--
	}
	for id, n := range calls {
		if n != 0 {
			t.Errorf("%v has %d ends more than summaries", id, n)
		}
	}
}

// checkSums: seconds add up to durations, minutes to samples.
func checkSums(t *testing.T, records []Record) {
	t.Helper()
	inCall := map[any]float64{}
	samples := of(t, records, "sample")
	for _, m := range samples {
		inCall[m["call_id"]]++
	}
	for _, m := range of(t, records, "call") {
		ms := func(k string) int64 { return int64(math.Round(m[k].(float64) * 1000)) }
		sum := ms("seconds_good") + ms("seconds_fair") + ms("seconds_poor") + ms("seconds_unknown")
		if span := int64(m["end_ms"].(float64) - m["start_ms"].(float64)); sum != span || ms("duration_s") != span || span < 0 {
			t.Errorf("seconds %d, duration %d, span %d in %v", sum, ms("duration_s"), span, m)
		}
		if m["samples"] != inCall[m["call_id"]] {
			t.Errorf("call %v has %v samples, %v were sent", m["call_id"], m["samples"], inCall[m["call_id"]])
		}
	}
	n, ok := 0.0, 0.0
	for _, m := range of(t, records, "minute") {
		n += m["samples"].(float64)
		ok += m["samples_ok"].(float64)
	}
	for _, m := range samples {
		ok -= m["poll_ok"].(float64)
	}
	if n != float64(len(samples)) || ok != 0 {
		t.Errorf("minutes have %v samples, %d were sent; %v answered ones too many", n, len(samples), ok)
	}
}

func TestStateStaysSmallWhateverComes(t *testing.T) {
	r := reporter(t, nil)
	rng := rand.New(rand.NewPCG(7, 7))
	var st State
	for i := range 3000 {
		s := documented()
		for _, x := range []*cgi.Stream{&s.AudioSend, &s.AudioRecv, &s.AuxSend, &s.AuxRecv, &s.VideoSend[0], &s.VideoRecv[0]} {
			*x = cgi.Stream{Active: true, LossPct: cgi.Known(100 * rng.Float64()),
				JitterMs: cgi.Known(math.Exp(rng.Float64() * 30)), DelayMs: cgi.Known(math.Exp(rng.Float64() * 30))}
		}
		st, _ = r.Poll(st, poll(float64(i*5), s))
	}
	b, err := st.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 20_000 {
		t.Errorf("%d bytes", len(b))
	}
	t.Logf("state after 3000 random polls: %d bytes", len(b))
}

func TestGarbageReadingsNeverBreakAPayload(t *testing.T) {
	r := reporter(t, nil)
	s := documented()
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300, 5e-324} {
		s.AudioSend.LossPct, s.AudioSend.DelayMs, s.JoinMinutes = cgi.Known(x), cgi.Known(x), cgi.Known(x)
		s.VideoRecv = make([]cgi.Stream, 5000)
		for i := range s.VideoRecv {
			s.VideoRecv[i] = cgi.Stream{Active: true, BitrateKbps: cgi.Known(x), Name: string(bytes.Repeat([]byte("会\xff"), 900))}
		}
		records, st := script(t, r, poll(0, s), poll(5, s), poll(70, idle()))
		for _, rec := range records {
			object(t, rec.Payload)
		}
		if n := len(of(t, records, "stream")); n > 2*(payload.MaxStreams+3) {
			t.Errorf("%d stream rows", n)
		}
		if _, err := st.Marshal(); err != nil {
			t.Errorf("%v: %v", x, err)
		}
		mid, _ := r.Poll(State{}, poll(0, s))
		if _, err := mid.Marshal(); err != nil {
			t.Errorf("%v in mid-call: %v", x, err)
		}
	}
}

func TestEncodedSamplesDecodeToThemselves(t *testing.T) {
	records := run(t, chaos(rand.New(rand.NewPCG(5, 5)), 200), nil)
	for _, rec := range records {
		p := payload.New(rec.Kind)
		if p == nil {
			continue // a view
		}
		if err := payload.Decode(rec.Payload, p); err != nil {
			t.Fatal(err)
		}
		if got := payload.Encode(p); !bytes.Equal(got, rec.Payload) {
			t.Fatalf("%s\n%s", rec.Payload, got)
		}
	}
}

// longCall is a call of two hours with content, whose readings wander.
func longCall(t testing.TB) State {
	r := reporter(t, nil)
	rng := rand.New(rand.NewPCG(3, 3))
	st, _ := r.Poll(State{}, poll(0, idle()))
	for i := range 1450 { // ends with a full minute behind it
		s := inCall(float64(i / 12))
		s.AuxRecv = s.VideoRecv[0]
		for _, x := range []*cgi.Stream{&s.AudioSend, &s.AudioRecv, &s.VideoSend[0], &s.VideoRecv[0], &s.AuxRecv} {
			x.LossPct = cgi.Known(math.Round(math.Pow(rng.Float64(), 4)*700) / 100)
			x.JitterMs = cgi.Known(float64(2 + rng.IntN(9)))
			x.DelayMs = cgi.Known(float64(15 + rng.IntN(19)))
			x.BitrateKbps = cgi.Known(float64(rng.IntN(100_000)) / 100)
		}
		st, _ = r.Poll(st, poll(float64(5+5*i), s))
	}
	return st
}

func TestStateOfALongCallFitsIntoAPage(t *testing.T) {
	b, err := longCall(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 3600 {
		t.Errorf("%d bytes: a disk page of 4 KiB has other data too", len(b))
	}
	back, err := UnmarshalState(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := back.Marshal(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("the state comes back as (%v)\n%s\nwas\n%s", err, again, b)
	}
	t.Logf("state after two hours: %d bytes", len(b))
}
