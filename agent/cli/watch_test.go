package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/publish"
)

// noon is the time of the tests that show one.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stateOf is the state of a device as an agent publishes it.
func stateOf(client, device, keys string) publish.Received {
	if keys != "" {
		keys = "," + keys
	}
	return publish.Received{Topic: "roomcall/v1/" + client + "/" + device + "/state",
		Payload: fmt.Appendf(nil, `{"v":1,"schema":"roomcall.sample/1.0","client_id":%q,"device":%q%s}`, client, device, keys)}
}

func availabilityOf(client, said string) publish.Received {
	return publish.Received{Topic: "roomcall/v1/" + client + "/availability", Payload: []byte(said), Retained: true}
}

// largeFleet is a fleet of n agents with a room each, some in trouble.
func largeFleet(n int) *fleet {
	f := newFleet()
	f.connected("tls://mqtt.example.org:8883", noon.Add(-time.Minute))
	for i := range n {
		client := fmt.Sprintf("pc-%04d", i)
		room := fmt.Sprintf(`"room":"会议室 %d 号楼 %d 层","ts_ms":%d,`, i/40, i%40, noon.Add(-3*time.Second).UnixMilli())
		keys := `"endpoint_state":"idle"`
		switch {
		case i%97 == 13:
			keys = `"endpoint_state":"unreachable","err":"the endpoint does not answer"`
		case i%211 == 5:
			keys = `"endpoint_state":"refused","err":"user or password is refused"`
		case i%53 == 8:
			keys = `"endpoint_state":"in_call","in_call":1,"grade":"poor","grade_reasons":"audio_send_loss,video_send_loss","audio_send_loss_pct":12,` +
				`"video_send_loss_pct":8,"audio_recv_loss_pct":0.1,"video_recv_loss_pct":0,"audio_send_jitter_ms":14,"audio_send_delay_ms":60,"video_send_bitrate_kbps":1920,"video_send_fps":25`
		case i%31 == 2:
			keys = `"endpoint_state":"in_call","in_call":1,"grade":"fair","grade_reasons":"video_recv_loss","video_recv_loss_pct":1.5`
		case i%3 == 0:
			keys = `"endpoint_state":"in_call","in_call":1,"grade":"good","audio_recv_loss_pct":0.1`
		}
		m := stateOf(client, "hub", room+keys)
		m.Retained = true
		f.add(m, noon.Add(-3*time.Second))
	}
	for i := 7; i < n; i += 500 {
		f.add(availabilityOf(fmt.Sprintf("pc-%04d", i), "lost"), noon.Add(-2*time.Second))
	}
	return f
}

// table is what a screen of a size shows of a fleet.
func tableOf(f *fleet, width, height int, keys ...string) (*fleetScreen, string) {
	s := &fleetScreen{fleet: f, lang: health.English, now: func() time.Time { return noon }}
	s.resize(width, height)
	for _, key := range keys {
		s.press(key)
	}
	return s, s.text()
}

// text is what is on the screen, cut at its width as on a terminal.
func (s *fleetScreen) text() string {
	var lines []string
	for _, line := range s.lines() {
		lines = append(lines, host.Plain(host.Cut(line, s.width, "")))
	}
	return strings.Join(lines, "\n")
}

func namesOf(rows []*fleetRow) (names []string) {
	for _, r := range rows {
		names = append(names, r.client)
	}
	return names
}

