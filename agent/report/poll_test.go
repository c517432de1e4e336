package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"roomcall/cgi"
)

func TestDocumentedCallGivesTheGoldenRecords(t *testing.T) {
	r := reporter(t, nil)
	later := documented()
	later.JoinMinutes = cgi.Known(1)
	busy := failed(75, cgi.KindBusy, "session_limit")
	busy.Err.(*cgi.Error).ID, busy.Err.(*cgi.Error).Code = 100666995, 16781313
	records, _ := script(t, r, poll(0, idle()), poll(15, documented()), poll(20, documented()),
		poll(70, later), busy, poll(80, idle()), poll(85, idle()))
	golden(t, "documented.jsonl", lines(records))
}

func TestSampleSaysOnlyWhatTheEndpointSaid(t *testing.T) {
	r := reporter(t, nil)
	two := documented()
	two.AudioSend = cgi.Stream{Active: true, Codec: "opus"}
	two.VideoRecv = []cgi.Stream{{}, {Active: true, BitrateKbps: cgi.Known(0.1), FPS: cgi.Known(9), LossPackets: cgi.Known(7)},
		{Active: true, BitrateKbps: cgi.Known(0.2), FPS: cgi.Known(5), LossPackets: cgi.Known(4)}}
	unknown := documented()
	unknown.Call = cgi.CallUnknown
	for _, c := range []struct {
		name      string
		poll      Poll
		has, lack string
	}{
		{"idle", poll(0, idle()), `"endpoint_state":"idle","endpoint_state_code":0,"in_call":0,"grade":"unknown","grade_code":0}`, "call_id audio_ video_ null"},
		{"failed", failed(0, cgi.KindUnreachable, "timeout"), `"poll_ok":0,"poll_ms":42,"endpoint_state":"unreachable","endpoint_state_code":2,"err":"timeout","grade":"unknown"`, "in_call call_id audio_ err_id model"},
		{"other error", Poll{Device: "room-1", At: day, Err: errors.New("secret detail")}, `"endpoint_state":"error","endpoint_state_code":6,"err":"error"`, "secret"},
		{"contradiction", poll(0, unknown), `"audio_send_bitrate_kbps":35.62`, "endpoint_state in_call call_id"},
		{"no readings", poll(0, two), `"audio_send_codec":"opus","audio_recv_`, "audio_send_loss audio_send_mos audio_send_delay"},
		{"sum without noise", poll(0, two), `"video_recv_bitrate_kbps":0.3,`, "video_recv_fps\" video_recv_width video_recv_codec"},
		{"worst and lowest", poll(0, two), `"video_recv_loss_packets":7,"video_recv_streams":2,"video_recv_fps_min":5`, "video_recv_loss_pct"},
		{"empty names stay", poll(0, idle()), `"client_id":"agent-1","site":"Stuttgart","room":"会议室 1","device":"room-1"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, out := r.Poll(State{}, c.poll)
			got := string(out.Sample)
			if !strings.Contains(got, c.has) {
				t.Errorf("no %s in\n%s", c.has, got)
			}
			for _, w := range strings.Fields(c.lack) {
				if strings.Contains(got, w) {
					t.Errorf("%s is in\n%s", w, got)
				}
			}
		})
	}
}

func TestEmptySiteAndRoomStayAsEmptyTexts(t *testing.T) {
	r := reporter(t, func(s *Settings) { s.Site, s.Devices[0].Room = "", "" })
	_, out := r.Poll(State{}, poll(0, idle()))
	if !strings.Contains(string(out.Sample), `"site":"","room":"",`) {
		t.Errorf("%s", out.Sample)
	}
}

func TestPollLeavesItsStateAsItWas(t *testing.T) {
	r := reporter(t, nil)
	_, st := script(t, r, poll(0, documented()), poll(5, bad(20)), poll(10, bad(20)))
	before, _ := st.Marshal()
	for range 3 {
		r.Poll(st, poll(15, bad(20)))
		r.Poll(st, failed(75, cgi.KindUnreachable, "timeout"))
		r.Poll(st, poll(200, idle()))
	}
	if after, _ := st.Marshal(); string(after) != string(before) {
		t.Errorf("state changed\nfrom %s\nto   %s", before, after)
	}
}

func TestIntervalFollowsTheCall(t *testing.T) {
	r := reporter(t, nil)
	var st State
	for i, c := range []struct {
		p    Poll
		want time.Duration
	}{
		{poll(0, idle()), 15 * time.Second},
		{poll(5, documented()), 5 * time.Second},
		{failed(10, cgi.KindUnreachable, "timeout"), 5 * time.Second},
		{poll(15, idle()), 15 * time.Second},
	} {
		var out Output
		if st, out = r.Poll(st, c.p); out.Interval != c.want {
			t.Errorf("poll %d: interval %v, want %v", i, out.Interval, c.want)
		}
		if got := out.Records[0].Fresh; got != 2*c.want {
			t.Errorf("poll %d: fresh %v", i, got)
		}
	}
}

func TestAChangeOfStateGradeOrCallShows(t *testing.T) {
	r := reporter(t, nil)
	var st State
	last := "nothing"
	good, poor := documented(), documented()
	poor.VideoRecv[0].LossPct = cgi.Known(50)
	for i, c := range []struct {
		p       Poll
		changes bool
	}{
		{poll(0, idle()), true}, {poll(15, idle()), false},
		{poll(20, good), true}, {poll(25, good), false},
		{poll(30, poor), true}, {poll(35, poor), false},
		{failed(40, cgi.KindUnreachable, "timeout"), true}, {failed(45, cgi.KindUnreachable, "timeout"), false},
	} {
		var out Output
		st, out = r.Poll(st, c.p)
		if changes := out.Shows != last; changes != c.changes {
			t.Errorf("poll %d: %q after %q", i, out.Shows, last)
		}
		last = out.Shows
	}
}

func TestRecordIsFreshForTwoIntervalsAndAtLeastTwoSeconds(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{100 * time.Millisecond: 2 * time.Second, time.Second: 2 * time.Second, 5 * time.Second: 10 * time.Second} {
		r := reporter(t, func(s *Settings) { s.Devices[0].PollInterval = interval })
		_, out := r.Poll(State{}, poll(0, documented()))
		if got := out.Records[0].Fresh; got != want {
			t.Errorf("interval %v: fresh for %v, want %v", interval, got, want)
		}
	}
}

func TestSamplesThatAreNotRecordedLeaveNoHoleInTheirNumbers(t *testing.T) {
	off := reporter(t, func(s *Settings) { s.Kinds = []string{"event"} })
	on := reporter(t, nil)
	st, out := on.Poll(State{}, poll(0, idle()))
	st, _ = off.Poll(st, poll(15, idle()))
	st, last := off.Poll(st, poll(30, idle()))
	m := object(t, last.Sample)
	if m["id"] != "agent-1.1772000000.room-1.state.2" || m["schema"] != "roomcall.sample/1.0" {
		t.Errorf("state %v, %v", m["id"], m["schema"])
	}
	_, again := on.Poll(st, poll(45, idle()))
	if a, b := out.Records[0].Seq, again.Records[0].Seq; a != 1 || b != 2 {
		t.Errorf("samples %d and %d, want 1 and 2", a, b)
	}
}

func TestPeerNamesFollowTheSetting(t *testing.T) {
	for setting, want := range map[string]string{"": "", "off": "", "plain": `"peer":"site1"`, "hash": `"peer":"`} {
		r := reporter(t, func(s *Settings) { s.Devices[0].PeerNames = setting })
		records, _ := script(t, r, poll(0, documented()))
		got := string(lines(records))
		if strings.Contains(got, `"peer"`) != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%q gives %s", setting, got)
		}
		if setting != "plain" && strings.Contains(got, "site1") {
			t.Errorf("%q shows the name", setting)
		}
	}
}

