package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roomcall/agent/report/payload"
)

// The files are states that version 1 wrote in the middle of a call, and the
// records that it made of the polls after them.
func TestCallGoesOnFromAStateOfVersion1(t *testing.T) {
	for _, c := range []struct {
		name  string
		views []string
		polls []Poll
	}{
		{"state_v1_call", nil, []Poll{poll(7255, bad(5)), poll(7260, bad(0)), poll(7265, idle()), poll(7320, idle())}},
		{"state_v1_views", Views(), viewedCall()[20:]},
	} {
		old, err := os.ReadFile(filepath.Join("testdata", c.name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		st, err := UnmarshalState(old)
		if err != nil {
			t.Fatal(err)
		}
		var records []Record
		for _, p := range c.polls {
			b, err := st.Marshal() // from here on in the form of today
			if err != nil {
				t.Fatal(err)
			}
			if st, err = UnmarshalState(b); err != nil {
				t.Fatal(err)
			}
			var out Output
			st, out = reporter(t, func(s *Settings) { s.Views = c.views }).Poll(st, p)
			records = append(records, out.Records...)
		}
		if c.views != nil {
			_, tail := reporter(t, func(s *Settings) { s.Views = c.views }).Tick(st, "room-1", day.AddDate(0, 0, 1))
			records = append(records, tail...)
		}
		golden(t, c.name+".jsonl", lines(records))
		if !bytes.HasPrefix(records[0].Payload, []byte(`{"v":1,`)) || records[0].Seq < 2 {
			t.Errorf("the numbers began again: %s", records[0].Payload)
		}
	}
}

func TestHistogramsOfVersion1AreRead(t *testing.T) {
	st, err := UnmarshalState([]byte(`{"v":1,"call":{"media":[{"l":[19,105,18,0,"AAxZAQEBAQEBAgEC"],"b":[19,2629.6,138.4,138.4]}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	l := st.d.Call.Media[payload.AudioSend]["l"]
	want := payload.Stat{N: 19, Sum: 105, Max: 18, Hist: payload.Histogram{Counts: make([]uint32, 77)}}
	want.Hist.Counts[0] = 12
	copy(want.Hist.Counts[89-17:], []uint32{1, 1, 1, 2, 2})
	if d := cmp.Diff(want, l); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
