package story

import (
	cmp2 "cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"roomcall/agent/health"
	"roomcall/agent/host"
	"roomcall/agent/report"
	"roomcall/agent/report/payload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

var begin = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func at(minutes float64) int64 { return begin.UnixMilli() + int64(60_000*minutes) }

// book makes records with the numbers that an agent would give them.
type book struct {
	lines  []string
	seq    map[string]uint64
	rename string // another name of a room
}

func (b *book) add(device, kind string, ms int64, r payload.Record) {
	if b.seq == nil {
		b.seq = map[string]uint64{}
	}
	b.seq[device+kind]++
	p := payload.Place{ClientID: "pc-1", Site: "Site", Device: device, Epoch: 7}
	if device != report.AgentDevice {
		p.Room = cmp2.Or(b.rename, "会议室 "+device)
	}
	*r.Header() = p.Head(kind, b.seq[device+kind], ms)
	b.lines = append(b.lines, string(payload.Encode(r)))
}

func (b *book) skip(device, kind string, n uint64) { b.seq[device+kind] += n }

func (b *book) text() string { return strings.Join(b.lines, "\n") + "\n" }

// call adds a call with its events.
func (b *book) call(device string, from, to float64, grade, cause string, poorS float64) {
	id := fmt.Sprintf("pc-1.7.%s.%d", device, at(from)/1000)
	b.add(device, "event", at(from), &payload.Event{Type: "call.started", CallID: id, SinceMs: at(from)})
	all := 60 * (to - from)
	c := &payload.Call{CallID: id, StartMs: at(from), EndMs: at(to), DurationS: all, CoveragePct: 100,
		SecondsPoor: poorS, SecondsGood: all - poorS, Grade: grade, Cause: cause}
	if grade == "fair" {
		c.SecondsGood, c.SecondsFair, c.SecondsUnknown, c.CoveragePct = 0, all-60, 60, 90
	}
	for g := range c.Media {
		c.Media[g] = payload.Summary{"loss_pct_max": float64(g) + 0.5, "delay_ms_max": 20}
	}
	b.add(device, "call", at(to), c)
	b.add(device, "event", at(to), &payload.Event{Type: "call.ended", CallID: id, SinceMs: at(from), EndMs: at(to)})
}

// poor adds a poor stretch; to 0 = it is open.
func (b *book) poor(device string, from, to float64, metrics, scope string) {
	limit := 3.0
	first, _, _ := strings.Cut(metrics, ",")
	id := fmt.Sprintf("i.%s.%g", device, from)
	b.add(device, "event", at(from), &payload.Event{Type: "quality.degraded", IncidentID: id, SinceMs: at(from), Metric: first, Metrics: metrics,
		Scope: scope, Limit: &limit, CallID: fmt.Sprintf("pc-1.7.%s.%d", device, at(10)/1000)})
	if to > 0 {
		b.add(device, "event", at(to), &payload.Event{Type: "quality.recovered", IncidentID: id, SinceMs: at(from), Metric: first})
	}
}

func (b *book) minutes(device string, from, to int, loss float64) {
	for m := from; m < to; m++ {
		r := &payload.Minute{MinuteMs: at(float64(m)), Samples: 12, SamplesOK: 12 - int64(m%2)}
		r.Media[payload.VideoRecv] = payload.Summary{"loss_pct_avg": loss, "delay_ms_avg": 20}
		b.add(device, "minute", at(float64(m+1)), r)
	}
}

// everything has something of each kind.
func everything() *book {
	b, jump := &book{}, 90.0
	b.add("agent", "event", at(0), &payload.Event{Type: "agent.started", Severity: "info", Text: "The agent started."})
	b.minutes("a", 0, 30, 0.1)
	b.minutes("b", 0, 30, 4)
	b.call("a", 10, 25, "good", "", 0)
	b.poor("b", 12, 16, "video_recv_loss_pct,video_recv_delay_ms", "downlink")
	b.add("b", "event", at(13), &payload.Event{Type: "quality.changed", IncidentID: "i.b.12", SinceMs: at(12), Metric: "video_recv_loss_pct",
		Metrics: "video_recv_loss_pct", Scope: "far_end", CallID: fmt.Sprintf("pc-1.7.b.%d", at(10)/1000)})
	b.call("b", 10, 28, "poor", "video_recv_loss", 240)
	b.add("b", "event", at(20), &payload.Event{Type: "endpoint.offline", IncidentID: "o1", Code: "endpoint_unreachable", SinceMs: at(18)})
	b.add("b", "event", at(20), &payload.Event{Type: "endpoint.online", IncidentID: "o1", SinceMs: at(18), Reason: "answers"})
	b.add("a", "event", at(29), &payload.Event{Type: "endpoint.refused", IncidentID: "r1", Code: "endpoint_refused", SinceMs: at(29)})
	b.skip("a", "minute", 4) // minutes 30 to 33
	b.skip("b", "minute", 4)
	b.minutes("a", 34, 60, 0.1)
	b.minutes("b", 34, 60, 0.1)
	b.add("agent", "event", at(40), &payload.Event{Type: "agent.gap", Severity: "critical", OfDevice: "a", Kind: "minute", FirstSeq: 31, LastSeq: 33, Count: 3, Reason: "max_bytes"})
	b.add("agent", "event", at(41), &payload.Event{Type: "agent.gap", Severity: "critical", OfDevice: "a", Kind: "minute", FirstSeq: 31, LastSeq: 34, Count: 4, Reason: "max_bytes"})
	b.add("agent", "event", at(42), &payload.Event{Type: "agent.missed", Severity: "critical", OfDevice: "b", Count: 9, Reason: "disk", SinceMs: at(35)})
	b.add("agent", "event", at(43), &payload.Event{Type: "agent.clock_step", Severity: "warning", Value: &jump, Text: "The clock jumped."})
	b.call("c", 36, 46, "fair", "audio_send_delay", 0)
	b.rename = "Room C"
	b.add("c", "event", at(47), &payload.Event{Type: "call.started", CallID: "short", SinceMs: at(47)})
	b.add("c", "event", at(48), &payload.Event{Type: "call.ended", CallID: "short", SinceMs: at(47), EndMs: at(48)})
	b.rename = ""
	b.add("a", "event", at(50), &payload.Event{Type: "call.started", CallID: "open", SinceMs: at(50)})
	return b
}

func tellStory(t testing.TB, text string, o Options) *Story {
	t.Helper()
	s, err := Read(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func textOf(t testing.TB, s *Story, lang health.Lang) string {
	t.Helper()
	var b strings.Builder
	if err := s.WriteText(&b, Look{Lang: lang, Zone: time.FixedZone("", 3600)}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs:\n%s", name, diff)
	}
}

func TestTheStoryOfEverythingInBothLanguages(t *testing.T) {
	s := tellStory(t, everything().text(), Options{})
	for _, lang := range health.Languages {
		text := textOf(t, s, lang)
		golden(t, "everything."+string(lang)+".txt", text)
		for line := range strings.SplitSeq(text, "\n") {
			if n := host.Columns(line); n > textWidth {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
	var page strings.Builder
	if err := s.WriteHTML(&page, Look{Lang: health.Chinese, Zone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	golden(t, "everything.html", page.String())
}

// TestOrderAndDuplicatesDoNotMatter: the text is the same whatever the order.
func TestOrderAndDuplicatesDoNotMatter(t *testing.T) {
	lines := everything().lines
	want := textOf(t, tellStory(t, everything().text(), Options{}), health.English)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		turned := append(append([]string{}, lines...), lines[:len(lines)/2]...)
		rnd.Shuffle(len(turned), func(i, j int) { turned[i], turned[j] = turned[j], turned[i] })
		if diff := cmp.Diff(want, textOf(t, tellStory(t, strings.Join(turned, "\n"), Options{}), health.English)); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestWordsAreThereInBothLanguagesWithTheSameFacts(t *testing.T) {
	verbs := regexp.MustCompile(`%[.0-9]*[a-z]`)
	for key, en := range words[health.English] {
		zh, ok := words[health.Chinese][key]
		if !ok || strings.Join(verbs.FindAllString(en, -1), "") != strings.Join(verbs.FindAllString(zh, -1), "") {
			t.Errorf("%s: %q and %q", key, en, zh)
		}
	}
	if len(words[health.English]) != len(words[health.Chinese]) {
		t.Errorf("%d words and %d", len(words[health.English]), len(words[health.Chinese]))
	}
	used := ""
	for _, name := range []string{"compose.go", "chart.go", "page.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		used += string(source)
	}
	for _, m := range regexp.MustCompile(`(?:say|section)\("(\w+)"`).FindAllStringSubmatch(used, -1) {
		if words[health.English][m[1]] == "" {
			t.Errorf("no words for %s", m[1])
		}
	}
	for key := range words[health.English] {
		if !strings.Contains(used, `"`+key+`"`) {
			t.Errorf("nobody says %s", key)
		}
	}
}

func TestWhatIsMissingIsSaidAsSuch(t *testing.T) {
	s := tellStory(t, everything().text(), Options{})
	if s.missing != 8 || s.explained != 4 {
		t.Errorf("%d missing, %d explained, want 8 and 4", s.missing, s.explained)
	}
	if n := sumGaps(s.gaps); n != 4 {
		t.Errorf("%d records gone, want 4: growing ranges are one", n)
	}
	if got := s.silences(); len(got) != 1 || got[0].to-got[0].from != 3 {
		t.Errorf("silent: %+v, want the four minutes", got)
	}
	// a new epoch begins its own numbers
	lines := everything().lines
	again := strings.ReplaceAll(lines[1], "pc-1.7.a.minute.1\"", "pc-1.8.a.minute.32\"")
	if s := tellStory(t, strings.Join(append(lines, again), "\n"), Options{}); s.missing != 8 {
		t.Errorf("%d missing with a second epoch", s.missing)
	}
}

func TestRecordsThatCameLateShowWhenTheBrokerWasAway(t *testing.T) {
	b := &book{}
	for m := range 60 {
		s := &payload.Sample{}
		b.add("a", "sample", at(float64(m)), s)
		if m >= 20 && m < 30 || m == 32 {
			last := len(b.lines) - 1
			b.lines[last] = string(payload.MarkReplayed([]byte(b.lines[last])))
		}
	}
	got := tellStory(t, b.text(), Options{}).delays()
	if len(got) != 1 || got[0].from != minuteOf(at(20)) || got[0].to != minuteOf(at(32)) {
		t.Errorf("late: %+v, want minutes 20 to 32", got)
	}
}

func TestRoomsThatBecomePoorTogetherAreOneCluster(t *testing.T) {
	b := &book{}
	for room := range clusterRooms {
		name := fmt.Sprintf("r%d", room)
		b.poor(name, float64(room)/12, 10, "video_recv_loss_pct", "downlink")
		b.poor(name, 5+float64(room)/12, 15, "video_recv_loss_pct", "downlink")
	}
	s := tellStory(t, b.text(), Options{})
	got := s.clusters(clusterRooms, clusterWindow)
	if len(got) != 1 || len(got[0].rooms) != clusterRooms || got[0].toMs != at(15) {
		t.Errorf("clusters %+v, want one of %d rooms until minute 15", got, clusterRooms)
	}
	if more := s.clusters(clusterRooms+1, clusterWindow); len(more) != 0 {
		t.Errorf("%d rooms made a cluster of %d", clusterRooms, clusterRooms+1)
	}
}

// TestTroubleThatBeganBeforeIsToldByItsEnd: its opening event is not in the records.
func TestTroubleThatBeganBeforeIsToldByItsEnd(t *testing.T) {
	b := &book{}
	for i, ev := range []payload.Event{
		{Type: "endpoint.online", Code: "endpoint_upgrading"}, {Type: "endpoint.online", Reason: "accepted"}, {Type: "endpoint.online"},
		{Type: "quality.recovered", Metric: "video_send_loss_pct"}, {Type: "agent.store_working"},
	} {
		ev.IncidentID, ev.SinceMs = fmt.Sprint(i), at(float64(i))
		b.add("a", "event", at(30), &ev)
	}
	var got []string
	for _, i := range tellStory(t, b.text(), Options{}).incidentList {
		got = append(got, i.what)
		if i.endMs != at(30) {
			t.Errorf("%s is open", i.what)
		}
	}
	want := []string{"endpoint.busy", "endpoint.refused", "endpoint.offline", "quality.degraded", "agent.store_failing"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsOpenAtTheEndIsSaidFirst(t *testing.T) {
	b := everything()
	b.poor("c", 55, 0, "video_send_loss_pct", "uplink")
	if out := textOf(t, tellStory(t, b.text(), Options{}), health.English); !strings.Contains(out, "会议室 c: Poor call for 5 min, still open.") {
		t.Errorf("the poor call that goes on is not said:\n%s", out)
	}
}

func TestAChartIsBoundedAndSaysSo(t *testing.T) {
	s := tellStory(t, everything().text(), Options{})
	for i := range 2 * chartBars {
		s.incidentList = append(s.incidentList, &incident{place: place{"pc-1", "a"}, what: "quality.degraded", sinceMs: at(0) + int64(i), endMs: at(1) + int64(i)})
	}
	w := &writer{Story: s, Look: Look{Lang: health.English, Zone: time.UTC}}
	w.span()
	if svg := w.roomsChart(); strings.Count(svg, "<rect") > chartBars+10 || !strings.Contains(svg, "only the first are drawn") {
		t.Errorf("%d bars", strings.Count(svg, "<rect"))
	}
}

func TestTheMostCallsAtOnceCountEndsBeforeBeginnings(t *testing.T) {
	s := &Story{callList: []*call{{startMs: 0, endMs: 10}, {startMs: 10, endMs: 20}, {startMs: 12, endMs: 13}, {startMs: 12}}}
	if n, at := s.peak(); n != 2 || at != 12 {
		t.Errorf("peak = %d at %d, want 2 at 12", n, at)
	}
}

func TestTheDeviceAndTimeAreChosen(t *testing.T) {
	text := everything().text()
	s := tellStory(t, text, Options{Filter: report.Filter{Device: "b"}})
	if len(s.rooms) != 1 || len(s.callList) != 1 || len(s.notices) != 1 || s.notices[0].Type != "agent.missed" || len(s.gaps) != 0 {
		t.Errorf("device b: %d rooms, %d calls, %+v", len(s.rooms), len(s.callList), s.notices)
	}
	s = tellStory(t, text, Options{Filter: report.Filter{Since: begin.Add(26 * time.Minute), Until: begin.Add(29 * time.Minute)}})
	if len(s.callList) != 1 || s.fromMs < at(26) || s.toMs >= at(29) {
		t.Errorf("minutes 26 to 29: %d calls, from %d to %d", len(s.callList), s.fromMs, s.toMs)
	}
	if out := textOf(t, s, health.English); !strings.Contains(out, "2 Mar 2026 10:26:00 to 2 Mar 2026 10:29:00, times are UTC+01:00") {
		t.Errorf("another time:\n%s", out)
	}
	for _, o := range []Options{{Filter: report.Filter{Device: "z"}}, {Filter: report.Filter{Until: begin.Add(-time.Hour)}}} {
		if _, err := Read(strings.NewReader(text), o); !errors.Is(err, ErrNothing) || !strings.Contains(err.Error(), "the input has records of a, b, c") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestBadLinesAreLeftOutAndTold(t *testing.T) {
	good := everything().text()
	want := textOf(t, tellStory(t, good, Options{}), health.English)
	bad := map[string]string{
		"garbage": "no JSON object", `{"v":1,`: "unexpected end", strings.Repeat("x", 4<<20+1): "longer than 4 MiB",
		`{"schema":"roomcall.call/1.0","id":"x","client_id":"a","device":"d","ts_ms":1}`:                             "not client_id.epoch.device.kind.seq",
		`{"schema":"roomcall.call/1.0","id":"a.1.d.call.0","client_id":"a","device":"d","ts_ms":1}`:                  "not client_id.epoch.device.kind.seq",
		`{"schema":"roomcall.call/1.0","id":"a.1.d.call.1","client_id":"a","device":"d","ts_ms":1,"start_ms":"now"}`: "start_ms",
	}
	for line, text := range bad {
		var told []string
		o := Options{Bad: func(n int, err error) { told = append(told, fmt.Sprintf("%d %v", n, err)) }}
		s, err := Read(strings.NewReader("online\n\n"+line+"\n"+good), o)
		var lines *payload.BadLinesError
		if !errors.As(err, &lines) || lines.Bad != 1 || len(told) != 1 || !strings.HasPrefix(told[0], "3 ") || !strings.Contains(told[0], text) {
			t.Errorf("%.60s: error %v, told %.200q", line, err, told)
			continue
		}
		if got := textOf(t, s, health.English); got != want {
			t.Errorf("%.60s: another story", line)
		}
	}
	for _, empty := range []string{"", "online\n", `{"schema":"roomcall.birth/1.0"}`} {
		if _, err := Read(strings.NewReader(empty), Options{}); !errors.Is(err, ErrNothing) {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestWhatIsTooManyIsLeftOutAndTold(t *testing.T) {
	b := &book{}
	for i := range 6 {
		n := fmt.Sprintf("r%d", i)
		b.call(n, 0, 10, "good", "", 0)
		b.poor(n, float64(i), 0, "video_recv_loss_pct", "")
		b.minutes(n, 0, 8, 4)
		b.add("agent", "event", at(float64(i)), &payload.Event{Type: "agent.gap", OfDevice: "r0", Kind: "sample", FirstSeq: uint64(10*i + 1), LastSeq: uint64(10*i + 2), Count: 2})
		b.add("agent", "event", at(float64(i)), &payload.Event{Type: "agent.started"})
	}
	s, err := read(strings.NewReader(b.text()), Options{}, bounds{rooms: 5, calls: 2, incidents: 3, notices: 4, gaps: 5, minutes: 6})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.rooms) != 5 || len(s.calls) != 2 || len(s.incidents) != 3 || len(s.notices) != 4 || len(s.gaps) != 5 || len(s.minutes) != 6 {
		t.Errorf("kept %d rooms, %d calls, %d incidents, %d notices, %d gaps, %d minutes", len(s.rooms), len(s.calls), len(s.incidents), len(s.notices), len(s.gaps), len(s.minutes))
	}
	if sum, calls := s.total(); calls != 5 || sum.good != 5*600 {
		t.Errorf("the sums are of %d calls, %+v", calls, sum)
	}
	if out := textOf(t, s, health.English); !strings.Contains(out, "Too many to list are left out") {
		t.Errorf("nothing is said of it:\n%s", out)
	}
}

// TestMemoryDoesNotGrowWithTheSamples: what is kept of a sample is a bit.
func TestMemoryDoesNotGrowWithTheSamples(t *testing.T) {
	count := 20_000
	if testing.Short() {
		count = 5_000
	}
	s, err := Read(&samples{left: count}, Options{})
	if err != nil || s.records != count {
		t.Fatalf("%d records, error %v", s.records, err)
	}
	words := 0
	for _, n := range s.numbers {
		words += len(n.seen)
	}
	if want := count/64 + 1; words > want || len(s.agents["pc"].seen) > count/12/64+2 {
		t.Errorf("%d words for %d samples, want %d", words, count, want)
	}
	runtime.KeepAlive(s)
}

// samples is an endless row of samples, 5 s apart.
type samples struct {
	left, n int
	buf     []byte
}

func (s *samples) Read(p []byte) (int, error) {
	for len(s.buf) < len(p) && s.left > 0 {
		s.left--
		s.n++
		h := payload.Place{ClientID: "pc", Device: "a", Epoch: 1}.Head("sample", uint64(s.n), begin.UnixMilli()+int64(5000*s.n))
		s.buf = append(append(s.buf, payload.Encode(&payload.Sample{Head: h, Grade: "good"})...), '\n')
	}
	if len(s.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.buf)
	s.buf = s.buf[:copy(s.buf, s.buf[n:])]
	return n, nil
}

func TestNamesCannotBreakThePageOrSteerTheTerminal(t *testing.T) {
	b := everything()
	text := strings.ReplaceAll(b.text(), "会议室 b", `<script>alert(1)<\/script>\u001b[31m|`)
	text = strings.ReplaceAll(text, `"room":"会议室 a"`, `"room":"\u202ea"`)
	text = strings.ReplaceAll(text, `"grade":"poor"`, `"grade":"poor\"><script>alert(2)<\/script>"`)
	text = strings.ReplaceAll(text, "The clock jumped.", `<img src=x>\u001b]0;x`)
	s := tellStory(t, text, Options{})
	if out := textOf(t, s, health.English); strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("the text has escapes:\n%q", out)
	}
	var page strings.Builder
	if err := s.WriteHTML(&page, Look{Zone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<img", "\x1b", "\u202e", "http://", "https://"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestASetOfNumbersCountsAndLists(t *testing.T) {
	b := bitset{}
	for _, i := range []int64{0, 1, 63, 64, 65, 200, 1000} {
		if !b.add(i) || b.add(i) {
			t.Errorf("%d is not new once", i)
		}
	}
	for _, c := range []struct {
		from, to int64
		n        uint64
	}{{0, 1000, 7}, {1, 64, 3}, {63, 63, 1}, {66, 199, 0}, {64, 999, 3}, {2000, 3000, 0}} {
		if n := b.between(c.from, c.to); n != c.n {
			t.Errorf("between %d and %d: %d, want %d", c.from, c.to, n, c.n)
		}
	}
	if diff := cmp.Diff([][2]int64{{0, 1}, {63, 65}, {200, 200}, {1000, 1000}}, b.spans()); diff != "" {
		t.Error(diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(everything().text())
	f.Add("{")
	f.Fuzz(func(t *testing.T, text string) {
		s, _ := Read(strings.NewReader(text), Options{})
		if s == nil {
			return
		}
		_ = textOf(t, s, health.Chinese)
		var page strings.Builder
		if err := s.WriteHTML(&page, Look{Zone: time.UTC}); err != nil {
			t.Error(err)
		}
	})
}