func TestPeerHashDependsOnNameAndKey(t *testing.T) {
	hash := func(key, name string) string {
		r := reporter(t, func(s *Settings) { s.Devices[0].PeerNames, s.PeerKey = "hash", []byte(key) })
		st := documented()
		st.VideoRecv[0].Name = name
		records, _ := script(t, r, poll(0, st))
		for _, m := range of(t, records, "stream") {
			if peer, ok := m["peer"].(string); ok {
				return peer
			}
		}
		return ""
	}
	a := hash("key a", "site1")
	if len(a) != 16 || a != hash("key a", "site1") || a == hash("key b", "site1") || a == hash("key a", "site2") {
		t.Errorf("%q", a)
	}
}

func TestTextsAreBoundedAndStayWhole(t *testing.T) {
	s := documented()
	s.Model, s.AudioSend.Codec, s.VideoRecv[0].Name = strings.Repeat("会", 90), strings.Repeat("会", 90), strings.Repeat("会", 90)
	records, _ := script(t, reporter(t, nil), poll(0, s))
	want := strings.Repeat("会", 85) // 255 bytes; another one is beyond 256
	sample := of(t, records, "sample")[0]
	if sample["model"] != want || sample["audio_send_codec"] != want {
		t.Errorf("%v, %v", sample["model"], sample["audio_send_codec"])
	}
	for _, m := range of(t, records, "stream") {
		if peer, ok := m["peer"]; ok && peer != want {
			t.Errorf("%v", peer)
		}
	}
}