func TestTheWorstRoomsComeFirst(t *testing.T) {
	f := newFleet()
	f.connected("tcp://broker:1883", noon.Add(-time.Hour))
	old := noon.Add(-quietMin - time.Second)
	call := func(grade string) string { return fmt.Sprintf(`"endpoint_state":"in_call","grade":%q`, grade) }
	want := []string{"lost", "unreachable", "refused", "error", "busy", "upgrading", "poor", "fair", "stale", "unknown", "good", "idle"}
	for i, keys := range map[int]string{11: `"endpoint_state":"idle"`, 10: call("good"), 9: call("unknown"), 7: call("fair"), 6: call("poor"),
		5: `"endpoint_state":"upgrading","room":"z"`, 4: `"endpoint_state":"busy","room":"y"`, 3: `"endpoint_state":"error"`,
		2: `"endpoint_state":"refused"`, 1: `"endpoint_state":"unreachable"`, 0: call("good")} {
		f.add(stateOf(want[i], "hub", keys), noon)
	}
	f.add(stateOf("stale", "hub", call("poor")), old)
	f.add(availabilityOf("lost", "lost"), noon)
	f.judgeAll(noon)
	if got := namesOf(f.list("", byWorst)); !slices.Equal(got, want) {
		t.Errorf("the order is %v", got)
	}
	counted := 0
	for r, n := range f.count() {
		if wanted := map[bool]int{true: 2, false: 1}[rank(r) == rankBusy]; n != wanted {
			t.Errorf("%d rows are %s", n, rankWords[r])
		}
		counted += n
	}
	if counted != len(want) {
		t.Errorf("%d rows are counted", counted)
	}
	_, text := tableOf(f, 200, 40)
	for _, part := range []string{"12 rooms  1 agent lost  1 unreachable  1 refused  1 error  2 busy  1 poor  1 fair  1 stale  1 call, not graded  1 good  1 idle"} {
		if !strings.Contains(text, part) {
			t.Errorf("the summary is not %q:\n%s", part, text)
		}
	}
}

func TestBrokenRoomsOfALargeFleetAreOnTheFirstScreen(t *testing.T) {
	s, text := tableOf(largeFleet(200), 80, 40)
	if rows := s.table(); len(rows) != 1+s.page() || len(rows) > 40 {
		t.Errorf("%d rows are rendered for a screen of 40", len(rows))
	}
	for _, word := range []string{"agent lost", "unreachable", "refused"} {
		if !strings.Contains(text, word) {
			t.Errorf("%s is not on the screen:\n%s", word, text)
		}
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 40 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if host.Columns(line) > 80 {
			t.Errorf("%q is wider than the screen", line)
		}
	}
}

func TestKeysMoveFilterAndSort(t *testing.T) {
	f := largeFleet(100)
	s, _ := tableOf(f, 80, 24)
	page := s.page() - 1
	for _, step := range []struct {
		keys string
		at   int
	}{{"down", 1}, {"down", 2}, {"up", 1}, {"pgdown", 1 + page}, {"pgup", 1}, {"end", 99}, {"down", 99}, {"home", 0}, {"up", 0}} {
		if s.press(step.keys); s.at != step.at {
			t.Errorf("after %s row %d is chosen, not %d", step.keys, s.at, step.at)
		}
		if s.at < s.top || s.at >= s.top+s.page() {
			t.Errorf("after %s row %d is not on the screen, which begins with %d", step.keys, s.at, s.top)
		}
	}
	_, text := tableOf(f, 80, 24, "/", "r", "e", "f", "u", "x", "backspace", "enter")
	if !strings.Contains(text, "/refu") || !strings.Contains(text, "refused") || strings.Contains(text, "idle ") {
		t.Errorf("filtered:\n%s", text)
	}
	if _, text = tableOf(f, 80, 24, "/", "x", "y", "esc"); !strings.Contains(text, "1/100") {
		t.Errorf("Esc did not clear the filter:\n%s", text)
	}
	if _, text = tableOf(f, 80, 24, "/", "q"); !strings.Contains(text, "/q_  0 of 100") {
		t.Errorf("a key while the filter is typed:\n%s", text)
	}
	s, _ = tableOf(f, 80, 24, "s")
	if !slices.IsSortedFunc(s.rows, func(a, b *fleetRow) int { return strings.Compare(a.name(), b.name()) }) {
		t.Errorf("sorted by name: %v", namesOf(s.rows))
	}
	for _, end := range []string{"q", "ctrl+c"} {
		if !s.press(end) {
			t.Errorf("%s does not end", end)
		}
	}
}

func TestTheChosenRoomStaysChosenWhenTheOrderChanges(t *testing.T) {
	f := largeFleet(20)
	s, _ := tableOf(f, 80, 24, "down", "down", "down", "down", "down")
	chosen := s.rows[s.at]
	f.add(stateOf("pc-0019", "hub", `"endpoint_state":"unreachable"`), noon)
	s.resize(s.width, s.height)
	if s.rows[s.at] != chosen {
		t.Errorf("%s is chosen now, not %s", s.rows[s.at].name(), chosen.name())
	}
	s.press("home")
	f.add(stateOf("pc-0000", "hub", `"endpoint_state":"unreachable","room":"!"`), noon)
	f.add(availabilityOf("pc-0000", "lost"), noon)
	s.resize(s.width, s.height)
	if s.at != 0 || s.rows[0].client != "pc-0000" {
		t.Errorf("the first row is %s, row %d is chosen", s.rows[0].name(), s.at)
	}
}

