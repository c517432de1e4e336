package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roomcall/agent/health"
	"roomcall/agent/health/healthtest"
	"roomcall/agent/host"
)

var update = flag.Bool("update", false, "write the golden files")

// statusOf is the text of a status.
func statusOf(s health.Status, lang health.Lang) string {
	r := statusReport{lang: lang, status: s, now: healthtest.Noon, version: s.Version}
	return host.Plain(r.text())
}

// crowd is an agent with many rooms, some in trouble.
func crowd() health.Status {
	s := healthtest.Well()
	good := s.Endpoints[0]
	s.Endpoints = nil
	for i := range 300 {
		e := good
		e.Device, e.Room = fmt.Sprintf("hub-%d", i), fmt.Sprintf("会议室 %d", i)
		switch {
		case i == 111:
			e.State, e.InCall, e.Grade, e.Err, e.StateSince = "unreachable", false, "", "dial tcp 10.0.1.111:443: i/o timeout", healthtest.Noon.Add(-2*time.Hour)
		case i == 222:
			e.Grade, e.CallGrade, e.GradeSince = "poor", "poor", healthtest.Noon.Add(-4*time.Minute)
		case i%2 == 0:
			e.State, e.InCall, e.Grade = "idle", false, ""
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

func TestStatusShowsAsTheGoldenFiles(t *testing.T) {
	golden := func(name, text string) {
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), text); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", path, diff)
		}
	}
	for name, s := range map[string]health.Status{"well": healthtest.Well(), "ill": healthtest.Ill(), "crowd": crowd()} {
		golden(name, statusOf(s, health.English))
		golden(name+"-zh", statusOf(s, health.Chinese))
	}
}

func TestStatusBeginsWithTheVerdictAndTheWorst(t *testing.T) {
	warned := healthtest.Well()
	warned.Warnings = []string{"agent.toml can be read by others"}
	for want, s := range map[string]health.Status{
		"ok    All is well.\n":         healthtest.Well(),
		"warn  It works, with warning": warned,
		"FAIL  Something is wrong.\nF": healthtest.Ill(),
	} {
		if text := statusOf(s, health.English); !strings.HasPrefix(text, want) {
			t.Errorf("it does not begin with %q:\n%s", want, text)
		}
	}
}

func TestOfManyRoomsOnlyThoseThatWantAttentionAreShown(t *testing.T) {
	r := statusReport{lang: health.English, status: crowd(), now: healthtest.Noon}
	text := host.Plain(r.text())
	if strings.Contains(text, "hub-0)") || !strings.Contains(text, "(hub-222)  Poor call") || !strings.Contains(text, "300 rooms  1 unreachable  1 poor") {
		t.Errorf("short:\n%s", text)
	}
	if strings.Index(text, "(hub-111)  Endpoint") > strings.Index(text, "(hub-222)  Poor") {
		t.Errorf("the worst is not first:\n%s", text)
	}
	r.all = true
	if text = host.Plain(r.text()); strings.Count(text, "(hub-") < 300 || strings.Contains(text, "--all") {
		t.Errorf("with --all:\n%s", text)
	}
	bad := crowd()
	for i := range bad.Endpoints {
		bad.Endpoints[i].State = "refused"
	}
	r = statusReport{lang: health.English, status: bad, now: healthtest.Noon}
	text = host.Plain(r.text())
	if rows := strings.Count(text, "Endpoint refuses the agent"); rows != roomsShown {
		t.Errorf("%d of 300 broken rooms are shown", rows)
	}
	if n := strings.Count(text, "FAIL"); n != problemsShown+1 || !strings.Contains(text, "and 288 more") {
		t.Errorf("%d of 300 problems are shown:\n%s", n, text)
	}
}

func TestStatusSaysHowLongCatchingUpTakes(t *testing.T) {
	s := healthtest.Well()
	s.Buffer.Waiting = 12_000
	for rate, want := range map[float64]string{2000: "12000 waiting (oldest 2 s ago), catching up at 2000/s, about 6 s left", -1: "not getting fewer", 0: "12000 waiting (oldest 2 s ago), 24 MiB"} {
		r := statusReport{lang: health.English, status: s, now: healthtest.Noon, rate: rate}
		if text := host.Plain(r.text()); !strings.Contains(text, want) {
			t.Errorf("at %g/s:\n%s", rate, text)
		}
	}
}

func TestStatusSaysHowManyPollsAreNotStoredYet(t *testing.T) {
	s := healthtest.Well()
	if text := statusOf(s, health.English); strings.Contains(text, "not stored yet") {
		t.Errorf("without commit_interval:\n%s", text)
	}
	s.Buffer.Collected, s.Buffer.CommitIntervalS = 4, 30
	for lang, want := range map[health.Lang]string{health.English: "4 polls not stored yet (stored every 30 s)", health.Chinese: "4 次采集尚未写入（写入间隔 30 秒）"} {
		if text := statusOf(s, lang); !strings.Contains(text, want) {
			t.Errorf("no %q:\n%s", want, text)
		}
	}
}

func TestStatusSaysHowLongTheStoreHasRoom(t *testing.T) {
	s := healthtest.Well()
	s.Broker.State, s.Buffer.Waiting, s.Buffer.DeliveredKept = "waiting", 3000, 9000
	s.Buffer.Oldest, s.Buffer.BytesOnDisk, s.Buffer.MaxBytes = healthtest.Noon.Add(-time.Hour), 40<<20, 250<<20
	if text := statusOf(s, health.English); !strings.Contains(text, "40 MiB / 250 MiB, room for about 1 d more\n") { // 10 MiB an hour, 240 are left
		t.Errorf("%s", text)
	}
	free := int64(20 << 20) // and the 30 of what is delivered
	s.Buffer.DiskFree = &free
	if text := statusOf(s, health.English); !strings.Contains(text, "40 MiB / 250 MiB, room for about 5 h more\n") {
		t.Errorf("20 MiB free on the disk:\n%s", text)
	}
	s.Broker.State = "connected"
	if text := statusOf(s, health.English); strings.Contains(text, "room for") {
		t.Errorf("connected:\n%s", text)
	}
}

