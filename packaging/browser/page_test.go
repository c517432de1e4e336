package browser

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"roomcall/agent/health"
	"roomcall/agent/host/hosttest"
	"roomcall/agent/web"
	"roomcall/cgi/cgitest"
	"roomcall/publish/brokertest"
)

const account = "username = \"api\"\npassword = \"secret\""

// status is the answer of /api/v1/status.
func (a *agent) status() (s health.Status) {
	a.t.Helper()
	body, err := a.get("/api/v1/status")
	if err == nil {
		err = json.Unmarshal([]byte(body), &s)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

// states is a site with a room in each state.
var states = []struct {
	device, name, scenario, table string
	class, headline, chinese      string
	sentence                      string // of the sentence or the next step
}{
	{"idle", "Aquarium", "idle", "", "idle", "Ready", "就绪", ""},
	{"good", "Boardroom", "quiet-meeting", "", "good", "Good call", "通话良好", "within the limits"},
	{"uplink", "Laboratory", "near-end-bad", "", "poor", "Poor call", "通话较差", "uplink"},
	{"downlink", "Training", "far-end-bad", "", "poor", "Poor call", "通话较差", "downlink"},
	{"one-site", "三楼会议室", "one-site-bad", "", "poor", "Poor call", "通话较差", "that site"},
	{"off", "Attic", "idle", "", "failed", "Endpoint does not answer since", "终端无响应", "What to do:"},
	{"refused", "Cellar", "wrong-password", account, "failed", "Endpoint refuses the agent since", "终端拒绝访问", "password"},
	{"busy", "Lobby", "table-full", account, "busy", "Endpoint is busy", "终端忙", "session"},
	{"upgrading", "Library", "upgrade", "", "busy", "Endpoint is upgrading", "终端正在升级", "firmware"},
	{"error", "Workshop", "idle", "", "failed", "Endpoint answers with errors", "终端应答异常", "What to do:"},
}

// everyState starts an agent with a room in each state.
func everyState(t *testing.T) *agent {
	var rooms []*room
	for _, s := range states {
		r := newRoom(t, s.device, s.name, s.scenario, s.table)
		switch s.device {
		case "off":
			r.server.Close()
		case "error":
			r.SetFault(cgitest.Fault{Kind: cgitest.FaultGarbage})
		case "upgrading": // it is in the middle of it
			r.fixed.Store(time.Now().Add(-22 * time.Second).UnixMilli())
			if err := r.SetScenario(s.scenario); err != nil {
				t.Fatal(err)
			}
			r.fixed.Store(0)
		}
		rooms = append(rooms, r)
	}
	a := newAgent(t, rooms...)
	a.broker = brokertest.NewFake(t, brokertest.Faults{}).URL()
	a.start()
	return a
}

func TestEachStateOfARoomIsSaidInBothLanguages(t *testing.T) {
	needBrowser(t)
	a := everyState(t)
	for _, s := range states {
		for _, in := range []struct{ language, headline string }{{"en", s.headline}, {"zh-CN", s.chinese}} {
			b := open(t, a.url("/?device="+s.device), how{language: in.language})
			b.wait(s.device+" is "+s.class, fmt.Sprintf(`document.querySelector("#state.%s")`, s.class))
			b.wait(s.device+" has its headline", fmt.Sprintf(`document.querySelector(".headline").innerText.includes(%q) && document.title.startsWith(%q)`, in.headline, s.name+" · "+in.headline))
			if in.language == "en" {
				b.wait(s.device+" says why", fmt.Sprintf(`document.body.innerText.includes(%q)`, s.sentence))
			}
		}
	}

	b := open(t, a.url("/"), how{})
	b.wait("the worst are first", `document.querySelector(".row").matches(".failed") && [...document.querySelectorAll(".row")].at(-1).matches(".idle")`)
	if counts := eval[string](b, `document.querySelector(".counts").innerText`); !strings.Contains(counts, "3 failing") || !strings.Contains(counts, "3 poor") || !strings.Contains(counts, "1 good") {
		t.Errorf("counts: %q", counts)
	}
	b.accessible()
	open(t, a.url("/"), how{dark: true, language: "zh"}).accessible()
	for _, device := range []string{"uplink", "off", "good"} {
		open(t, a.url("/?device="+device), how{}).accessible()
		open(t, a.url("/?device="+device), how{dark: true, language: "zh"}).accessible()
	}
	for _, path := range []string{"/", "/?device=uplink", "/?device=one-site", "/?device=refused"} {
		for _, language := range []string{"en", "zh"} {
			phone := open(t, a.url(path), how{width: 360, height: 740, language: language})
			if wide := eval[float64](phone, "document.documentElement.scrollWidth"); wide > 360 {
				t.Errorf("%s in %s on a phone is %v wide", path, language, wide)
			}
		}
	}
	whatIsOpenStaysOpen(t, a)
}

// whatIsOpenStaysOpen works with the keyboard alone.
func whatIsOpenStaysOpen(t *testing.T, a *agent) {
	b := open(t, a.url("/"), how{})
	b.run(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for range 40 {
			if _, err := chromedp.KeyEvent(kb.Tab)(ctx, target); err != nil {
				return err
			}
			on, err := chromedp.Evaluate[bool](`document.activeElement.parentElement.id === "r-uplink"`)(ctx, target)
			if on || err != nil {
				return err
			}
		}
		return fmt.Errorf("the row is not reached with the tab key")
	}), chromedp.KeyEvent(kb.Enter))
	b.wait("the row is open", `document.querySelector("#r-uplink").open`)
	eval[bool](b, `window.wasRow = document.querySelector("#r-uplink"), window.looked = performance.getEntriesByType("resource").length, true`)
	b.wait("the page was fetched again", `performance.getEntriesByType("resource").length > window.looked + 1`)
	if !eval[bool](b, `document.querySelector("#r-uplink").open && document.querySelector("#r-uplink") === window.wasRow && document.activeElement.parentElement === window.wasRow`) {
		t.Error("an update closes what was open, or takes the focus away")
	}
	if text := eval[string](b, `document.querySelector("#r-uplink").innerText`); !strings.Contains(text, "switch port") {
		t.Errorf("the open row says %q", text)
	}
}

