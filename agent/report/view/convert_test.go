package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"roomcall/agent/report/payload"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is a published call of two minutes, one record a line: its trouble is a
// loss of received video in the second half.
func callRecords(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "call.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func convert(t testing.TB, to string, lines []string, o Options) []byte {
	t.Helper()
	b, err := Convert(to, strings.NewReader(strings.Join(lines, "\n")), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cases are the documents with the system's own example of each.
var cases = []struct {
	to, seed string
	o        Options
	// more are keys of ours that the example happens not to show; less are keys
	// of the example that stay absent, for the fact is not there.
	more, less []string
	doc        any // the struct that has the example
}{
	{"zoom", "zoom", Options{}, nil, nil, &Zoom{}},
	{"agora", "agora.details", Options{Approximate: true}, nil, nil, &AgoraDetails{}},
	{"agora", "agora.lists", Options{Part: "lists"}, nil, nil, &AgoraLists{}},
	{"agora", "agora.scale", Options{Part: "scale"}, nil, nil, &AgoraData[AgoraScaleRow]{}},
	{"agora", "agora.net", Options{Part: "net", Metrics: []string{"videoUpstreamExcellentTransRate"}}, nil, nil, &AgoraData[AgoraNetRow]{}},
	{"agora", "agora.diagnosis", Options{Part: "diagnosis"}, nil, nil, &AgoraData[AgoraDiagnosisRow]{}},
	{"agora", "agora.usage", Options{Metrics: []string{"userCount"}}, nil, nil, &AgoraData[AgoraUsageRow]{}},
	{"volc", "volc", Options{Granularity: "1d"}, nil, nil, &Volc{}},
	{"trtc", "trtc", Options{}, nil, nil, &TRTC{}},
}

func TestDocumentsHaveTheShapeOfTheSystemsOwnExample(t *testing.T) {
	for _, c := range cases {
		t.Run(c.seed, func(t *testing.T) {
			seed, err := os.ReadFile(filepath.Join("testdata", c.seed+".seed.json"))
			if err != nil {
				t.Fatal(err)
			}
			want := shape(t, seed)
			for _, k := range c.more {
				want[k] = true
			}
			for _, k := range c.less {
				delete(want, k)
			}
			got := shape(t, convert(t, c.to, callRecords(t), c.o))
			for k := range got {
				if strings.HasPrefix(k, "._meta") {
					delete(got, k)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-example +ours:\n%s", d)
			}
		})
	}
}

// shape lists the paths of a document with their types.
func shape(t testing.TB, b []byte) map[string]bool {
	t.Helper()
	var x any
	if err := json.Unmarshal(b, &x); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	out := map[string]bool{}
	var walk func(path string, x any)
	walk = func(path string, x any) {
		switch x := x.(type) {
		case map[string]any:
			for k, v := range x {
				walk(path+"."+k, v)
			}
		case []any:
			for _, v := range x {
				walk(path+"[]", v)
			}
		case string:
			out[path+" text"] = true
		case float64:
			out[path+" number"] = true
		case bool:
			out[path+" bool"] = true
		}
	}
	walk("", x)
	return out
}

func TestTheSystemsOwnExamplesReadIntoOurStructs(t *testing.T) {
	for _, c := range cases {
		seed, err := os.ReadFile(filepath.Join("testdata", c.seed+".seed.json"))
		if err != nil {
			t.Fatal(err)
		}
		doc := c.doc
		dec := json.NewDecoder(bytes.NewReader(seed))
		dec.DisallowUnknownFields()
		if err := dec.Decode(doc); err != nil {
			t.Errorf("%s: %v", c.seed, err)
			continue
		}
		b, err := payload.JSON(doc)
		if err != nil {
			t.Fatal(err)
		}
		var before, after any
		if err := errors.Join(json.Unmarshal(seed, &before), json.Unmarshal(b, &after)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%s comes back changed (-example +ours):\n%s", c.seed, d)
		}
	}
}

func TestDocumentsMatchTheGoldenFiles(t *testing.T) {
	for _, c := range cases {
		var b bytes.Buffer
		if err := json.Indent(&b, convert(t, c.to, callRecords(t), c.o), "", " "); err != nil {
			t.Fatal(err)
		}
		b.WriteByte('\n')
		path := filepath.Join("testdata", c.seed+".golden.json")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))), b.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
}

func TestOrderDuplicatesTopicsAndEnvelopesChangeNothing(t *testing.T) {
	lines := callRecords(t)
	mixed := append([]string{}, lines...)
	for i, l := range lines {
		switch i % 3 {
		case 0:
			mixed = append(mixed, "roomcall/v1/agent-1/room-1/x "+l)
		case 1:
			mixed = append(mixed, `{"lane":"room-1/x","payload":`+l+`}`)
		default:
			mixed = append(mixed, strings.TrimSuffix(l, "}")+`,"replayed":1}`)
		}
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	for _, to := range Names() {
		if a, b := convert(t, to, lines, Options{}), convert(t, to, mixed, Options{}); !bytes.Equal(a, b) {
			t.Errorf("%s: %s", to, cmp.Diff(string(a), string(b)))
		}
	}
}

func TestSamplesAloneGiveTheSameZoomMinutes(t *testing.T) {
	var samples []string
	for _, l := range callRecords(t) {
		if strings.Contains(l, "roomcall.sample/") {
			samples = append(samples, l)
		}
	}
	if d := cmp.Diff(string(convert(t, "zoom", callRecords(t), Options{})), string(convert(t, "zoom", samples, Options{}))); d != "" {
		t.Error(d)
	}
}

func TestSwapExchangesZoomsDirections(t *testing.T) {
	var a, b Zoom
	if err := errors.Join(json.Unmarshal(convert(t, "zoom", callRecords(t), Options{}), &a),
		json.Unmarshal(convert(t, "zoom", callRecords(t), Options{Swap: true}), &b)); err != nil {
		t.Fatal(err)
	}
	if a.Data[0].AudioInput != b.Data[0].AudioOutput || a.Data[0].VideoOutput != b.Data[0].VideoInput || a.Data[0].AudioInput == b.Data[0].AudioInput {
		t.Errorf("%+v\n%+v", a.Data[0], b.Data[0])
	}
}

func TestNoRecordsGiveAnEmptyReply(t *testing.T) {
	for to, want := range map[string]string{
		"zoom":            `"data":[]`,
		"agora":           `{"code":200,"message":"","call_id":"","call_info":[],"metrics":[],"_meta"`,
		"agora lists":     `{"code":200,"message":"","has_more":false,"call_lists":[],"_meta"`,
		"agora scale":     `{"code":200,"message":"success","data":[],"_meta"`,
		"agora net":       `{"code":200,"message":"success","data":[],"_meta"`,
		"agora diagnosis": `{"code":200,"message":"success","data":[],"_meta"`,
		"agora usage":     `{"code":200,"message":"success","data":[],"_meta"`,
		"volc":            `"Indicators":[]`,
		"trtc":            `"Total":0,"UserList":[],"Data":[]`,
	} {
		to, part, _ := strings.Cut(to, " ")
		if got := string(convert(t, to, []string{"online", "", `{"schema":"roomcall.birth/1.0"}`}, Options{Part: part})); !strings.Contains(got, want) || !strings.Contains(got, `"skipped":2`) {
			t.Errorf("%s: %s", to, got)
		}
	}
}

func TestWrongChoicesAreErrors(t *testing.T) {
	for _, c := range []struct {
		to   string
		o    Options
		want string
	}{
		{"teams", Options{}, "unknown view"},
		{"agora", Options{Part: "x"}, "unknown part"},
		{"agora", Options{Part: "scale", Metrics: []string{"20003"}}, "unknown metric"},
		{"zoom", Options{Metrics: []string{"x"}}, "no metrics to choose"},
		{"volc", Options{Granularity: "1h"}, "unknown granularity"},
		{"volc", Options{Limit: 1}, "no pages"},
		{"agora", Options{Part: "lists", Page: -1}, "negative"},
		{"agora", Options{Since: time.Unix(2, 0), Until: time.Unix(1, 0)}, "before its start"},
		{"trtc", Options{Devices: make([]string, 7)}, "InvalidParameter.UserIdsMorethanSix"},
		{"agora", Options{Part: "scale", Metrics: []string{NoMetrics}}, `unknown metric "none"`},
		{"trtc", Options{Limit: 101}, "InvalidParameter.PageSizeOversize"},
		{"trtc", Options{Since: time.Unix(0, 0), Until: time.Unix(3601, 0)}, "InvalidParameter.QueryScaleOversize"},
	} {
		_, err := Convert(c.to, strings.NewReader(""), c.o)
		if e := (&RequestError{}); !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v, want %s", c.to, c.o, err, c.want)
		}
	}
	if _, err := Convert("trtc", strings.NewReader("\xff\xfe{\x00"), Options{}); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("%v", err)
	}
	if _, err := Convert("trtc", strings.NewReader(""), Options{Since: time.Unix(0, 0), Until: time.Unix(3601, 0), Metrics: []string{NoMetrics}}); err != nil {
		t.Errorf("a long time range without data: %v", err)
	}
}