func TestNamesAreCutAndAlignedByColumns(t *testing.T) {
	f := newFleet()
	f.add(stateOf("a", "hub", `"room":"Short","endpoint_state":"idle"`), noon)
	f.add(stateOf("b", "hub", `"room":"一二三四五六七八九十一二三四五六七八九十","endpoint_state":"idle"`), noon)
	f.add(stateOf("c", "hub", `"room":"x一二三四五六七八九十一二三四五六七八九十","endpoint_state":"idle"`), noon)
	_, text := tableOf(f, 80, 24)
	at := map[int]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		if before, _, ok := strings.Cut(line, "idle"); ok && !strings.Contains(line, "rooms") {
			at[host.Columns(before)] = true
		}
		if strings.Contains(line, "\ufffd") {
			t.Errorf("half a character in %q", line)
		}
	}
	if len(at) != 1 {
		t.Errorf("the states begin in the columns %v:\n%s", at, text)
	}
}

func TestNamesCannotSteerTheTerminal(t *testing.T) {
	f := newFleet()
	f.add(stateOf("a", "hub", `"room":"x\u001b[2Jy\u202ez\u0007\u009b1m","endpoint_state":"refused","err":"\u001b]0;title\u0007"`), noon)
	f.disconnected(errors.New("bad\x1b[2Jthing"), noon)
	s, _ := tableOf(f, 80, 24)
	for _, keys := range []string{"", "enter"} {
		if keys != "" {
			s.press(keys)
		}
		if text := s.text(); strings.ContainsAny(text, "\x1b\x07\u202e\u009b") {
			t.Errorf("the screen has %q", text)
		}
	}
	if line := f.rows["a/hub"].line(noon); strings.ContainsAny(line, "\x1b\x07\u202e\u009b") {
		t.Errorf("the line is %q", line)
	}
}

func TestTheFleetIsBounded(t *testing.T) {
	f := newFleet()
	f.connected("tcp://broker:1883", noon)
	for i := range fleetMax + 50 {
		f.add(stateOf(fmt.Sprintf("pc-%d", i), "hub", `"endpoint_state":"idle"`), noon)
		f.add(availabilityOf(fmt.Sprintf("other-%d", i), "lost"), noon)
		f.add(availabilityOf(fmt.Sprintf("Foreign thing %d", i), "on"), noon)
	}
	if len(f.rows) > fleetMax || len(f.gone) > fleetMax {
		t.Errorf("%d rows, %d agents", len(f.rows), len(f.gone))
	}
	if _, text := tableOf(f, 80, 24); !strings.Contains(text, "more devices than are shown") {
		t.Errorf("it does not say so:\n%s", text)
	}
	f = newFleet()
	f.add(stateOf("a", "hub", `"room":"`+strings.Repeat("长", 100_000)+`"`), noon)
	f.add(stateOf("a", "hub", `"endpoint_state":"`+strings.Repeat("x", 5000)+`"`), noon)
	if r := f.rows["a/hub"]; r == nil || len(r.state) > 4*nameMax || r.room != "" {
		t.Errorf("kept: %+v", r)
	}
	for i := range 100_000 {
		f.add(stateOf("a", "hub", `"endpoint_state":"idle"`), noon.Add(time.Duration(i)*time.Minute))
	}
	if n := len(f.rows["a/hub"].past.points); n > historyMax {
		t.Errorf("a history of %d points", n)
	}
}

func TestWhatCannotBeSeenIsSaid(t *testing.T) {
	f := newFleet()
	f.connected("tcp://broker:1883", noon.Add(-retainedPatience-time.Second))
	f.add(stateOf("a", "hub", `"endpoint_state":"idle"`), noon)
	if _, text := tableOf(f, 120, 24); !strings.Contains(text, "sent no stored states") {
		t.Errorf("no retained state came:\n%s", text)
	}
	m := stateOf("b", "hub", `"endpoint_state":"idle"`)
	m.Retained = true
	f.add(m, noon)
	if _, text := tableOf(f, 120, 24); strings.Contains(text, "sent no stored states") {
		t.Errorf("a retained state came:\n%s", text)
	}
	f.disconnected(errors.New("connection reset"), noon.Add(-90*time.Second))
	if _, text := tableOf(f, 120, 24); !strings.Contains(text, "No link to the broker for") || !strings.Contains(text, "connection reset") {
		t.Errorf("the link is lost:\n%s", text)
	}
}

