package web

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
)

func inChinese(r *http.Request) { r.Header.Set("Accept-Language", "zh-CN,zh;q=0.9,en;q=0.5") }

// roomIs is the page of the room of a status, changed.
func roomIs(t *testing.T, change func(*health.Status)) string {
	t.Helper()
	s := healthtest.Well()
	change(&s)
	w := ask(&fake{status: s, history: historyOf("room-1")}, "/")
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestAProblemThatIsThereTwiceHasTwoIDs(t *testing.T) { // the script tells parts of the page by their ids
	page := roomIs(t, func(s *health.Status) { s.Warnings = []string{"one", "two", "three"} })
	for _, id := range []string{"p-warning", "p-warning-2", "p-warning-3"} {
		if n := strings.Count(page, `id="`+id+`"`); n != 1 {
			t.Errorf("the page has %d times the id %s", n, id)
		}
	}
}

func TestTheFirstLineSaysHowTheRoomIs(t *testing.T) {
	for name, c := range map[string]struct {
		change       func(*health.Endpoint)
		class, words string
	}{
		"good call":   {func(e *health.Endpoint) { e.CallGrade, e.GradeSince = "good", noon.Add(-12*time.Minute) }, "good", "Good call for 12 min"},
		"poor call":   {func(e *health.Endpoint) { e.Grade, e.GradeSince = "poor", noon.Add(-4*time.Minute) }, "poor", "Poor call for 4 min"},
		"no grade":    {func(e *health.Endpoint) { e.Grade = "unknown" }, "call", "In a call"},
		"idle":        {func(e *health.Endpoint) { e.State, e.InCall = "idle", false }, "idle", "Ready"},
		"unreachable": {func(e *health.Endpoint) { e.State, e.StateSince = "unreachable", noon.Add(-168*time.Minute) }, "failed", "Endpoint does not answer since 09:12"},
		"refused":     {func(e *health.Endpoint) { e.State = "refused" }, "failed", "Endpoint refuses the agent"},
		"error":       {func(e *health.Endpoint) { e.State = "error" }, "failed", "Endpoint answers with errors"},
		"busy":        {func(e *health.Endpoint) { e.State = "busy" }, "busy", "Endpoint is busy"},
		"upgrading":   {func(e *health.Endpoint) { e.State = "upgrading" }, "busy", "Endpoint is upgrading"},
		"new":         {func(e *health.Endpoint) { *e = health.Endpoint{Device: "room-1"} }, "new", "Not polled yet"},
		"overdue":     {func(e *health.Endpoint) { e.LastPoll = noon.Add(-time.Hour) }, "failed", "is not polled in time: the last poll was 1 h ago"},
	} {
		page := roomIs(t, func(s *health.Status) { c.change(&s.Endpoints[0]) })
		_, first, _ := strings.Cut(page, `<section id="state" class="state `)
		first, _, _ = strings.Cut(first, "<div class=\"hour\">")
		if !strings.HasPrefix(first, c.class+`"`) || !strings.Contains(first, c.words) {
			t.Errorf("%s: want %s and %q in\n%s", name, c.class, c.words, first)
		}
		_, said, _ := strings.Cut(first, `role="status">`)
		said, _, _ = strings.Cut(said, "<")
		if strings.Contains(said, " for ") || strings.Contains(said, "since") || said == "" {
			t.Errorf("%s: a screen reader would hear it each minute: %q", name, said)
		}
	}
}

func TestValuesBeyondALimitAreMarkedWithIt(t *testing.T) {
	page := roomIs(t, func(s *health.Status) {
		e := &s.Endpoints[0]
		e.Limits, e.Grade = "mine", "poor"
		e.Sample = json.RawMessage(`{"video_send_loss_pct":12,"video_send_delay_ms":300,"audio_recv_loss_pct":5,"video_send_fps":5,"video_recv_loss_pct":0.05}`)
		s.Limits = map[string]map[string]float64{"mine": {"video_loss_pct_fair": 1, "video_loss_pct_poor": 3, "audio_loss_pct_fair": 5, "audio_loss_pct_poor": 10, "video_fps_poor": 7, "video_delay_ms_poor": 350}}
	})
	for _, want := range []string{
		`<td class="poor"><b>12.00</b> <small>limit 3</small></td>`, `<td class="fair"><b>5.00</b> <small>limit 5</small></td>`,
		`<td class="poor"><b>5</b> <small>limit 7</small></td>`, `<td>300</td>`, `<td>0.05</td>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not in\n%s", want, page)
		}
	}
}

func TestCallsOfTheDayHaveGradeAndCause(t *testing.T) {
	h := historyOf("room-1")
	h.Add("room-1", "call", aCall("c1", noon.Add(-time.Hour)))
	page := ask(&fake{status: healthtest.Well(), history: h}, "/").Body.String()
	if want := `<td><time datetime="2026-03-01T10:50:00Z">10:50</time></td><td>10 min</td><td class="poor"><span aria-hidden="true">!</span> poor</td><td>What the room sends is lost on the way.</td>`; !strings.Contains(page, want) {
		t.Errorf("%s is not in\n%s", want, page)
	}
}

func TestRoomsAreListedTheWorstFirstAndOpenToTheirOwnPage(t *testing.T) {
	s := healthtest.Well()
	e := s.Endpoints[0]
	s.Endpoints = nil
	for i, state := range []string{"idle", "good", "poor", "unreachable", "fair", "busy"} {
		one := e
		one.Device, one.Room, one.State, one.InCall, one.Grade = fmt.Sprintf("room-%d", i), "Room "+state, state, false, ""
		if state == "good" || state == "poor" || state == "fair" {
			one.State, one.InCall, one.Grade = "in_call", true, state
		}
		s.Endpoints = append(s.Endpoints, one)
	}
	src := &fake{status: s}
	page := ask(src, "/").Body.String()
	at := 0
	for _, state := range []string{"unreachable", "busy", "poor", "fair", "good", "idle"} {
		i := strings.Index(page[at:], "Room "+state)
		if i < 0 {
			t.Fatalf("%s is not in its place in\n%s", state, page)
		}
		at += i
	}
	if !strings.Contains(page, `<li class="poor"><b>1</b> poor</li>`) || !strings.Contains(page, `href="/?device=room-2"`) {
		t.Errorf("no counts, or no way to a room:\n%s", page)
	}
	if one := ask(src, "/?device=room-2").Body.String(); !strings.Contains(one, "<h1><bdi>Room poor</bdi></h1>") || !strings.Contains(one, "All rooms") {
		t.Errorf("the page of one room:\n%s", one)
	}
	if w := ask(src, "/?device=room-9"); w.Code != http.StatusNotFound {
		t.Errorf("an unknown room: %d", w.Code)
	}
}

func TestARoomThatIsWellAndWantsAttentionSaysSoInItsRow(t *testing.T) {
	s := healthtest.Well()
	one, other := s.Endpoints[0], s.Endpoints[0]
	one.Device, other.Device = "room-1", "room-2"
	other.ClockAheadS, other.ClockSince = 720, noon.Add(-time.Hour)
	s.Endpoints = []health.Endpoint{one, other}
	page := ask(&fake{status: s}, "/").Body.String()
	first, rest, _ := strings.Cut(page, `id="r-room-1"`)
	for _, want := range []string{`id="r-room-2"`, ", and something wants attention</span>", "is wrong, since 11:00: 12 min ahead of", "give both a time server"} {
		if !strings.Contains(first, want) {
			t.Errorf("%q is not in\n%s", want, first)
		}
	}
	if strings.Contains(rest, "wants attention") {
		t.Errorf("a room that is well wants attention:\n%s", rest)
	}
	if zh := ask(&fake{status: s}, "/", inChinese).Body.String(); !strings.Contains(zh, "，另有事项需要关注</span>") {
		t.Errorf("in Chinese:\n%s", zh)
	}
}

func TestTwoHundredRestlessRoomsStaySmall(t *testing.T) {
	s := healthtest.Well()
	e := s.Endpoints[0]
	s.Endpoints = nil
	var names []string
	for i := range 200 {
		e.Device, e.Room, e.Grade = fmt.Sprintf("meeting-room-%03d", i), fmt.Sprintf("Besprechungsraum %d, Nordflügel", i), []string{"good", "fair", "poor"}[i%3]
		e.GradeReasons = "video_send_loss"
		names = append(names, e.Device)
		s.Endpoints = append(s.Endpoints, e)
	}
	h := historyOf(names...)
	for _, device := range names {
		for i := range stripMinutes { // each minute is another one
			h.Add(device, "sample", aSample(noon.Add(time.Duration(i-stripMinutes+1)*time.Minute), 1, 1+i%3))
		}
	}
	for _, change := range [][]func(*http.Request){nil, {inChinese}} {
		if n := ask(&fake{status: s, history: h}, "/", change...).Body.Len(); n > 150_000 {
			t.Errorf("the page has %d bytes", n)
		}
	}
}

func TestNobodysNameDisturbsThePage(t *testing.T) {
	evil := "A\u202eB\u2066C\x00D\x1bE\nF\u200fG<b>\"'&\xff"
	page := roomIs(t, func(s *health.Status) {
		s.Site, s.Version, s.Broker.Error, s.Endpoints[0].Room, s.Endpoints[0].Model, s.Endpoints[0].Err = evil, evil, evil, evil, evil, evil
		s.Warnings = []string{evil}
	})
	for _, r := range page {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && r != '\n' {
			t.Fatalf("%U is in the page", r)
		}
	}
	if strings.Contains(page, "G<b>") || !strings.Contains(page, "<bdi>A\ufffdB\ufffdC\ufffdD\ufffdE F\ufffdG&lt;b&gt;&#34;&#39;&amp;\ufffd</bdi>") {
		t.Errorf("the name is not as it should be:\n%s", page)
	}
}

func TestTheLanguageIsTheBrowsersUnlessTheConfigSaysOne(t *testing.T) {
	src := &fake{status: healthtest.Well()}
	for _, c := range []struct{ setting, asked, want string }{
		{"auto", "zh-CN,zh;q=0.9", "zh"}, {"", "de-DE,en;q=0.5", "en"}, {"auto", "", "en"}, {"zh", "en", "zh"}, {"en", "zh", "en"},
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		r.Header.Set("Accept-Language", c.asked)
		newHandler(src, Options{Now: func() time.Time { return noon }, Language: c.setting}).ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `<html lang="`+c.want+`" `) {
			t.Errorf("%+v: %.60s", c, w.Body)
		}
	}
}

// notLabels are texts of page.go that are no labels.
var notLabels = map[string]bool{
	"Accept-Language": true, "Content-Type": true, "text/html; charset=utf-8": true, "Content-Security-Policy": true, "Vary": true,
	" · ": true, " open": true, "0": true, " %d %d": true, "roomcall ": true, "%s %d": true, " ": true, " (%.0f ms)": true, "2006-01-02 15:04:05 -0700": true, "\uFFFD": true,
}

// TestEachLabelIsInChinese reads the labels from the source and the tables.
func TestEachLabelIsInChinese(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "page.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{
		// what the agent says of a grade, and others that no call of a function names
		"good": true, "fair": true, "poor": true, "audio": true, "video": true, "content": true, "now": true, "nothing known": true,
	}
	for _, l := range looks {
		used[l.word] = true
	}
	for _, l := range levels {
		used[l.word] = true
	}
	for _, c := range columns {
		used[c.head] = true
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.Ident); ok && (f.Name == "markup" || f.Name == "look") {
				return false
			}
		}
		if c, ok := n.(*ast.ValueSpec); ok && c.Names[0].Name == "pagePolicy" {
			return false
		}
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, _ := strconv.Unquote(l.Value)
			first := []rune(text + "x")[0]
			if (unicode.IsUpper(first) || strings.Contains(text, " ")) && !notLabels[text] && !strings.Contains(text, "default-src") {
				used[text] = true
			}
		}
		return true
	})
	for label := range used {
		if chinese[label] == "" {
			t.Errorf("%q is not in Chinese", label)
		}
		if strings.Count(label, "%") != strings.Count(chinese[label], "%") && strings.Contains(label, "%d") {
			t.Errorf("%q has other values in Chinese", label)
		}
	}
	for label := range chinese {
		if !used[label] {
			t.Errorf("%q is nowhere on the page", label)
		}
	}
}