func TestMinuteClosesAtItsEndAndIsDatedThere(t *testing.T) {
	r := reporter(t, nil)
	_, st := script(t, r, poll(5, idle()), failed(20, cgi.KindBusy, "session_limit"), poll(59.999, idle()))
	at := day.Add(time.Minute)
	if _, early := r.Tick(st, "room-1", at.Add(-time.Millisecond)); len(early) != 0 {
		t.Errorf("closed before its end: %s", lines(early))
	}
	for name, records := range map[string][]Record{
		"tick": func() []Record { _, out := r.Tick(st, "room-1", at); return out }(),
		"poll": func() []Record { _, out := r.Poll(st, poll(60, idle())); return out.Records }(),
	} {
		minutes := of(t, records, "minute")
		if len(minutes) != 1 {
			t.Fatalf("%s: %d minutes", name, len(minutes))
		}
		m := minutes[0]
		if m["minute_ms"] != float64(day.UnixMilli()) || m["ts_ms"] != float64(at.UnixMilli()) ||
			m["samples"] != 3.0 || m["samples_ok"] != 2.0 || m["coverage_pct"] != 50.0 {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestMarkReplayedAddsOneKey(t *testing.T) {
	for in, want := range map[string]string{
		`{"v":1}`:              `{"v":1,"replayed":1}`,
		`{"v":1,"replayed":1}`: `{"v":1,"replayed":1}`,
		`{}`:                   `{}`,
		``:                     ``,
		`[1]`:                  `[1]`,
	} {
		if got := string(MarkReplayed([]byte(in))); got != want {
			t.Errorf("%s gives %s, want %s", in, got, want)
		}
	}
}

func TestUnknownDeviceGivesNothing(t *testing.T) {
	r := reporter(t, nil)
	if _, out := r.Poll(State{}, Poll{Device: "nobody", At: day}); len(out.Records) != 0 || out.Sample != nil {
		t.Errorf("%+v", out)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"kind":     func(s *Settings) { s.Kinds = []string{"samples"} },
		"view":     func(s *Settings) { s.Views = []string{"teams"} },
		"reserved": func(s *Settings) { s.Devices[0].Name = "agent" },
		"twice":    func(s *Settings) { s.Devices = append(s.Devices, s.Devices[0]) },
		"interval": func(s *Settings) { s.Devices[0].PollInterval = 0 },
		"peers":    func(s *Settings) { s.Devices[0].PeerNames = "yes" },
		"key":      func(s *Settings) { s.Devices[0].PeerNames, s.PeerKey = "hash", nil },
	} {
		s := settings()
		change(&s)
		if _, err := New(s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// bad is the documented call with a loss of received video.
func bad(loss float64) cgi.Status {
	s := documented()
	s.VideoRecv[0].LossPct = cgi.Known(loss)
	return s
}
