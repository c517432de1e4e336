package report

import (
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