func TestEachOfTenFaultsIsSaidWithWhatToDo(t *testing.T) {
	needBrowser(t)
	var rooms []*room
	for _, kind := range []cgitest.FaultKind{
		cgitest.FaultHang, cgitest.FaultCutBody, cgitest.FaultHugeBody, cgitest.FaultStatus, cgitest.FaultRedirect,
		cgitest.FaultBadHeader, cgitest.FaultGarbage, cgitest.FaultReset,
	} {
		r := newRoom(t, string(kind), "Room "+string(kind), "idle")
		r.SetFault(cgitest.Fault{Kind: kind, Location: "http://192.0.2.1/"})
		rooms = append(rooms, r)
	}
	off := newRoom(t, "nobody", "Room nobody", "idle")
	off.server.Close()
	secure := newRoom(t, "tls", "Room tls", "idle")
	server := httptest.NewUnstartedServer(secure.Endpoint)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	secure.url = server.URL // a certificate that nobody knows
	a := newAgent(t, append(rooms, off, secure)...)
	a.start()
	// the broker is an eleventh: nobody listens there

	b := open(t, a.url("/"), how{})
	b.wait("all rooms fail", fmt.Sprintf(`document.querySelectorAll(".row.failed").length === %d`, len(a.rooms)))
	for _, r := range a.rooms {
		var problem health.Problem
		hosttest.WaitFor(t, "the problem of "+r.device, func() (bool, string) {
			for _, p := range a.status().Problems {
				if p.Device == r.device {
					problem = p
				}
			}
			return problem.Hint != "", fmt.Sprintf("%+v", problem)
		})
		b.wait("the next step of "+r.device, fmt.Sprintf(`document.querySelector("#r-%s").textContent.includes(%s)`, r.device, strconv.Quote(problem.Hint)))
	}
	b.wait("the broker's trouble", `document.querySelector("#problems .failed").innerText.includes("The broker is not connected")`)
	zh := open(t, a.url("/?device=tls"), how{language: "zh"})
	if text := zh.text(); !strings.Contains(text, "处理建议：") || strings.Contains(text, "What to do") {
		t.Errorf("in Chinese:\n%s", text)
	}
}

