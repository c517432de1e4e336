package report

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"roomcall/agent/report/payload"
	"roomcall/cgi"
)

func media(change func(*payload.GroupMedia)) *payload.GroupMedia {
	var m payload.GroupMedia
	for _, g := range []int{payload.AudioSend, payload.VideoRecv} {
		m[g] = payload.Media{Active: true, Values: [payload.Measures]cgi.Reading{
			payload.Loss: cgi.Known(0), payload.Delay: cgi.Known(5), payload.Jitter: cgi.Known(5), payload.FPS: cgi.Known(25)}}
	}
	change(&m)
	return &m
}

func TestGradesFollowTheProfiles(t *testing.T) {
	loss := func(g int, v float64) func(*payload.GroupMedia) {
		return func(m *payload.GroupMedia) { m[g].Values[payload.Loss] = cgi.Known(v) }
	}
	for _, c := range []struct {
		profile, name string
		change        func(*payload.GroupMedia)
		want, reasons string
	}{
		{"huawei", "all well", loss(0, 0), "good", ""},
		{"huawei", "audio loss below yellow", loss(payload.AudioSend, 4.99), "good", ""},
		{"huawei", "audio loss at yellow", loss(payload.AudioSend, 5), "fair", "audio_send_loss"},
		{"huawei", "audio loss at red", loss(payload.AudioSend, 10), "poor", "audio_send_loss"},
		{"huawei", "video loss at red", loss(payload.VideoRecv, 3), "poor", "video_recv_loss"},
		{"huawei", "only reasons at the grade of the sample", func(m *payload.GroupMedia) {
			m[payload.AudioSend].Values[payload.Jitter], m[payload.VideoRecv].Values[payload.Delay] = cgi.Known(30), cgi.Known(250)
		}, "poor", "video_recv_delay"},
		{"huawei", "loss not said", func(m *payload.GroupMedia) { m[payload.AudioSend].Values[payload.Loss] = cgi.Reading{} }, "unknown", ""},
		{"huawei", "loss not said, video poor", func(m *payload.GroupMedia) {
			m[payload.AudioSend].Values[payload.Loss], m[payload.VideoRecv].Values[payload.Loss] = cgi.Reading{}, cgi.Known(9)
		}, "poor", "video_recv_loss"},
		{"huawei", "no delay and jitter, as the single-stream call", func(m *payload.GroupMedia) {
			for g := range m {
				m[g].Values[payload.Delay], m[g].Values[payload.Jitter] = cgi.Reading{}, cgi.Reading{}
			}
		}, "good", ""},
		{"huawei", "no stream", func(m *payload.GroupMedia) { *m = payload.GroupMedia{} }, "unknown", ""},
		{"teams", "loss at the limit", loss(payload.AudioSend, 10), "good", ""},
		{"teams", "loss above", loss(payload.AudioSend, 10.01), "poor", "audio_send_loss"},
		{"teams", "slow pictures", func(m *payload.GroupMedia) { m[payload.VideoRecv].Values[payload.FPS] = cgi.Known(6) }, "poor", "video_recv_fps"},
		{"polycom", "video at 1", loss(payload.VideoRecv, 1), "fair", "video_recv_loss"},
		{"polycom", "video at 5", loss(payload.VideoRecv, 5), "fair", "video_recv_loss"},
		{"polycom", "video above 5", loss(payload.VideoRecv, 5.1), "poor", "video_recv_loss"},
		{"polycom", "audio is not graded", loss(payload.AudioSend, 90), "good", ""},
		{"vidyo", "at 1", loss(payload.AudioSend, 1), "good", ""},
		{"vidyo", "jitter", func(m *payload.GroupMedia) { m[payload.AudioSend].Values[payload.Jitter] = cgi.Known(201) }, "poor", "audio_send_jitter"},
	} {
		p, ok := ProfileByName(c.profile)
		if !ok {
			t.Fatal(c.profile)
		}
		v := p.judge(media(c.change), nil)
		if v.grade.String() != c.want || v.reasons() != c.reasons {
			t.Errorf("%s, %s: %s %q, want %s %q", c.profile, c.name, v.grade, v.reasons(), c.want, c.reasons)
		}
	}
}

