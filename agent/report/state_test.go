package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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

// The file is a state of version 2 in which each metric has an open incident of its own.
func TestIncidentsOfAnOlderProgramBecomeOneAndAllAreClosed(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("testdata", "state_v2_call.json"))
	if err != nil {
		t.Fatal(err)
	}
	events := func(end func(*Reporter, State) []Record) (list []string) {
		st, err := UnmarshalState(old)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range of(t, end(reporter(t, nil), st), "event") {
			id := m["incident_id"]
			if id == nil {
				continue
			}
			list = append(list, fmt.Sprint(m["type"], " ", id.(string)[len("agent-1.1772000000.room-1."):], " ", m["reason"]))
		}
		return list
	}
	merged := []string{"quality.recovered i2 merged", "quality.recovered i3 merged"}
	for _, c := range []struct {
		name string
		end  func(*Reporter, State) []Record
		want []string
	}{
		{"the call recovers", func(r *Reporter, st State) (all []Record) {
			for s := 25.0; s <= 40; s += 5 {
				var out Output
				st, out = r.Poll(st, poll(s, documented()))
				all = append(all, out.Records...)
			}
			return all
		}, append(slices.Clone(merged), "quality.recovered i1 <nil>")},
		{"the call ends", func(r *Reporter, st State) []Record {
			_, out := r.Poll(st, poll(25, idle()))
			return out.Records
		}, append(slices.Clone(merged), "quality.recovered i1 call_ended")},
		{"the device leaves", func(r *Reporter, st State) []Record {
			_, records := r.Remove(st, "room-1", day.Add(time.Minute))
			return records
		}, append(slices.Clone(merged), "quality.recovered i1 device_removed")},
	} {
		if d := cmp.Diff(c.want, events(c.end)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

func TestHistogramsOfVersion1AreRead(t *testing.T) {
	st, err := UnmarshalState([]byte(`{"v":1,"call":{"media":[{"l":[19,105,18,0,"AAxZAQEBAQEBAgEC"],"b":[19,2629.6,138.4,138.4]}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	l, _ := st.d.Call.Media[payload.AudioSend].Of(payload.Loss)
	want := payload.Stat{N: 19, Sum: 105, Max: 18, Hist: payload.Histogram{Counts: make([]uint32, 77)}}
	want.Hist.Counts[0] = 12
	copy(want.Hist.Counts[89-17:], []uint32{1, 1, 1, 2, 2})
	if d := cmp.Diff(want, l); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