func TestThePageShowsTheNumbersOfTheAPI(t *testing.T) {
	needBrowser(t)
	r := newRoom(t, "room-1", "Aquarium", "near-end-bad")
	a := newAgent(t, r)
	a.start()
	b := open(t, a.url("/"), how{})
	rows := map[string]string{"audio_send": "Audio sent", "video_send": "Video sent", "audio_recv": "Audio received", "video_recv": "Video received"}
	hosttest.WaitFor(t, "the table has the values of the newest sample", func() (bool, string) {
		s := a.status().Endpoints[0]
		var sample map[string]any
		if err := json.Unmarshal(s.Sample, &sample); err != nil {
			return false, err.Error()
		}
		table := eval[map[string][]string](b, `Object.fromEntries([...document.querySelectorAll("#values tbody tr")].map((row) => [row.cells[0].innerText, [...row.cells].map((c) => (c.querySelector("b") ?? c).innerText)]))`)
		for prefix, name := range rows {
			for i, c := range []struct {
				key      string
				decimals int
			}{{"_loss_pct", 2}, {"_jitter_ms", 0}, {"_delay_ms", 0}, {"_bitrate_kbps", 0}} {
				value, ok := sample[prefix+c.key].(float64)
				if want := strconv.FormatFloat(value, 'f', c.decimals, 64); !ok || len(table[name]) < 5 || table[name][i+1] != want {
					return false, fmt.Sprintf("%s%s: %s in %v", prefix, c.key, want, table)
				}
			}
		}
		return true, ""
	})
	hosttest.WaitFor(t, "the charts have the newest readings", func() (bool, string) {
		body, err := a.get("/api/v1/history?device=room-1")
		var history struct{ Readings map[string]any }
		if err != nil || json.Unmarshal([]byte(body), &history) != nil {
			return false, body
		}
		last := func(key string) any { list := history.Readings[key].([]any); return list[len(list)-1] }
		drawn := eval[[]map[string]string](b, `[...document.querySelectorAll("figure:not([hidden])")].map((f) => ({...f.dataset}))`)
		for _, figure := range drawn {
			var shown map[string]any
			if err := json.Unmarshal([]byte(figure["last"]), &shown); err != nil {
				return false, err.Error()
			}
			for media, v := range shown {
				if key := media + "_" + figure["direction"] + "_" + figure["key"]; v != last(key) {
					return false, fmt.Sprintf("%s: %v is drawn, %v is the newest", key, v, last(key))
				}
			}
			if figure["key"] == "loss_pct" && figure["lines"] != "[5,10,1,3]" {
				return false, "limits that are drawn: " + figure["lines"]
			}
		}
		if n := len(history.Readings["t"].([]any)); eval[int](b, `+document.querySelector("#charts").dataset.drawn`) != n || n < 3 {
			return false, fmt.Sprintf("not each of the %d readings is drawn once", n)
		}
		return len(drawn) == 10, fmt.Sprint(drawn)
	})
	if marks := eval[int](b, `document.querySelectorAll("#values td.poor small").length`); marks == 0 {
		t.Error("no value is marked as beyond its limit")
	}
}

func TestTheNetworkOfThePageIsTheAgentsAloneAndARestartIsSurvived(t *testing.T) {
	needBrowser(t)
	a := newAgent(t, newRoom(t, "room-1", "Aquarium", "quiet-meeting"))
	a.start()
	b := open(t, a.url("/"), how{})
	eval[bool](b, "window.same = true")
	b.wait("two readings", `+document.querySelector("#charts").dataset.drawn > 1`)
	b.expect("net::ERR_") // the agent is away
	a.kill()
	b.wait("the page says that the agent is lost", `!document.querySelector("#lost").hidden`)
	b.accessible()
	a.start()
	b.wait("the page goes on", `document.querySelector("#lost").hidden`)
	b.wait("with what was before", `+document.querySelector("#charts").dataset.drawn > 1`)
	if !eval[bool](b, "window.same === true") {
		t.Error("the page was loaded anew")
	}
}

func TestAPageBeyondTheListenersGoesOn(t *testing.T) {
	needBrowser(t)
	r := newRoom(t, "room-1", "Aquarium", "idle")
	a := newAgent(t, r)
	a.start()
	for n, full := 0, false; !full; n++ {
		body, err := web.Get(t.Context(), a.addr, "/api/v1/events", hosttest.Patience)
		var refused *web.AnswerError
		switch full = errors.As(err, &refused) && refused.Code == 429; {
		case full:
		case err != nil || n == 100:
			t.Fatalf("after %d listeners: %v", n, err)
		default:
			t.Cleanup(func() { body.Close() })
		}
	}
	b := open(t, a.url("/"), how{expected: "429"})
	if err := r.SetScenario("quiet-meeting"); err != nil {
		t.Fatal(err)
	}
	b.wait("the page follows", `document.querySelector("#state").innerText.includes("call")`)
	b.wait("the agent is there", `document.querySelector("#lost").hidden`)
}