func TestSilenceIsStaleButForATimeWithoutALink(t *testing.T) {
	f := newFleet()
	f.connected("tcp://broker:1883", noon)
	f.add(stateOf("a", "hub", `"endpoint_state":"idle"`), noon)
	rankAt := func(after time.Duration) rank {
		f.judgeAll(noon.Add(after))
		return f.rows["a/hub"].rank
	}
	if r := rankAt(quietMin); r != rankIdle {
		t.Errorf("after two minutes it is %s", rankWords[r])
	}
	if r := rankAt(quietMin + time.Second); r != rankStale {
		t.Errorf("then it is %s", rankWords[r])
	}
	f.add(stateOf("a", "hub", `"endpoint_state":"idle"`), noon.Add(10*time.Minute))
	if r := rankAt(39 * time.Minute); r != rankIdle {
		t.Errorf("a room that reports every ten minutes is %s after 29", rankWords[r])
	}
	if r := rankAt(41 * time.Minute); r != rankStale {
		t.Errorf("after 31 it is %s", rankWords[r])
	}
	f.add(stateOf("a", "hub", `"endpoint_state":"idle"`), noon.Add(50*time.Minute))
	f.disconnected(errors.New("gone"), noon.Add(51*time.Minute))
	if r := rankAt(10 * time.Hour); r != rankIdle {
		t.Errorf("without a link it is %s", rankWords[r])
	}
	f.connected("tcp://broker:1883", noon.Add(10*time.Hour))
	if r := rankAt(10*time.Hour + time.Minute); r != rankIdle {
		t.Errorf("a minute after the link is back it is %s", rankWords[r])
	}
}

func TestABrokerThatIsStoppedMakesNoAgentLost(t *testing.T) {
	f := newFleet()
	f.connected("tcp://broker:1883", noon.Add(-time.Hour))
	for _, client := range []string{"a", "b"} {
		f.add(stateOf(client, "hub", `"endpoint_state":"idle"`), noon)
	}
	f.add(availabilityOf("b", "lost"), noon.Add(-time.Minute))
	f.add(availabilityOf("a", "lost"), noon)
	f.add(availabilityOf("c", "lost"), noon)
	f.disconnected(errors.New("EOF"), noon.Add(time.Second))
	f.judgeAll(noon.Add(time.Second))
	if a, b, c := f.rows["a/hub"], f.rows["b/hub"], f.rows["c/"]; a.rank != rankIdle || b.rank != rankLost || c != nil {
		t.Errorf("a is %s, b is %s, c is %+v", rankWords[a.rank], rankWords[b.rank], c)
	}
}

func TestAnAgentThatIsAwayIsShownWithAndWithoutItsRooms(t *testing.T) {
	f := newFleet()
	f.add(availabilityOf("alone", "lost"), noon)
	if r := f.rows["alone/"]; r == nil || r.rank != rankLost || !strings.Contains(r.line(noon), "alone  -  agent lost") {
		t.Errorf("an agent without a room: %+v", r)
	}
	f.add(stateOf("alone", "hub", `"endpoint_state":"idle"`), noon)
	if len(f.rows) != 1 || f.rows["alone/hub"].rank != rankLost {
		t.Errorf("with its room: %+v", f.rows)
	}
	f.add(availabilityOf("alone", "online"), noon)
	if r := f.rows["alone/hub"]; r.rank != rankIdle {
		t.Errorf("back: %s", rankWords[r.rank])
	}
	f.add(availabilityOf("alone", "offline"), noon)
	if _, text := tableOf(f, 80, 24); !strings.Contains(text, "agent stopped") {
		t.Errorf("stopped in good order:\n%s", text)
	}
	f.add(publish.Received{Topic: "roomcall/v1/alone/hub/state"}, noon)
	if len(f.rows) != 0 {
		t.Errorf("a device that left: %+v", f.rows)
	}
}

