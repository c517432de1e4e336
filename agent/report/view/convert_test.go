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
}{
	{"zoom", "zoom", Options{}, nil, nil},
	{"agora", "agora.details", Options{Part: "details", Approximate: true}, nil, nil},
	{"agora", "agora.lists", Options{Part: "lists"}, nil, nil},
	{"agora", "agora.live", Options{Part: "live", Approximate: true}, []string{".data[].pcc number", ".data[].pcu number", ".data[].audioUpstreamExcellentTransRate number"}, nil},
	{"agora", "agora.diagnosis", Options{Part: "diagnosis", Suspected: true}, nil, nil},
	{"volc", "volc", Options{Granularity: "1d"}, nil, nil},
	{"trtc", "trtc", Options{}, nil, nil},
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
		doc := map[string]any{"zoom": &Zoom{}, "agora": &Agora{}, "volc": &Volc{}, "trtc": &TRTC{}}[c.to]
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
		"zoom":  `"data":[]`,
		"agora": `"call_id":"","call_info":[],"metrics":[],"has_more":false,"call_lists":[],"data":[]`,
		"volc":  `"Indicators":[]`,
		"trtc":  `"Total":0,"UserList":[],"Data":[]`,
	} {
		if got := string(convert(t, to, []string{"online", "", `{"schema":"roomcall.birth/1.0"}`}, Options{})); !strings.Contains(got, want) || !strings.Contains(got, `"skipped":2`) {
			t.Errorf("%s: %s", to, got)
		}
	}
}

func TestEachPartOfAgoraHasItsListsEvenWhenEmpty(t *testing.T) {
	for part, want := range map[string]string{
		"details":   `{"code":200,"message":"","call_id":"","call_info":[],"metrics":[],"_meta"`,
		"lists":     `{"code":200,"message":"","has_more":false,"call_lists":[],"_meta"`,
		"live":      `{"code":200,"message":"success","data":[],"_meta"`,
		"diagnosis": `{"code":200,"message":"success","data":[],"_meta"`,
	} {
		if got := string(convert(t, "agora", nil, Options{Part: part})); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", part, got)
		}
	}
}

func TestWrongChoicesAreErrors(t *testing.T) {
	ok := callRecords(t)[0]
	other := strings.ReplaceAll(strings.Join(callRecords(t), "\n"), "room-1", "room-2")
	for _, c := range []struct {
		to, in string
		o      Options
		want   string
	}{
		{"teams", ok, Options{}, "unknown view"},
		{"agora", ok, Options{Part: "x"}, "unknown part"},
		{"volc", ok, Options{Granularity: "1h"}, "unknown granularity"},
		{"trtc", "\xff\xfe{\x00", Options{}, "UTF-16"},
		{"zoom", strings.Join(callRecords(t), "\n") + "\n" + other, Options{}, "choose one of room-1, room-2"},
	} {
		_, err := Convert(c.to, strings.NewReader(c.in), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.to, err, c.want)
		}
	}
	both := strings.Split(other+"\n"+strings.Join(callRecords(t), "\n"), "\n")
	if a, b := convert(t, "zoom", both, Options{Device: "room-1"}), convert(t, "zoom", callRecords(t), Options{}); !bytes.Equal(a, b) {
		t.Error("one device of two gives another document")
	}
}

func TestDevicesOfOneNameAtTwoAgentsStayApart(t *testing.T) {
	mine := callRecords(t)
	other := strings.Split(strings.ReplaceAll(strings.Join(mine, "\n"), "agent-1", "agent-2"), "\n")
	both := append(append([]string{}, mine...), other...)
	var one, two TRTC
	var live Agora
	if err := errors.Join(json.Unmarshal(convert(t, "trtc", mine, Options{}), &one),
		json.Unmarshal(convert(t, "trtc", both, Options{}), &two),
		json.Unmarshal(convert(t, "agora", both, Options{Part: "live"}), &live)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(append(one.Response.Data, one.Response.Data...), two.Response.Data); d != "" {
		t.Errorf("trtc mixes them:\n%s", d)
	}
	if *live.Data[0].PCU != 2 {
		t.Errorf("pcu %d, want 2", *live.Data[0].PCU)
	}
	_, err := Convert("zoom", strings.NewReader(strings.Join(both, "\n")), Options{Device: "room-1"})
	if !errors.Is(err, ErrDevices) || !strings.Contains(err.Error(), "agent-1/room-1, agent-2/room-1") {
		t.Errorf("%v", err)
	}
	if a, b := convert(t, "zoom", both, Options{Device: "agent-2/room-1"}), convert(t, "zoom", mine, Options{}); !bytes.Equal(a, b) {
		t.Error("one of two gives another document")
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
	got = string(convert(t, "agora", callRecords(t), Options{Approximate: true, Suspected: true}))
	for _, mid := range []int{20001, 20002, 20005, 20007, 20011, 20013, 20016, 20018, 20021, 20022} {
		if strings.Contains(got, fmt.Sprintf(`"mid":%d`, mid)) {
			t.Error(mid)
		}
	}
	got = string(convert(t, "agora", callRecords(t), Options{}))
	for _, w := range []string{`"mid":20015`, `"mid":20017`, `"exp_id"`, `"audioUpstream`} {
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