func TestWhatIsOneCallThereRefusesSeveral(t *testing.T) {
	mine := callRecords(t)
	later := strings.NewReplacer(".room-1.", ".room-2.", `"device":"room-1"`, `"device":"room-2"`)
	both := append(strings.Split(later.Replace(strings.Join(mine, "\n")), "\n"), mine...)
	for _, to := range []string{"agora", "trtc", "zoom"} {
		var several *SeveralCallsError
		_, err := Convert(to, strings.NewReader(strings.Join(both, "\n")), Options{})
		if !errors.As(err, &several) || len(several.Calls) != 2 || !strings.Contains(err.Error(), several.Calls[1].ID) {
			t.Errorf("%s: %v", to, err)
			continue
		}
		for _, o := range []Options{{Call: several.Calls[0].ID}, {Devices: []string{several.Calls[0].Device}}, {Room: several.Calls[0].name(), Devices: []string{several.Calls[0].Device}}} {
			if a, b := convert(t, to, both, o), convert(t, to, mine, Options{}); !bytes.Equal(a, b) {
				t.Errorf("%s %+v: another document than of that call alone:\n%s\n%s", to, o, a, b)
			}
		}
		if _, err := Convert(to, strings.NewReader(strings.Join(both, "\n")), Options{Call: "x"}); !errors.Is(err, ErrNoCall) || !strings.Contains(err.Error(), several.Calls[1].ID) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestDevicesOfOneNameAtTwoAgentsStayApart(t *testing.T) {
	mine := callRecords(t)
	other := strings.Split(strings.ReplaceAll(strings.Join(mine, "\n"), "agent-1", "agent-2"), "\n")
	both := append(append([]string{}, mine...), other...)
	var one, two TRTC
	var scale AgoraData[AgoraScaleRow]
	if err := errors.Join(json.Unmarshal(convert(t, "trtc", both, Options{ClientID: "agent-1"}), &one),
		json.Unmarshal(convert(t, "trtc", both, Options{Devices: []string{"agent-2/room-1"}}), &two),
		json.Unmarshal(convert(t, "agora", both, Options{Metrics: []string{"pcu", "pcc"}}), &scale)); err != nil {
		t.Fatal(err)
	}
	if a, b := one.Response.UserList[0].UserID, two.Response.Data[0].UserID; a != "agent-1/room-1" || b != "agent-2/room-1" {
		t.Errorf("users %s and %s", a, b)
	}
	if *scale.Data[0].PCU != 2 || *scale.Data[0].PCC != 2 {
		t.Errorf("pcu %d, pcc %d, want 2", *scale.Data[0].PCU, *scale.Data[0].PCC)
	}
	_, err := Convert("zoom", strings.NewReader(strings.Join(both, "\n")), Options{Devices: []string{"room-1"}})
	if several := new(SeveralCallsError); !errors.As(err, &several) || several.Calls[0].ClientID == several.Calls[1].ClientID {
		t.Errorf("%v", err)
	}
}

// Zoom's and TRTC's replies do not name their call, so _meta does.
func TestADocumentOfOneCallNamesItInMeta(t *testing.T) {
	for to, parts := range map[string][]string{"zoom": {"qos", "past"}, "agora": {"details", "lists", "scale"}, "trtc": {"detail"}, "volc": {"quality"}} {
		for _, part := range parts {
			var doc struct {
				Meta Meta `json:"_meta"`
			}
			if err := json.Unmarshal(convert(t, to, callRecords(t), Options{Part: part}), &doc); err != nil {
				t.Fatal(err)
			}
			want := map[bool]string{true: "agent-1.1772000000.room-1.1772452805"}[part != "lists" && part != "scale" && part != "quality"]
			if doc.Meta.CallID != want {
				t.Errorf("%s %s: call %q, want %q", to, part, doc.Meta.CallID, want)
			}
		}
	}
}

// A file of call records alone tells who sent, too.
func TestTheSpeakerIsKnownFromTheCallRecordAlone(t *testing.T) {
	for _, send := range []bool{true, false} {
		key := map[bool]string{true: "audio_send_bitrate_kbps_avg", false: "audio_recv_bitrate_kbps_avg"}[send]
		record := `{"schema":"roomcall.call/1.0","id":"a.1.r.call.1","client_id":"a","device":"r","ts_ms":1772452805000,"call_id":"a.1.r.1772452800","start_ms":1772452800000,"end_ms":1772452805000,"` + key + `":60}`
		var doc AgoraDetails
		if err := json.Unmarshal(convert(t, "agora", []string{record}, Options{}), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.CallInfo[0].Speaker != send {
			t.Errorf("%s: speaker %v", key, doc.CallInfo[0].Speaker)
		}
	}
}

func TestAUserHasOneIDInAllPartsOfASystem(t *testing.T) {
	var details AgoraDetails
	var diagnosis AgoraData[AgoraDiagnosisRow]
	if err := errors.Join(json.Unmarshal(convert(t, "agora", callRecords(t), Options{}), &details),
		json.Unmarshal(convert(t, "agora", callRecords(t), Options{Part: "diagnosis"}), &diagnosis)); err != nil {
		t.Fatal(err)
	}
	uid := fmt.Sprint(details.CallInfo[0].UID)
	if diagnosis.Data[0].User != uid || details.Meta.Users[uid] != "agent-1/room-1" || diagnosis.Meta.Users[uid] != "agent-1/room-1" {
		t.Errorf("%s, %s, %v", uid, diagnosis.Data[0].User, details.Meta.Users)
	}
}

// base is the midnight UTC that the times of callsOf count from, in Unix seconds.
const base = 20_000 * 24 * 3600

func at(second int64) time.Time { return time.Unix(base+second, 0) }

// callsOf is a file of calls: room by room, start and end in seconds, polled every 5 s.
func callsOf(rooms map[string][][2]int64) []string {
	var lines []string
	for room, calls := range rooms {
		seq := 0
		for _, c := range calls {
			for s := c[0]; s < c[1]; s += 5 {
				seq++
				lines = append(lines, fmt.Sprintf(`{"v":1,"schema":"roomcall.sample/1.0","id":"a.1.%s.sample.%d","epoch":1,"seq":%d,"ts_ms":%d,"ts":"","client_id":"a","site":"","room":"","device":"%s","vendor":"huawei","poll_ok":1,"poll_ms":1,"in_call":1,"call_id":"a.1.%s.%d","grade":"good","grade_code":1,"audio_send_bitrate_kbps":%d}`,
					room, seq, seq, (base+s)*1000, room, room, c[0], s))
			}
			seq++
			lines = append(lines, fmt.Sprintf(`{"v":1,"schema":"roomcall.call/1.0","id":"a.1.%s.call.%d","epoch":1,"seq":%d,"ts_ms":%d,"ts":"","client_id":"a","site":"","room":"","device":"%s","call_id":"a.1.%s.%d","start_ms":%d,"end_ms":%d}`,
				room, seq, seq, (base+c[1])*1000, room, room, c[0], (base+c[0])*1000, (base+c[1])*1000))
		}
	}
	return lines
}

func TestCallsOneAfterTheOtherDoNotCountAsAtOneTime(t *testing.T) {
	lines := callsOf(map[string][][2]int64{"r1": {{0, 20}, {20, 40}, {45, 100}}, "r2": {{30, 70}}})
	var scale AgoraData[AgoraScaleRow]
	if err := json.Unmarshal(convert(t, "agora", lines, Options{Part: "scale"}), &scale); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, r := range scale.Data {
		got = append(got, r.Ts-base, *r.PCU, *r.PCC)
	}
	if d := cmp.Diff([]int64{0, 2, 2, 60, 2, 2}, got); d != "" {
		t.Error(d)
	}
}

func TestPagesAreTrue(t *testing.T) {
	var calls [][2]int64
	for i := range int64(23) {
		calls = append(calls, [2]int64{i * 100, i*100 + 50})
	}
	lines := callsOf(map[string][][2]int64{"r1": calls})
	var seen []string
	for page := 0; ; page++ {
		var l AgoraLists
		if err := json.Unmarshal(convert(t, "agora", lines, Options{Part: "lists", Page: page}), &l); err != nil {
			t.Fatal(err)
		}
		for _, c := range l.CallLists {
			seen = append(seen, c.CallID)
		}
		if want := []bool{true, true, false}[page]; l.HasMore != want {
			t.Fatalf("page %d: has_more %v", page, l.HasMore)
		}
		if !l.HasMore {
			break
		}
	}
	if len(seen) != 23 || seen[0] != "a.1.r1.2200" || seen[22] != "a.1.r1.0" {
		t.Errorf("%v", seen)
	}
	for _, page := range []int{3, 1 << 40} { // a reader who goes on until a page is empty comes to an end
		for _, limit := range []int{0, 100} {
			var l AgoraLists
			if err := json.Unmarshal(convert(t, "agora", lines, Options{Part: "lists", Page: page, Limit: limit}), &l); err != nil {
				t.Fatal(err)
			}
			if len(l.CallLists) != 0 || l.HasMore {
				t.Errorf("page %d of %d: %+v", page, limit, l.CallLists)
			}
		}
	}
	var l AgoraLists
	if err := json.Unmarshal(convert(t, "agora", lines, Options{Part: "lists", Since: at(250), Until: at(400), Limit: 1}), &l); err != nil {
		t.Fatal(err)
	}
	if len(l.CallLists) != 1 || l.CallLists[0].CallID != "a.1.r1.400" || !l.HasMore { // the other one began at 300
		t.Errorf("%+v", l)
	}
}

// TestACallThatOnlyItsBeginTellsOfIsThere: of a call that runs there may be no more than
// its event, or its streams.
func TestACallThatOnlyItsBeginTellsOfIsThere(t *testing.T) {
	head := fmt.Sprintf(`"v":1,"epoch":1,"seq":1,"ts_ms":%d,"ts":"","client_id":"a","site":"","room":"","device":"r1","call_id":"a.1.r1.%d"`, at(60).UnixMilli(), base+60)
	for name, line := range map[string]string{
		"event":  `{"schema":"roomcall.event/1.0","id":"a.1.r1.event.1","type":"call.started","severity":"info","since_ms":` + fmt.Sprint(at(60).UnixMilli()) + "," + head + "}",
		"stream": `{"schema":"roomcall.stream/1.0","id":"a.1.r1.stream.1","media":"video","direction":"recv","stream":0,` + head + "}",
	} {
		var l AgoraLists
		if err := json.Unmarshal(convert(t, "agora", []string{line}, Options{Part: "lists", Since: at(0), Until: at(100)}), &l); err != nil {
			t.Fatal(err)
		}
		if len(l.CallLists) != 1 || l.CallLists[0].CreatedTs != base+60 || l.CallLists[0].DestroyedTs != base+60 || l.CallLists[0].Finished {
			t.Errorf("%s: %+v", name, l.CallLists)
		}
	}
}

func TestUsageCountsCallsOnTheDayOfTheirStart(t *testing.T) {
	const day = 24 * 3600
	lines := callsOf(map[string][][2]int64{"r1": {{day - 100, day + 100}, {day + 200, day + 300}}, "r2": {{day + 250, day + 260}}, "r3": {{3 * day, 3*day + 10}}})
	var usage AgoraData[AgoraUsageRow]
	if err := json.Unmarshal(convert(t, "agora", lines, Options{Part: "usage"}), &usage); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, r := range usage.Data {
		got = append(got, r.Ts-base, *r.UserCount, *r.SessionCount, *r.ChannelCount)
	}
	if d := cmp.Diff([]int64{0, 1, 1, 1, day, 2, 2, 2, 3 * day, 1, 1, 1}, got); d != "" {
		t.Error(d)
	}
	if err := json.Unmarshal(convert(t, "agora", lines, Options{Part: "usage", Since: at(1), Until: at(3*day - 1)}), &usage); err != nil {
		t.Fatal(err)
	}
	if len(usage.Data) != 1 || usage.Data[0].Ts != base+day {
		t.Errorf("whole days only: %+v", usage.Data)
	}
}

func TestADayBeginsInTheZoneThatIsAskedFor(t *testing.T) {
	lines := callsOf(map[string][][2]int64{"r1": {{15*3600 + 3500, 16*3600 + 100}}}) // over midnight at +08:00
	for zone, want := range map[string][]string{"": {"2024-10-04T00:00:00+00:00"}, "Asia/Shanghai": {"2024-10-04T00:00:00+08:00", "2024-10-05T00:00:00+08:00"}} {
		at, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		var v Volc
		if err := json.Unmarshal(convert(t, "volc", lines, Options{Granularity: "1d", Zone: at, Metrics: []string{"poor_time_rate"}}), &v); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range v.Result.Indicators[0].Data {
			got = append(got, d.TimeStamp)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestASecondHasOneValue(t *testing.T) {
	var lines []string
	for i, l := range callsOf(map[string][][2]int64{"r1": {{0, 20}}}) {
		lines = append(lines, l, strings.NewReplacer(`sample.`, `sample.9`, fmt.Sprintf(`"ts_ms":%d`, (base+i*5)*1000), fmt.Sprintf(`"ts_ms":%d`, (base+i*5)*1000+400), `kbps":`, `kbps":9`).Replace(l))
	}
	var details AgoraDetails
	var trtc TRTC
	if err := errors.Join(json.Unmarshal(convert(t, "agora", lines, Options{}), &details), json.Unmarshal(convert(t, "trtc", lines, Options{Metrics: []string{"aBit"}}), &trtc)); err != nil {
		t.Fatal(err)
	}
	want := [][2]float64{{base, 90}, {base + 5, 95}, {base + 10, 910}, {base + 15, 915}}
	if d := cmp.Diff(want, details.Metrics[0].Data[0].KVs); d != "" {
		t.Error(d)
	}
	if len(trtc.Response.Data) != 1 || len(trtc.Response.Data[0].Content) != 4 || trtc.Response.Data[0].Content[3] != (TRTCPoint{base + 15, 915}) {
		t.Errorf("%+v", trtc.Response.Data)
	}
}

func TestTwoCallsOfAMinuteHaveAMinuteEach(t *testing.T) {
	lines := callsOf(map[string][][2]int64{"r1": {{0, 20}, {30, 70}}})
	lines = append(lines, fmt.Sprintf(`{"v":1,"schema":"roomcall.minute/1.0","id":"a.1.r1.minute.1","epoch":1,"seq":1,"ts_ms":%d,"ts":"","client_id":"a","site":"","room":"","device":"r1","minute_ms":%d,"samples":10,"samples_ok":10,"coverage_pct":100,"call_id":"a.1.r1.30","audio_send_bitrate_kbps_avg":1,"audio_send_bitrate_kbps_last":55}`, (base+60)*1000, base*1000))
	for call, want := range map[string][]string{"a.1.r1.0": {"15 kbps"}, "a.1.r1.30": {"55 kbps", "65 kbps"}} {
		var z Zoom
		if err := json.Unmarshal(convert(t, "zoom", lines, Options{Call: call}), &z); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range z.Data {
			got = append(got, m.AudioOutput.Bitrate)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", call, d)
		}
	}
}

func TestASelectionOfTimeAndMetricsIsKept(t *testing.T) {
	lines := callsOf(map[string][][2]int64{"r1": {{0, 60}}})
	var details AgoraDetails
	o := Options{Since: at(10), Until: at(20), Metrics: []string{"20003"}}
	if err := json.Unmarshal(convert(t, "agora", lines, o), &details); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][2]float64{{base + 10, 10}, {base + 15, 15}, {base + 20, 20}}, details.Metrics[0].Data[0].KVs); d != "" {
		t.Error(d)
	}
	if got := string(convert(t, "agora", lines, Options{Metrics: []string{NoMetrics}, Part: "details"})); strings.Contains(got, `"metrics"`) {
		t.Errorf("%s", got)
	}
	if got := string(convert(t, "trtc", lines, Options{Metrics: []string{NoMetrics}})); !strings.Contains(got, `"Total":1`) || !strings.Contains(got, `"Data":[]`) {
		t.Errorf("%s", got)
	}
}

// fleet is a day of n calls of one minute, each of its own room, sample by sample.
func fleet(n int) *Facts {
	f := &Facts{}
	for i := range n {
		f.Calls = append(f.Calls, Call{ID: fmt.Sprint(i), ClientID: "a", Device: fmt.Sprintf("room-%05d", i)})
		for s := range 12 {
			f.Points = append(f.Points, Point{TsMs: int64(60_000*i + 5000*s), Call: i, Readings: []float64{0, 1, 5, 2, 10, 3}})
		}
	}
	return f
}

// BenchmarkCalls shows that the time for a call does not grow with their number.
func BenchmarkCalls(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		f := fleet(n)
		for _, to := range []string{"agora", "trtc"} {
			b.Run(fmt.Sprintf("%s/%d", to, n), func(b *testing.B) {
				for range b.N {
					if to == "agora" {
						Document(to, f, Options{Part: "lists"})
					}
					Document(to, f, Options{})
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/call")
			})
		}
	}
}

func TestAbsentStaysAbsent(t *testing.T) {
	got := string(convert(t, "trtc", callRecords(t), Options{}))
	for _, w := range []string{"appCpu", "sysCpu", "aBlock", "bigvBlock", "bigvCapFps"} {
		if strings.Contains(got, `"DataType":"`+w) {
			t.Error(w)
		}
	}
	got = string(convert(t, "agora", callRecords(t), Options{Approximate: true}))
	for _, mid := range agoraAbsentMIDs {
		if strings.Contains(got, `"mid":`+mid) {
			t.Error(mid)
		}
	}
	got = string(convert(t, "agora", callRecords(t), Options{}))
	for _, w := range []string{`"mid":20015`, `"mid":20017`} {
		if strings.Contains(got, w) {
			t.Errorf("%s without being asked for", w)
		}
	}
}

func FuzzConvert(f *testing.F) {
	for _, l := range callRecords(f)[:6] {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, to := range Names() {
			if b, err := Convert(to, strings.NewReader(in), Options{}); err == nil && !json.Valid(b) {
				t.Errorf("%s", b)
			}
		}
	})
}