func TestTextShowsNoControlCharacters(t *testing.T) {
	s := healthtest.Ill()
	s.Broker.Error = "bad\x1b[2Jthing"
	s.Broker.URL = "tcp://x\x07"
	s.Broker.State, s.Buffer.State, s.ClientID, s.Version = "\x1b[1m", "\x1b[2m", "a\x1b[3mb", "\x1b[4m"
	s.Endpoints[0].Room = "a\tb\nc"
	if text := statusOf(s, health.English); strings.ContainsAny(text, "\x1b\x07\t") || strings.Contains(text, "\nc") {
		t.Errorf("got %q", text)
	}
	styles := strings.NewReplacer("\x1b[1m", "", "\x1b[2m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[m", "")
	r := statusReport{lang: health.English, status: s, now: healthtest.Noon}
	if text := styles.Replace(r.text()); strings.Contains(text, "\x1b") || !strings.Contains(text, "\ufffd[2Jthing") || !strings.Contains(text, "\ufffd[1m") {
		t.Errorf("got %q", text)
	}
}

// TestAFakeAgentCannotSteerTheTerminal: whoever holds the port may answer anything.
func TestAFakeAgentCannotSteerTheTerminal(t *testing.T) {
	const evil = "\x1b]0;owned\x07\u009b2J\u202e"
	code, body := 200, ""
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "roomcall")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	defer fake.Close()
	path := filepath.Join(t.TempDir(), "agent.toml")
	text := fmt.Sprintf("[agent]\nclient_id = \"pc\"\nhttp_listen = %q\n[[endpoint]]\ndevice = \"hub\"\nurl = \"http://127.0.0.1:1\"\n[mqtt]\nbroker = \"tcp://127.0.0.1:1\"\n",
		strings.TrimPrefix(fake.URL, "http://"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []struct {
		code int
		body string
	}{
		{200, `{"client_id":"` + evil + `","version":"` + evil + `","warnings":["` + evil + `"]}`},
		{200, strings.ReplaceAll(`{"client_id":"E","version":"E","broker":{"state":"E","url":"E"},"buffer":{"state":"E"},"warnings":["E"],"endpoints":[{"device":"E","state":"E"}]}`, "E", `\u001b]0;owned\u0007\u009b2J\u202e`)},
		{200, "{\"client_id\":\"\u009b2J\u202e\",\"warnings\":[\"\u009b\u202e\"]}"}, // raw, and good JSON
		{200, evil},
		{500, evil},
		{500, `{"error":"\u001b]0;owned\u0007","hint":"\u202e"}`},
	} {
		for _, command := range [][]string{{"status"}, {"status", "--json"}, {"status", "--all"}} {
			code, body = answer.code, answer.body
			var out, errs bytes.Buffer
			exit := Main(t.Context(), "test", append([]string{"--config", path}, command...), &out, &errs, func(string) string { return "" })
			if exit != exitFail || strings.ContainsAny(out.String()+errs.String(), "\x1b\x07\u009b\u202e") {
				t.Errorf("%v: exit code %d\n%q\n%q", command, exit, out.String(), errs.String())
			}
		}
	}
}

// TestTheExampleOfTheREADMEIsWhatStatusShows: with two rooms, one in a poor call.
func TestTheExampleOfTheREADMEIsWhatStatusShows(t *testing.T) {
	s := healthtest.Well()
	s.Version, s.ClientID, s.UptimeS = "0.1.0", "pc-berlin", 26*3600
	s.Broker.URL, s.Broker.Acked = "tls://mqtt.example.net:8883", 37_548
	s.Buffer.Waiting, s.Buffer.Oldest = 0, time.Time{}
	one, two := s.Endpoints[0], s.Endpoints[0]
	one.Device, one.Room, one.Grade, one.CallGrade, one.GradeSince, one.Limits = "berlin-3", "Berlin, 3rd floor", "poor", "poor", healthtest.Noon.Add(-4*time.Minute), "huawei"
	one.GradeReasons = "audio_send_loss,video_send_loss"
	one.Sample = json.RawMessage(`{"grade":"poor","grade_reasons":"audio_send_loss,video_send_loss","audio_send_loss_pct":12,"video_send_loss_pct":8,"audio_recv_loss_pct":0.1,"video_recv_loss_pct":0}`)
	two.Device, two.Room, two.State, two.InCall, two.Grade = "berlin-4", "Berlin, 4th floor", "idle", false, ""
	two.LastPoll = healthtest.Noon.Add(-12 * time.Second)
	two.IntervalS = 15
	s.Endpoints = []health.Endpoint{two, one}
	s.Limits = map[string]map[string]float64{"huawei": {"audio_loss_pct_poor": 10, "video_loss_pct_poor": 3}}
	for name, lang := range map[string]health.Lang{"README.md": health.English, "README.zh-CN.md": health.Chinese} {
		want := "$ roomcall status\n" + statusOf(s, lang)
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(string(text), "\r\n", "\n"), "```\n"+want+"```\n") {
			t.Errorf("%s does not have what status shows:\n%s", name, want)
		}
	}
}
