package report

import (
	"slices"
	"testing"

	"roomcall/cgi"
)

// viewedCall is two minutes of a call with content share, trouble, and its end.
func viewedCall() []Poll {
	polls := []Poll{poll(0, idle())}
	for i := range 24 {
		s := inCall(float64(i * 5 / 60))
		s.AuxRecv = cgi.Stream{Active: true, BitrateKbps: cgi.Known(138.4), LossPct: cgi.Known(0),
			DelayMs: cgi.Known(10), JitterMs: cgi.Known(615)}
		if i >= 12 {
			s.VideoRecv[0].LossPct = cgi.Known(float64(i))
			s.AudioSend.LossPct = cgi.Reading{}
		}
		polls = append(polls, poll(5+float64(i)*5, s))
	}
	return append(polls, poll(125, idle()), poll(181, idle()), poll(300, idle()))
}

func TestViewsGiveTheGoldenDocuments(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Kinds, s.Views = nil, Views() })
	records, st := script(t, r, viewedCall()...)
	_, tail := r.Tick(st, "room-1", day.AddDate(0, 0, 1))
	golden(t, "views.jsonl", lines(append(records, tail...)))
}

func TestIdleRoomGivesNoViews(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Kinds, s.Views = nil, Views() })
	records, _ := script(t, r, poll(0, idle()), poll(70, idle()), poll(90000, idle()))
	if len(records) != 0 {
		t.Errorf("%s", lines(records))
	}
}

// The converters' tests read a call as it is published; this writes it.
func TestConvertersCallIsAsPublished(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Devices[0].PeerNames = "off" })
	records, st := script(t, r, viewedCall()...)
	_, tail := r.Tick(st, "room-1", day.AddDate(0, 0, 1))
	golden(t, "../view/testdata/call.jsonl", lines(append(records, tail...)))
}

// A minute keeps 8 calls for the views; the calls themselves are all recorded, and the
// next minute begins anew.
func TestAMinuteKeepsABoundedNumberOfCallsForTheViews(t *testing.T) {
	var polls []Poll
	for i := range 12 {
		polls = append(polls, poll(float64(i*4), inCall(0)), poll(float64(i*4+2), idle()))
	}
	polls = append(polls, poll(70, inCall(0)), poll(72, idle()), poll(130, idle()))
	records, _ := script(t, reporter(t, func(s *Settings) { s.Views = Views() }), polls...)
	if n := len(of(t, records, "call")); n != 13 {
		t.Errorf("%d calls, want 13", n)
	}
	for _, view := range []string{"view/zoom", "view/trtc"} {
		var got []float64 // messages of the first minute and of the second
		minutes := map[any]float64{}
		for _, m := range of(t, records, view) {
			minutes[m["ts_ms"]]++
		}
		for _, end := range []float64{60, 120} {
			got = append(got, minutes[float64(day.UnixMilli())+end*1000])
		}
		if !slices.Equal(got, []float64{maxMinuteCalls, 1}) {
			t.Errorf("%s: %v messages, want %d and 1", view, got, maxMinuteCalls)
		}
	}
}