func TestOwnProfilesStartFromABase(t *testing.T) {
	p, err := NewProfile("ours", "huawei", map[string]float64{"audio_loss_pct_poor": 7, "video_fps_fair": 20, "video_fps_poor": 10, "enter": 2, "of": 3, "leave": 5})
	if err != nil {
		t.Fatal(err)
	}
	v := p.Values()
	if p.Name != "ours" || v["audio_loss_pct_poor"] != 7 || v["audio_loss_pct_fair"] != 5 || v["video_fps_poor"] != 10 || v["of"] != 3 {
		t.Errorf("%+v", v)
	}
	base, _ := ProfileByName("huawei")
	if base.Values()["audio_loss_pct_poor"] != 10 {
		t.Error("the base changed")
	}
	for _, k := range LimitKeys() {
		if _, err := NewProfile("x", "", map[string]float64{k: 3}); err != nil && k != "enter" && k != "of" {
			t.Errorf("%s: %v", k, err)
		}
	}
	for name, bad := range map[string]map[string]float64{
		"unknown": {"audio_fps_fair": 1}, "negative": {"audio_delay_ms_fair": -1}, "percent": {"audio_loss_pct_fair": 101},
		"nan": {"audio_delay_ms_fair": math.NaN()}, "order": {"audio_delay_ms_fair": 300}, "fps order": {"video_fps_fair": 5, "video_fps_poor": 9},
		"window": {"enter": 4, "of": 3}, "fraction": {"leave": 1.5}, "long": {"of": 17},
	} {
		if _, err := NewProfile("x", "huawei", bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewProfile("x", "zoom", nil); err == nil {
		t.Error("unknown base: no error")
	}
}

func TestMOSMatchesThePublishedFormula(t *testing.T) {
	want := map[float64][]float64{
		50: {4.38, 4.30, 4.09, 3.87, 3.35, 2.57}, 150: {4.33, 4.23, 4.00, 3.77, 3.23, 2.44},
		250: {3.99, 3.85, 3.55, 3.28, 2.69, 1.92}, 400: {3.05, 2.86, 2.52, 2.23, 1.70, 1.17},
	}
	for delay, row := range want {
		for i, loss := range []float64{0, 1, 3, 5, 10, 20} {
			if got := mos(delay, loss); math.Abs(got-row[i]) > 0.0051 {
				t.Errorf("%v ms, %v %%: %.3f, want %v", delay, loss, got, row[i])
			}
		}
	}
	m := payload.Media{Active: true, Values: [payload.Measures]cgi.Reading{
		payload.Loss: cgi.Known(0), payload.Delay: cgi.Known(40), payload.Jitter: cgi.Known(5)}}
	if got := estimateMOS(&m); got != cgi.Known(payload.Round(mos(50, 0), 2)) {
		t.Errorf("jitter enters as twice its delay: %v", got)
	}
	m.Values[payload.Delay] = cgi.Reading{}
	if got := estimateMOS(&m); got.Known {
		t.Errorf("no delay, no estimate: %v", got)
	}
	if mos(1e9, 100) != 1 {
		t.Error("the scale ends at 1")
	}
}

func TestStateOfAnotherVersionIsRefused(t *testing.T) {
	if _, err := UnmarshalState([]byte(`{"v":3}`)); !errors.Is(err, ErrStateVersion) {
		t.Errorf("%v", err)
	}
	for _, b := range []string{`{"v":1,"call":{"last":7}}`, `{"v":1,"minute":{"points":[{"c":1}]}}`, "{", `[]`,
		`{"v":1,"call":{"media":[{"l":[1,2,2,2,"AQIAAg"]}]}}`, `{"v":1,"call":{"media":[{"l":[1,2,2,2,"AQ"]}]}}`,
		`{"v":1,"call":{"media":[{"l":[1,2,2,2,"/////////////w"]}]}}`, `{"v":1,"call":{"media":[{"l":[1,2,2,2,"?"]}]}}`,
		`{"v":1,"call":{"media":[{"l":[1,2,2]}]}}`, `{"v":1,"call":{"media":[{"l":[-1,2,2,2]}]}}`,
		`{"v":1,"call":{"media":[{"l":[1.5,2,2,2]}]}}`, `{"v":1,"minute":{"media":[{"last":[1,2]}]}}`,
		`{"v":1,"call":{"media":[{"l":[1,2,2,2,"BQE"]}]}}`, `{"v":1,"minute":{"media":[{"l":[-1,2,2,2]}]}}`,
		`{"v":2,"call":{"last":-1}}`, `{"v":2,"call":{"media":[{"l":[1,2,2]}]}}`, `{"v":2,"call":{"media":[{"l":[-1,2,2,2]}]}}`,
		`{"v":2,"call":{"media":[{"l":[1.5,2,2,2]}]}}`, `{"v":2,"call":{"media":[{"l":[1,2,2,2,5]}]}}`,
		`{"v":2,"call":{"media":[{"l":[1,2,2,2,255,1,1]}]}}`, `{"v":2,"call":{"media":[{"l":[1,2,2,2,5,-1]}]}}`,
		`{"v":2,"call":{"media":[{"l":[1,2,2,2,"AQIAAg"]}]}}`, `{"v":2,"minute":{"points":[{"c":-1}]}}`} {
		if _, err := UnmarshalState([]byte(b)); err == nil {
			t.Errorf("%s: no error", b)
		}
	}
	if _, err := UnmarshalState(append(bytes.Repeat([]byte(" "), maxState), `{"v":2}`...)); err == nil {
		t.Error("a state of more than 4 MiB is read")
	}
	if st, err := UnmarshalState(nil); err != nil || st.d.Seq != nil {
		t.Errorf("no bytes are a new device: %v", err)
	}
}

func FuzzStateNeverBreaksAPoll(f *testing.F) {
	_, st := script(f, reporter(f, func(s *Settings) { s.Views = Views() }), poll(0, documented()), poll(5, bad(20)), poll(10, bad(20)), poll(15, bad(20)))
	b, err := st.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, name := range []string{"state_v1_call.json", "state_v1_views.json"} {
		old, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(old)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := UnmarshalState(b)
		if err != nil {
			return
		}
		r := reporter(t, func(s *Settings) { s.Views = Views() })
		for _, p := range []Poll{poll(20, bad(20)), failed(25, cgi.KindUnreachable, "timeout"), poll(90, documented()), poll(95, idle())} {
			var out Output
			st, out = r.Poll(st, p)
			for _, rec := range out.Records {
				object(t, rec.Payload)
			}
		}
	})
}

func BenchmarkPoll(b *testing.B) {
	for _, c := range []struct {
		name string
		st   cgi.Status
	}{{"in-call", documented()}, {"idle", idle()}} {
		b.Run(c.name, func(b *testing.B) {
			r := reporter(b, nil)
			var st State
			b.ReportAllocs()
			for i := range b.N {
				st, _ = r.Poll(st, poll(float64(5*i), c.st))
			}
		})
	}
}

// BenchmarkStreams reports polls of calls with more and more received video streams.
func BenchmarkStreams(b *testing.B) {
	for _, n := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := documented()
			s.VideoRecv = slices.Repeat(s.VideoRecv[:1], n)
			r, published := reporter(b, nil), 0
			var st State
			b.ReportAllocs()
			for i := range b.N {
				var out Output
				st, out = r.Poll(st, poll(float64(5*i), s))
				for _, rec := range out.Records {
					published += len(rec.Payload)
				}
			}
			each := float64(b.N * n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/each, "ns/stream")
			b.ReportMetric(float64(published)/each, "payload-B/stream")
		})
	}
}

func BenchmarkStateMarshal(b *testing.B) {
	st := longCall(b)
	b.ReportAllocs()
	for range b.N {
		if _, err := st.Marshal(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMinuteHasTheMeanOfTheMOSEstimate(t *testing.T) {
	s := documented()
	s.AudioRecv.LossPct = cgi.Known(10)
	records, _ := script(t, reporter(t, nil), poll(0, documented()), poll(5, s), poll(60, idle()))
	m, c := of(t, records, "minute")[0], of(t, records, "call")[0]
	if m["audio_recv_mos_est_avg"] == nil || m["audio_recv_mos_est_avg"] != c["audio_recv_mos_est_avg"] {
		t.Errorf("minute %v, call %v", m["audio_recv_mos_est_avg"], c["audio_recv_mos_est_avg"])
	}
	if m["video_recv_mos_est_avg"] != nil {
		t.Error("video has a MOS")
	}
}