func TestALateRecordDoesNotHideTheNewestState(t *testing.T) {
	f := newFleet()
	f.add(stateOf("a", "hub", `"endpoint_state":"idle","ts_ms":2000`), noon)
	f.add(stateOf("a", "hub", `"endpoint_state":"in_call","ts_ms":1000,"replayed":1`), noon)
	if r := f.rows["a/hub"]; r.state != "idle" {
		t.Errorf("the state is %s", r.state)
	}
	f.add(stateOf("a", "hub", `"endpoint_state":"in_call","ts_ms":1000`), noon)
	if r := f.rows["a/hub"]; r.state != "in_call" {
		t.Error("a clock that was set back stops the table")
	}
}

func TestHistoryCoversAllOfTheTime(t *testing.T) {
	f := newFleet()
	for i := range 1000 {
		loss := 0
		if i == 3 {
			loss = 9
		}
		f.add(stateOf("a", "hub", fmt.Sprintf(`"endpoint_state":"in_call","grade":"good","audio_recv_loss_pct":%d`, loss)), noon.Add(time.Duration(i)*5*time.Second))
	}
	h := f.rows["a/hub"].past
	if len(h.points) > historyMax || h.points[0].loss != 9 || time.Duration(len(h.points))*h.step < 999*5*time.Second {
		t.Errorf("%d points of %s, the first with %g %%", len(h.points), h.step, h.points[0].loss)
	}
	line, most := spark(h.points, func(p point) float32 { return p.loss })
	if most != 9 || !strings.HasPrefix(line, "█▁▁") {
		t.Errorf("%q, at most %g", line, most)
	}
}

func TestOnlyAChangeIsALine(t *testing.T) {
	r := &fleetRow{client: "a", device: "hub", state: "in_call", grade: "poor", metric: "audio_send_loss", value: 12, rank: rankPoor, heard: noon, room: "会议室"}
	was := r.change()
	r.value = 13
	if r.change() != was {
		t.Error("a value alone is a change")
	}
	if got := r.line(noon); got != "2026-03-01T12:00:00Z  a  hub  in_call  poor  loss 13 % audio send  会议室" {
		t.Errorf("the line is %q", got)
	}
	r.metric = "video_send_loss"
	if r.change() == was {
		t.Error("another metric is no change")
	}
}

// TestPipedAChangeIsALine: one for each change, also for one that comes because nothing
// comes, and none for a value alone.
func TestPipedAChangeIsALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs lockedBuffer
		w := &watcher{app: &app{stdout: &out, stderr: &errs}, fleet: newFleet(), now: time.Now}
		err := w.lines(t.Context(), func(changed func([]*fleetRow), note func(string)) error {
			w.fleet.connected("tcp://broker:1883", time.Now())
			for _, m := range []publish.Received{
				stateOf("a", "hub", `"endpoint_state":"in_call","grade":"poor","grade_reasons":"audio_send_loss","audio_send_loss_pct":12`),
				stateOf("a", "hub", `"endpoint_state":"in_call","grade":"poor","grade_reasons":"audio_send_loss","audio_send_loss_pct":13`),
				stateOf("a", "hub", `"endpoint_state":"in_call","grade":"good","audio_send_loss_pct":0.1`),
				availabilityOf("a", "lost"), availabilityOf("a", "lost"), availabilityOf("a", "online"),
			} {
				changed(w.fleet.add(m, time.Now()))
			}
			time.Sleep(quietMin + 2*refreshEvery)
			note("the link is lost")
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		var said []string
		for line := range strings.SplitSeq(strings.TrimSpace(out.take()), "\n") {
			said = append(said, strings.TrimSpace(line[strings.Index(line, "a  hub"):]))
		}
		want := []string{"a  hub  in_call  poor  loss 12 % audio send", "a  hub  in_call  good  loss 0.1 % audio send",
			"a  hub  agent lost  -  -", "a  hub  in_call  good  loss 0.1 % audio send", "a  hub  stale  -  -"}
		if !slices.Equal(said, want) {
			t.Errorf("the lines are\n%s", strings.Join(said, "\n"))
		}
		if notes := errs.take(); strings.Count(notes, "sent no stored states") != 1 || !strings.Contains(notes, "the link is lost\n") {
			t.Errorf("on stderr:\n%s", notes)
		}
	})
}
