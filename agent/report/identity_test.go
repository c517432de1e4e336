package report

import (
	"strconv"
	"strings"
	"testing"
)

// aLife is what a call and its end make of records, in order.
func aLife(t *testing.T, r *Reporter) (records []Record) {
	t.Helper()
	var st State
	for i, s := range []float64{0, 5, 10, 15, 70} {
		p := poll(s, inCall(s))
		if i == 4 {
			p = poll(s, idle())
		}
		var out Output
		st, out = r.Poll(st, p)
		records = append(records, out.Records...)
	}
	return records
}

// A record that is renumbered is, byte for byte, the record that the new epoch would
// have made.
func TestARenumberedRecordIsOneOfTheNewEpoch(t *testing.T) {
	r := reporter(t, nil)
	other := r.WithEpoch(r.Epoch() + 12345)
	was, want := aLife(t, r), aLife(t, other)
	if len(was) != len(want) || len(was) < 10 {
		t.Fatalf("%d records and %d", len(was), len(want))
	}
	var st State
	for i, rec := range was {
		next, seq, got, err := other.Renumber(st, rec.Payload)
		if err != nil {
			t.Fatal(err)
		}
		st = next
		if seq != want[i].Seq || string(got) != string(want[i].Payload) {
			t.Errorf("record %d is\n%s\nwant\n%s", i, got, want[i].Payload)
		}
		if strings.Contains(string(got), strconv.FormatInt(r.Epoch(), 10)) {
			t.Errorf("something of the old epoch is left: %s", got)
		}
	}
}

func TestOnlyARecordIsRenumbered(t *testing.T) {
	r := reporter(t, nil)
	for _, text := range []string{"", "{}", `{"v":1}`, "garbage", `[{"v":1,"schema":"a","id":"a.1.b.sample.1","epoch":1,"seq":1,}]`} {
		if _, _, got, err := r.Renumber(State{}, []byte(text)); err == nil || string(got) != text {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

func TestIdentityIsReadFromPayloadsOfOursOnly(t *testing.T) {
	for text, want := range map[string]Identity{
		`{"id":"pc.7.hub.sample.3","epoch":7,"seq":3,"device":"hub"}`:              {7, "hub", "sample", 3, 0},
		`{"id":"pc.7.hub.view/zoom.3","epoch":7,"seq":3,"device":"hub"}`:           {7, "hub", "view/zoom", 3, 0},
		`{"epoch":7,"device":"hub","recorded":0}`:                                  {7, "hub", "", 0, 0},
		`{"epoch":7,"device":"hub","recorded":0,"recorded_id":"c.7.hub.sample.5"}`: {7, "hub", "sample", 5, 0},
		`{"epoch":7,"device":"hub","recorded":0,"recorded_id":"c.7.hub.5"}`:        {7, "hub", "", 0, 0},
		`{"epoch":7,"status":"ok"}`:                                                {7, "", "", 0, 0},
		`{"epoch":7,"seq":9}`:                                                      {7, "", "", 0, 0},
		`{"seq":3}`:                                                                {}, `online`: {}, ``: {}, `{"epoch":-1}`: {}, `{"epoch":"x"}`: {},
		`{"epoch":9007199253692415}`: {9007199253692415, "", "", 0, 0}, // the last one that a clock makes, in 2242
		`{"epoch":9007199253692416}`: {}, `{"epoch":9223372036854775807}`: {},
	} {
		got, ok := ReadIdentity([]byte(text))
		if got != want || ok != (want.Epoch != 0) {
			t.Errorf("%s: %+v, %v", text, got, ok)
		}
	}
}