func TestThePageIsWholeWithoutScript(t *testing.T) {
	needBrowser(t)
	a := newAgent(t, newRoom(t, "room-1", "Aqua\u202erium", "near-end-bad"))
	a.play(map[string][]act{"room-1": {{50 * time.Minute, "quiet-meeting"}, {20 * time.Minute, "idle"}, {10 * time.Minute, "near-end-bad"}}})
	a.start()
	hosttest.WaitFor(t, "the history is there", func() (bool, string) {
		page, err := a.get("/")
		return err == nil && strings.Contains(page, `class="calls"`), page
	})
	b := open(t, a.url("/"), how{noScript: true})
	text := b.text()
	for _, want := range []string{"Poor call", "What to do:", "Video sent", "Calls of the last 24 hours", "30 min", "good"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text+eval[string](b, "document.title"), "\u202e") || !eval[bool](b, `document.querySelectorAll(".strip path").length >= 3`) {
		t.Error("a name steers the text, or there is no strip")
	}
}

var update = flag.Bool("update", false, "write the pictures of the documentation")

// pictures is where the pictures of the documentation are.
const pictures = "../../docs/pictures"

func TestPicturesOfTheDocumentation(t *testing.T) {
	needBrowser(t)
	good := newRoom(t, "boardroom", "Boardroom", "content-share")
	poor := newRoom(t, "laboratory", "Laboratory 2", "near-end-bad")
	rooms := []*room{good, poor}
	acts := map[string][]act{
		"boardroom":  {{3 * time.Hour, "idle"}, {160 * time.Minute, "quiet-meeting"}, {110 * time.Minute, "idle"}, {100 * time.Minute, "far-end-bad"}, {75 * time.Minute, "idle"}, {38 * time.Minute, "content-share"}},
		"laboratory": {{2 * time.Hour, "idle"}, {100 * time.Minute, "quiet-meeting"}, {25 * time.Minute, "idle"}, {12 * time.Minute, "near-end-bad"}},
	}
	more := []struct{ name, scenario string }{
		{"Aquarium", "idle"}, {"Attic", "quiet-meeting"}, {"Cellar", "idle"}, {"Library", "one-site-bad"}, {"Lobby", "idle"}, {"Studio", "single-stream"},
		{"Training 1", "idle"}, {"Training 2", "quiet-meeting"}, {"Workshop", "idle"}, {"三楼会议室", "quiet-meeting"},
	}
	for i, m := range more {
		device := fmt.Sprintf("room-%02d", i+3)
		r := newRoom(t, device, m.name, m.scenario)
		rooms = append(rooms, r)
		acts[device] = []act{{time.Hour, "idle"}, {time.Duration(50-3*i) * time.Minute, []string{"quiet-meeting", "idle"}[i%2]}, {time.Duration(22-i) * time.Minute, "idle"}, {time.Duration(16-i) * time.Minute, m.scenario}}
	}
	folder := t.TempDir()
	if *update {
		folder = pictures
	}
	a := newAgent(t, rooms...)
	a.broker = brokertest.NewFake(t, brokertest.Faults{}).URL()
	a.play(acts)
	rooms[4].server.Close()
	a.start()
	for _, p := range []struct {
		file, path, language, ready string
		height                      float64
	}{
		{"page-good.png", "/?device=boardroom", "en", `document.querySelector("#state.good") && +document.querySelector("#charts").dataset.drawn > 300`, 1150},
		{"page-poor.png", "/?device=laboratory", "en", `document.querySelector("#state.poor") && +document.querySelector("#charts").dataset.drawn > 150`, 895},
		{"page-poor.zh.png", "/?device=laboratory", "zh-CN", `document.querySelector("#state.poor") && +document.querySelector("#charts").dataset.drawn > 150`, 895},
		{"page-rooms.png", "/", "en", `document.querySelector(".row.failed") && document.querySelectorAll(".row.poor").length === 2`, 0},
	} {
		b := open(t, a.url(p.path), how{language: p.language, width: 860, height: 640})
		b.wait(p.file+" is ready", p.ready)
		b.wait("the broker has all", `document.querySelector("main").innerText.includes("connected") || document.querySelector("main").innerText.includes("已连接")`)
		// This machine's clock may be nobody's business, and the next update is not waited for.
		eval[bool](b, `document.querySelector("#problems").remove(), true`)
		b.picture(filepath.Join(folder, p.file), p.height)
	}
}
